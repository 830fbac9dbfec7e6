import { z } from 'zod';
import { codePointLength, isStorableText } from '../core/text.ts';

/*
 * The schemas that everything else is derived from: validation, types and the OpenAPI document. Text is judged after
 * trimming, so the document's limits are patterns over the untrimmed text (ECMA-262 with the `u` flag).
 */

/** What `String.prototype.trim` takes away, and what PostgreSQL cannot keep, as character classes. */
const SPACE = '\\t\\n\\v\\f\\r \\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000\\ufeff';
const UNSTORABLE = '\\u0000\\ud800-\\udfff';

/** A pattern for text of 1 to `most` code points after trimming. */
function trimmedPattern(most: number): string {
  const edge = `[^${SPACE}${UNSTORABLE}]`;
  return `[${SPACE}]*${edge}(?:[^${UNSTORABLE}]{0,${most - 2}}${edge})?[${SPACE}]*`;
}

/** The task of the document's examples. */
const EXAMPLE = {
  id: '0199d3a4-7c1e-7b52-9d0f-3a2b1c4d5e6f',
  user_id: 'user_1',
  title: 'Buy oat milk',
  description: 'Two cartons, the barista kind',
  is_completed: false,
  created_at: '2026-11-21T09:30:00.123456Z',
  updated_at: '2026-11-21T09:30:00.123456Z',
};

export const MAX_TITLE_LENGTH = 200;
export const MAX_DESCRIPTION_LENGTH = 2000;

interface TextMessages {
  readonly label: string;
  readonly absent: string;
  readonly limit: number;
}

const text = ({ label, absent, limit }: TextMessages) =>
  z
    .string({ error: ({ input }) => (input === undefined || input === null ? absent : `${label} must be a string`) })
    .transform((value, context) => {
      const trimmed = value.trim();
      const fault = !isStorableText(trimmed)
        ? `${label} contains characters that cannot be stored`
        : codePointLength(trimmed) > limit
          ? `${label} cannot exceed ${limit} characters`
          : null;
      if (fault !== null) context.issues.push({ code: 'custom', message: fault, input: value });
      return trimmed;
    });

const titleText = (absent: string) =>
  text({ label: 'Title', absent, limit: MAX_TITLE_LENGTH })
    .refine((title) => title !== '', 'Title cannot be empty')
    .meta({
      description: 'Trimmed; 1 to 200 Unicode code points after trimming.',
      pattern: `^${trimmedPattern(MAX_TITLE_LENGTH)}$`,
      examples: [EXAMPLE.title],
    });

const description = text({
  label: 'Description',
  absent: 'Description must be a string',
  limit: MAX_DESCRIPTION_LENGTH,
})
  .transform((value) => (value === '' ? null : value))
  .nullable()
  .meta({
    description: 'Trimmed; at most 2000 Unicode code points after trimming; empty becomes null.',
    pattern: `^(?:${trimmedPattern(MAX_DESCRIPTION_LENGTH)}|[${SPACE}]*)$`,
    examples: [EXAMPLE.description],
  });

const isCompleted = z
  .boolean({ error: 'Completed status must be true or false' })
  .meta({ description: 'Whether the task is done.', examples: [EXAMPLE.is_completed] });

/** The body of a create. Fields the service owns and unknown fields are ignored. */
export const NewTask = z
  .object({
    title: titleText('Title is required and cannot be empty'),
    description: description.optional(),
    is_completed: isCompleted.optional(),
  })
  .meta({
    id: 'NewTask',
    description: 'A task to create. Other fields are ignored.',
    examples: [{ title: EXAMPLE.title, description: EXAMPLE.description }],
  });

export type NewTask = z.output<typeof NewTask>;

/** The body of an update: any non-empty subset of the fields a user may change. */
export const TaskChange = z
  .object({
    title: titleText('Title cannot be empty').optional(),
    description: description.optional(),
    is_completed: isCompleted.optional(),
  })
  .refine((change) => Object.values(change).some((value) => value !== undefined), {
    path: ['body'],
    message: 'At least one field must be provided',
  })
  .meta({
    id: 'TaskChange',
    description: 'What to change: at least one of the fields; those not given stay. Other fields are ignored.',
    anyOf: [{ required: ['title'] }, { required: ['description'] }, { required: ['is_completed'] }],
    examples: [{ is_completed: true }, { title: EXAMPLE.title, description: null }],
  });

export type TaskChange = z.output<typeof TaskChange>;

const UUID = /^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$/;

/** A task's id in any case; lower case afterwards (RFC 9562, section 4). */
export const TaskId = z
  .string()
  .regex(UUID, 'Task id must be a UUID')
  .transform((id) => id.toLowerCase())
  .brand('TaskId')
  .meta({ description: 'The UUID of the task.', examples: [EXAMPLE.id] });

export type TaskId = z.output<typeof TaskId>;

const timestamp = z.string().meta({ format: 'date-time', pattern: 'Z$', examples: [EXAMPLE.created_at] });

const taskIdInAnswers = z.string().meta({
  format: 'uuid',
  pattern: '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$',
  examples: [EXAMPLE.id],
});

/** A task as every answer shows it: exactly these seven fields. */
export const Task = z
  .object({
    id: taskIdInAnswers,
    user_id: z
      .string()
      .min(1)
      .max(255)
      .meta({ description: "The token's `sub`.", examples: [EXAMPLE.user_id] }),
    title: z
      .string()
      .min(1)
      .max(MAX_TITLE_LENGTH)
      .meta({ examples: [EXAMPLE.title] }),
    description: z
      .string()
      .min(1)
      .max(MAX_DESCRIPTION_LENGTH)
      .nullable()
      .meta({ examples: [EXAMPLE.description, null] }),
    is_completed: z.boolean().meta({ examples: [EXAMPLE.is_completed] }),
    created_at: timestamp,
    updated_at: timestamp,
  })
  .meta({ id: 'Task', description: 'One todo item, owned by one user.', examples: [EXAMPLE] });

export const MAX_TASKS_IN_LIST = 1000;

export const TaskList = z
  .object({ tasks: z.array(Task).max(MAX_TASKS_IN_LIST) })
  .meta({ id: 'TaskList', description: "The user's newest tasks, newest first.", examples: [{ tasks: [EXAMPLE] }] });

const DELETED = 'Task deleted successfully';

export const DeletedTask = z
  .object({
    message: z.literal(DELETED),
    id: taskIdInAnswers,
  })
  .meta({
    id: 'DeletedTask',
    description: 'The task is gone.',
    examples: [{ message: DELETED, id: EXAMPLE.id }],
  });
