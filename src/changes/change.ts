import { z } from 'zod';
import { Task } from '../tasks/task.ts';
import { parseCursor } from './cursor.ts';
import { type Position, positionOf, START } from './page.ts';

const EXAMPLE_CURSOR = 'ASnx0g1lsU26rRO-0P5RWcMAAAAAAAAABwAAAAAAAAAA';
const EXAMPLE_EPOCH = '29f1d20d-65b1-4dba-ad13-bed0fe5159c3';

export const MAX_LIMIT = 1_000;
const DEFAULT_LIMIT = 500;
const MAX_WAIT_S = 25;
const UUID = /^[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/;

/** A number of decimal digits in a query. */
const integer = (name: string, min: number, max: number) => {
  const message = `${name} must be an integer from ${min} to ${max}`;
  return z
    .string()
    .regex(/^\d{1,16}$/, message)
    .transform(Number)
    .refine((value) => value >= min && value <= max, message);
};

/** The document describes the number, not its text. */
const asInteger = (minimum: number, maximum: number, rest: object) =>
  ({ type: 'integer', minimum, maximum, ...rest }) as const;

const cursor = z
  .string()
  .transform((text, context): Position => {
    const parsed = parseCursor(text);
    if (parsed !== null) return positionOf(parsed);
    context.addIssue({ code: 'custom', message: 'Cursor must be one that this service has given' });
    return START;
  })
  .meta({ description: 'Where to go on: the `cursor` of the last answer.', examples: [EXAMPLE_CURSOR] });
