import { createHash } from 'node:crypto';
import { z } from 'zod';
import { codePointLength, isStorableText } from '../core/text.ts';

/*
 * The schemas from which validation, types and the OpenAPI document are derived. Text is trimmed and then checked; the
 * document's limits apply to text as it is sent, so they are exact for a client that trims.
 */

/**
 * Patterns that mean the same in ECMA-262 (with and without the `u` flag), RE2 (Go), Rust, Python, Java and .NET, except
 * for white space beyond ASCII (docs/clients.md), and need time linear in the text when they backtrack.
 */
const WITHOUT_NUL = '^[^\\x00]*$';
const WITHOUT_NUL_NOT_BLANK = '^\\s*[^\\s\\x00][^\\x00]*$';

/** The task of the document's examples. */
export const EXAMPLE = {
  id: '0199d3a4-7c1e-7b52-9d0f-3a2b1c4d5e6f',
  user_id: 'user_1',
  title: 'Buy oat milk',
  description: 'Two cartons, the barista kind',
  is_completed: false,
  created_at: '2026-11-21T09:30:00.123456Z',
  updated_at: '2026-11-21T09:30:00.123456Z',
  deleted_at: null,
  version: 7,
};

const MAX_TITLE_LENGTH = 200;
const MAX_DESCRIPTION_LENGTH = 2000;

/** @returns `value` trimmed; adds an issue to `context` if that cannot be stored or has over `limit` code points. */
function trimmed(value: string, label: string, limit: number, context: z.RefinementCtx): string {
  const text = value.trim();
  if (!isStorableText(text)) {
    context.addIssue({ code: 'custom', message: `${label} contains characters that cannot be stored` });
  } else if (codePointLength(text) > limit) {
    context.addIssue({ code: 'custom', message: `${label} cannot exceed ${limit} characters` });
  }
  return text;
}

/** Adds an issue to `context` that names the fields if none of those that users write is among `given`. */
export function requireField(given: readonly string[], context: z.RefinementCtx): void {
  const names = Object.keys(TaskFields.shape);
  if (given.some((name) => names.includes(name))) return;
  const ignored = given.slice(0, 5).map((name) => name.slice(0, 50));
  const more = ignored.length === 0 ? '' : `: ${names.join(', ')}. Ignored: ${ignored.join(', ')}`;
  context.addIssue({ code: 'custom', path: ['body'], message: `At least one field must be provided${more}` });
}

/** @param absent the message for a title that is missing or null. */
const title = (absent: string) =>
  z
    .string({ error: ({ input }) => (input === undefined || input === null ? absent : 'Title must be a string') })
    .meta({
      description: `Trimmed; 1 to ${MAX_TITLE_LENGTH} Unicode code points after trimming.`,
      minLength: 1,
      maxLength: MAX_TITLE_LENGTH,
      pattern: WITHOUT_NUL_NOT_BLANK,
      examples: [EXAMPLE.title],
    })
    .transform((value, context) => {
      const text = trimmed(value, 'Title', MAX_TITLE_LENGTH, context);
      if (text === '') context.addIssue({ code: 'custom', message: 'Title cannot be empty' });
      return text;
    })
    .pipe(z.string().meta({ minLength: 1, maxLength: MAX_TITLE_LENGTH, examples: [EXAMPLE.title] }));

const description = z
  .string({ error: 'Description must be a string' })
  .nullable()
  .meta({
    description: `Trimmed; at most ${MAX_DESCRIPTION_LENGTH} Unicode code points after trimming; empty becomes null.`,
    maxLength: MAX_DESCRIPTION_LENGTH,
    pattern: WITHOUT_NUL,
    examples: [EXAMPLE.description],
  })
  .transform((value, context) =>
    value === null ? null : trimmed(value, 'Description', MAX_DESCRIPTION_LENGTH, context) || null,
  )
  .pipe(
    z
      .string()
      .nullable()
      .meta({ minLength: 1, maxLength: MAX_DESCRIPTION_LENGTH, examples: [EXAMPLE.description, null] }),
  );

const isCompleted = z
  .boolean({
    error: ({ input }) =>
      `Completed status must be true or false${typeof input === 'string' ? ', without quotes' : ''}`,
  })
  .meta({ description: 'Whether the task is completed.', examples: [EXAMPLE.is_completed] });

/** What users write: a new field is one line here, and one in `EXAMPLE`. Input schemas: requests; output: answers. */
const TaskFields = z.object({
  title: title('Title cannot be empty'),
  description,
  is_completed: isCompleted,
});

/** The body of a create. Fields that the service owns and unknown fields are ignored. */
export const TaskCreate = TaskFields.partial()
  .extend({ title: title('Title is required and cannot be empty') })
  .meta({
    id: 'TaskCreate',
    description: 'A task to create. Other fields are ignored.',
    examples: [{ title: EXAMPLE.title, description: EXAMPLE.description }],
  });

export type TaskCreate = z.output<typeof TaskCreate>;

const NAMES = Object.keys(TaskFields.shape)
  .map((name) => `\`${name}\``)
  .join(', ');

/** The fields of an update; at least one has to be given. */
export const TaskChanges = TaskFields.partial();

const withAField = (body: unknown, context: z.RefinementCtx) => {
  requireField(Object.keys(body ?? {}), context);
  return body;
};

/** The body of an update: any non-empty subset of the fields that users write. */
export const TaskUpdate = z.preprocess(withAField, TaskChanges).meta({
  id: 'TaskUpdate',
  description: `The fields to change, at least one of ${NAMES}. Fields not given keep their values; others are ignored.`,
  minProperties: 1,
  examples: [{ is_completed: true }, { title: EXAMPLE.title, description: null }],
});

export type TaskUpdate = z.output<typeof TaskUpdate>;

const INVALID_ID = 'Task id must be a UUID';
const UUID = /^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$/;

/** A task's id in upper or lower case; converted to lower case (RFC 9562, section 4). */
export const TaskId = z
  .string({ error: INVALID_ID })
  .refine((id) => UUID.test(id), INVALID_ID)
  .transform((id) => id.toLowerCase())
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

/** The query parameters of the list. */
export const TaskListQuery = z.object({
  deleted: flag('`true` lists the deleted tasks that can be restored, newest deletion first.'),
});

/** The query parameters of a deletion. */
export const TaskDeletionQuery = z.object({
  permanent: flag('`true` deletes the content at once, also that of a task that is deleted already.'),
});

export const MAX_TASKS_IN_LIST = 1000;

export const TaskList = z
  .object({ tasks: z.array(Task).max(MAX_TASKS_IN_LIST) })
  .meta({ id: 'TaskList', description: "The user's newest tasks, newest first.", examples: [{ tasks: [EXAMPLE] }] });

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
