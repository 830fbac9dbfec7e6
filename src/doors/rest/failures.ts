import { z } from 'zod';
import { AppError } from '../../core/errors.ts';
import type { ItemType, Outcome } from '../../writes/outcome.ts';

export const changedSince = (type: ItemType) => `The ${type} has been changed since`;
export const idTaken = (type: ItemType) => `A deleted ${type} has this id`;
export const limitReached = (type: ItemType, limit: number) => `The limit of ${limit} ${type}s is reached`;

/** The error to respond with for an outcome that is a failure. */
export type Failures = (outcome: Outcome, index?: number) => AppError;

const Details = z.array(z.object({ field: z.string(), message: z.string() }));

const MISSING: Readonly<Record<ItemType, string>> = { task: 'Task not found', list: 'List not found' };

/** @param limits how many of each a user may have, as in the messages of `LIMIT_REACHED`. */
export function failuresWith(limits: Readonly<Record<ItemType, number>>): Failures {
  return ({ type, kind, json: current }, index) => {
    const at = index === undefined ? {} : { index };
    switch (kind) {
      case 'stale':
      case 'exists':
        return new AppError('PRECONDITION_FAILED', { message: changedSince(type), current, ...at });
      case 'taken':
        return new AppError('CONFLICT', { message: idTaken(type), ...at });
      case 'limit':
        return new AppError('LIMIT_REACHED', { message: limitReached(type, limits[type]), ...at });
      case 'invalid':
        return new AppError('VALIDATION_ERROR', { details: Details.parse(JSON.parse(current ?? '')), ...at });
      case 'created':
      case 'changed':
      case 'deleted':
      case 'missing':
        return new AppError('NOT_FOUND', { message: MISSING[type], ...at });
    }
  };
}
