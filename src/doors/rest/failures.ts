import { z } from 'zod';
import { AppError } from '../../core/errors.ts';
import type { Outcome } from '../../writes/outcome.ts';

/** The error to respond with for an outcome that is a failure. */
export type Failures = (outcome: Outcome, index?: number) => AppError;

const Details = z.array(z.object({ field: z.string(), message: z.string() }));

/** @param limit of tasks, as in the message of `LIMIT_REACHED`. */
export function failuresWith(limit: number): Failures {
  return ({ kind, json: current }, index) => {
    const at = index === undefined ? {} : { index };
    switch (kind) {
      case 'stale':
      case 'exists':
        return new AppError('PRECONDITION_FAILED', { current, ...at });
      case 'taken':
        return new AppError('CONFLICT', at);
      case 'limit':
        return new AppError('LIMIT_REACHED', { message: `The limit of ${limit} tasks is reached`, ...at });
      case 'invalid':
        return new AppError('VALIDATION_ERROR', { details: Details.parse(JSON.parse(current ?? '')), ...at });
      case 'created':
      case 'changed':
      case 'deleted':
      case 'missing':
        return new AppError('NOT_FOUND', at);
    }
  };
}
