import { generateKeyBetween } from 'fractional-indexing';
import { z } from 'zod';
import { EXAMPLE } from './example.ts';

/* Where a task is: its list, its parent, and its place among those with the same. */

const MAX_POSITION_LENGTH = 64;
const POSITION_PATTERN = '^[A-Za-z][0-9A-Za-z]+$';
const POSITION = 'Position must be a key of the npm package fractional-indexing, base 62, of at most 64 characters';

function isPosition(key: string): boolean {
  if (key.length > MAX_POSITION_LENGTH || !new RegExp(POSITION_PATTERN).test(key)) return false;
  try {
    generateKeyBetween(key, null);
    return true;
  } catch {
    return false;
  }
}

/** A place in an order: a key of the npm package `fractional-indexing`. */
export const position = z
  .string({ error: POSITION })
  .refine(isPosition, POSITION)
  .meta({
    description:
      'Its place among others, compared bytewise, ties by id: a key of the npm package `fractional-indexing` (base 62). ' +
      'A new one is the last if none is given.',
    maxLength: MAX_POSITION_LENGTH,
    pattern: POSITION_PATTERN,
    examples: [EXAMPLE.position],
  });

const UUID = /^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$/;

/** @returns the schema of a UUID in upper or lower case; converted to lower case (RFC 9562, section 4). */
export const uuid = (message: string) =>
  z
    .string({ error: message })
    .refine((id) => UUID.test(id), message)
    .overwrite((id) => id.toLowerCase());

const reference = (message: string, description: string) =>
  uuid(message)
    .nullable()
    .meta({ format: 'uuid', description, examples: [null] });

export const listId = reference(
  'List id must be a UUID or null',
  "The list that it is in; null is the inbox. Its subtasks go with it; a subtask's list is that of its parent.",
);
export const parentId = reference(
  'Parent id must be a UUID or null',
  'The task that it is part of, in whose list it is; at most 5 levels. What is below it goes with it.',
);

const sibling = (name: 'before' | 'after') =>
  uuid(`${name} must be the id of a task`).meta({
    format: 'uuid',
    description: `The id of the task ${name === 'before' ? 'before' : 'after'} which it comes, one of the same list and parent. Not stored; instead of \`position\`.`,
    examples: [EXAMPLE.id],
  });

/** Where a task comes among those with the same list and parent; not stored. */
export const Placement = z.object({ before: sibling('before'), after: sibling('after') }).partial();

/** Adds an issue to `context` if more than one place is given. */
export function requireOnePlace(
  given: z.output<typeof Placement> & { readonly position?: string | undefined },
  context: z.RefinementCtx,
): void {
  const [first, second] = (['before', 'after', 'position'] as const).filter((name) => given[name] !== undefined);
  if (first === undefined || second === undefined) return;
  context.addIssue({ code: 'custom', path: [first], message: `${first} and ${second} cannot be given together` });
}
