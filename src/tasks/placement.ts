import { z } from 'zod';
import { uuid } from '../core/fields.ts';
import { EXAMPLE } from './example.ts';

/* Where a task is: its list, its parent, and its place among those with the same. */

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
