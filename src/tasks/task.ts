import { createHash } from 'node:crypto';
import { z } from 'zod';
import { requireOneOf, uuid } from '../core/fields.ts';
import { EXAMPLE } from './example.ts';
import { FieldChanges, requireNeeded, requireOccurrence, TaskFields, title } from './fields.ts';
import { Placement, requireOnePlace } from './placement.ts';
import { completedOn } from './recurrence-fields.ts';

/* The schemas from which validation, types and the OpenAPI document are derived. Input schemas: requests; output: answers. */

/** The fields of an update; at least one has to be given. */
export const TaskChanges = TaskFields.partial().extend({
  ...FieldChanges.partial().shape,
  ...Placement.shape,
  completed_on: completedOn.optional(),
});

export type TaskChanges = z.output<typeof TaskChanges>;

/** Adds an issue to `context` that names the fields if none of those that users write is among `given`. */
export function requireField(given: readonly string[], context: z.RefinementCtx): void {
  requireOneOf(Object.keys(TaskChanges.shape), given, context);
}

/** The body of a create. Fields that the service owns and unknown fields are ignored. */
export const TaskCreate = TaskFields.partial()
  .extend({ title: title('Title is required and cannot be empty'), ...Placement.shape })
  .superRefine(requireNeeded)
  .superRefine(requireOnePlace)
  .meta({
    id: 'TaskCreate',
    description: 'A task to create. Other fields are ignored.',
    examples: [{ title: EXAMPLE.title, description: EXAMPLE.description }],
  });

export type TaskCreate = z.output<typeof TaskCreate>;

const NAMES = Object.keys(TaskChanges.shape)
  .map((name) => `\`${name}\``)
  .join(', ');

const withAField = (body: unknown, context: z.RefinementCtx) => {
  requireField(Object.keys(body ?? {}), context);
  return body;
};

/** Adds an issue to `context` if a day of completion is given without a completion. */
export function requireCompletion(
  { is_completed, completed_on }: Pick<TaskChanges, 'is_completed' | 'completed_on'>,
  context: z.RefinementCtx,
): void {
  if (completed_on === undefined || is_completed === true) return;
  context.addIssue({ code: 'custom', path: ['completed_on'], message: 'Completed on needs is_completed to be true' });
}

/** Adds an issue to `context` for what does not go together, such as tags as a whole and as changes. */
export function refuseContradictions(changes: TaskChanges, context: z.RefinementCtx): void {
  const { tags, add_tags, remove_tags } = changes;
  if (tags !== undefined && (add_tags ?? remove_tags) !== undefined) {
    context.addIssue({ code: 'custom', path: ['tags'], message: 'Tags cannot be given with add_tags or remove_tags' });
  }
  requireOnePlace(changes, context);
  requireCompletion(changes, context);
  requireOccurrence(changes, context);
}

/** The body of an update: any non-empty subset of the fields that users write. */
export const TaskUpdate = z.preprocess(withAField, TaskChanges.superRefine(refuseContradictions)).meta({
  id: 'TaskUpdate',
  description: `The fields to change, at least one of ${NAMES}. Fields not given keep their values; others are ignored.`,
  minProperties: 1,
  examples: [{ is_completed: true }, { title: EXAMPLE.title, description: null }],
});

export type TaskUpdate = z.output<typeof TaskUpdate>;

const INVALID_ID = 'Task id must be a UUID';
/** A task's id in upper or lower case; converted to lower case (RFC 9562, section 4). */
export const TaskId = uuid(INVALID_ID)
  .brand('TaskId')
  .meta({ format: 'uuid', description: 'The UUID of the task.', examples: [EXAMPLE.id] });

export type TaskId = z.output<typeof TaskId>;

const timestamp = z
  .string()
  .meta({ format: 'date-time', description: 'UTC, with `Z` and microseconds.', examples: [EXAMPLE.created_at] });

const version = z
  .int()
  .nonnegative()
  .meta({ description: 'The number of its last change; each change of the user takes the next.', examples: [7] });

const responseTaskId = z.string().meta({ format: 'uuid', description: 'In lower case.', examples: [EXAMPLE.id] });

/** A task in an answer. */
export const Task = z
  .object({
    id: responseTaskId,
    user_id: z
      .string()
      .min(1)
      .max(255)
      .meta({ description: "The token's `sub`.", examples: [EXAMPLE.user_id] }),
    ...TaskFields.shape,
    completed_at: timestamp
      .nullable()
      .meta({ description: 'When it was completed; null exactly if it is not.', examples: [null] }),
    series_id: responseTaskId.nullable().meta({
      description:
        'Joins the tasks of a recurring one, of which one is completed after the other; the id of the first.',
      examples: [null],
    }),
    created_at: timestamp,
    updated_at: timestamp,
    deleted_at: timestamp
      .nullable()
      .meta({ description: 'When it was deleted; null in every task that is not.', examples: [null] }),
    version,
  })
  .meta({ id: 'Task', description: 'One todo item, owned by one user.', examples: [EXAMPLE] });

/** Changes whenever the fields of a task do: part of the entity tag of a list. */
export const LIST_REVISION = createHash('sha256').update(Object.keys(Task.shape).join()).digest('hex').slice(0, 6);

const flag = (description: string) =>
  z.enum(['true', 'false'], { error: 'Must be true or false' }).optional().meta({ description });

/** The body of a toggle, which may be left out. */
export const TaskToggle = z
  .object({ completed_on: completedOn.optional() })
  .meta({ id: 'TaskToggle', description: 'May be left out.', examples: [{ completed_on: EXAMPLE.due_date }] });

export type TaskToggle = z.output<typeof TaskToggle>;

/** The query parameters of a deletion. */
export const TaskDeletionQuery = z.object({
  permanent: flag('`true` deletes the content at once, also that of a task that is deleted already.'),
});

export const MAX_TASKS_IN_LIST = 1000;

export type Task = z.output<typeof Task>;

export const TaskList = z
  .object({
    tasks: z.array(Task).max(MAX_TASKS_IN_LIST),
    next_cursor: z
      .string()
      .optional()
      .meta({ description: 'While there is more: `cursor` of the next page. Opaque.', examples: ['WyJ2MSJd'] }),
  })
  .meta({
    id: 'TaskList',
    description: "The user's tasks, newest first by default.",
    examples: [{ tasks: [EXAMPLE] }],
  });

const count = (description: string) =>
  z
    .int()
    .nonnegative()
    .meta({ description, examples: [3] });

/** How many tasks a user has. */
export const TaskCounts = z
  .object({
    open: count('Tasks that are not completed.'),
    completed: count('Tasks that are.'),
    overdue: count('Open tasks due before today.'),
    today: count('Open tasks due today.'),
    lists: z
      .record(z.string(), z.int())
      .meta({ description: 'Open tasks of each list that has some, by its id; `inbox` for those in none.' }),
    tags: z
      .record(z.string(), z.int())
      .meta({ description: 'Open tasks with each tag. Tags that differ only in case are counted as one.' }),
  })
  .meta({
    id: 'TaskCounts',
    description: 'How many tasks there are.',
    examples: [{ open: 3, completed: 20, overdue: 1, today: 2, lists: { inbox: 3 }, tags: { home: 2 } }],
  });

/** The `message` of a deletion's answer. */
export const DELETED_MESSAGE = 'Task deleted successfully';

export const DeletedTask = z
  .object({
    message: z.literal(DELETED_MESSAGE),
    id: responseTaskId,
  })
  .meta({
    id: 'DeletedTask',
    description: 'The task was deleted.',
    examples: [{ message: DELETED_MESSAGE, id: EXAMPLE.id }],
  });
