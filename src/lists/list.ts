import { z } from 'zod';
import { position, requireOneOf, trimmed, uuid, WITHOUT_NUL_NOT_BLANK } from '../core/fields.ts';

/* The schemas from which validation, types and the OpenAPI document are derived, as those of tasks. */

/** The list of the document's examples. */
export const LIST_EXAMPLE = {
  id: '0199d3a4-9b20-7c41-8e6a-5d7f2c3b4a19',
  user_id: 'user_1',
  name: 'Groceries',
  color: '#2f9e44',
  position: 'a0',
  is_archived: false,
  version: 8,
  created_at: '2026-11-21T09:31:00.123456Z',
  updated_at: '2026-11-21T09:31:00.123456Z',
};

/** Of one user. */
export const MAX_LISTS = 500;

const MAX_NAME_LENGTH = 100;

/** @param absent the message for a name that is missing or null. */
const name = (absent: string) =>
  z
    .string({ error: ({ input }) => (input === undefined || input === null ? absent : 'Name must be a string') })
    .meta({
      description: `Trimmed; 1 to ${MAX_NAME_LENGTH} Unicode code points after trimming.`,
      minLength: 1,
      maxLength: MAX_NAME_LENGTH,
      pattern: WITHOUT_NUL_NOT_BLANK,
      examples: [LIST_EXAMPLE.name],
    })
    .transform((value, context) => {
      const text = trimmed(value, 'Name', MAX_NAME_LENGTH, context);
      if (text === '') context.addIssue({ code: 'custom', message: 'Name cannot be empty' });
      return text;
    })
    .pipe(z.string().meta({ minLength: 1, maxLength: MAX_NAME_LENGTH, examples: [LIST_EXAMPLE.name] }));

const INVALID_COLOR = 'Color must be # and six hexadecimal digits, or null';
const color = z
  .string({ error: INVALID_COLOR })
  .regex(/^#[0-9a-fA-F]{6}$/, INVALID_COLOR)
  .nullable()
  .meta({ description: '`#rrggbb`; converted to lower case.', examples: [LIST_EXAMPLE.color, null] })
  .transform((value) => value?.toLowerCase() ?? null)
  .pipe(
    z
      .string()
      .nullable()
      .meta({ pattern: '^#[0-9a-f]{6}$', examples: [LIST_EXAMPLE.color, null] }),
  );

const isArchived = z
  .boolean({ error: 'Archived status must be true or false' })
  .meta({ description: 'Whether the list is archived.', examples: [LIST_EXAMPLE.is_archived] });

/** What users write. */
const ListFields = z.object({ name: name('Name cannot be empty'), color, position, is_archived: isArchived });

/** The body of a create. Fields that the service owns and unknown fields are ignored. */
export const ListCreate = ListFields.partial()
  .extend({ name: name('Name is required and cannot be empty') })
  .meta({
    id: 'ListCreate',
    description: 'A list to create; without a `position` it is the last. Other fields are ignored.',
    examples: [{ name: LIST_EXAMPLE.name, color: LIST_EXAMPLE.color }],
  });

export type ListCreate = z.output<typeof ListCreate>;

const NAMES = Object.keys(ListFields.shape);

/** The fields of an update; at least one has to be given. */
export const ListChanges = ListFields.partial();

/** Adds an issue to `context` that names the fields if none of those that users write is among `given`. */
export const requireListField = (given: readonly string[], context: z.RefinementCtx): void =>
  requireOneOf(NAMES, given, context);

const withAField = (body: unknown, context: z.RefinementCtx) => {
  requireListField(Object.keys(body ?? {}), context);
  return body;
};

const QUOTED_NAMES = NAMES.map((one) => `\`${one}\``).join(', ');

/** The body of an update: any non-empty subset of the fields that users write. */
export const ListUpdate = z.preprocess(withAField, ListChanges).meta({
  id: 'ListUpdate',
  description: `The fields to change, at least one of ${QUOTED_NAMES}. Fields not given keep their values; others are ignored.`,
  minProperties: 1,
  examples: [{ name: LIST_EXAMPLE.name }, { color: null, is_archived: true }],
});

export type ListUpdate = z.output<typeof ListUpdate>;

export const INVALID_LIST_ID = 'List id must be a UUID';

/** A list's id. */
export const ListId = uuid(INVALID_LIST_ID)
  .brand('ListId')
  .meta({ format: 'uuid', description: 'The UUID of the list.', examples: [LIST_EXAMPLE.id] });

export type ListId = z.output<typeof ListId>;

const timestamp = z
  .string()
  .meta({ format: 'date-time', description: 'UTC, with `Z` and microseconds.', examples: [LIST_EXAMPLE.created_at] });

const responseListId = z.string().meta({ format: 'uuid', description: 'In lower case.', examples: [LIST_EXAMPLE.id] });

/** A list in an answer. */
export const List = z
  .object({
    id: responseListId,
    user_id: z
      .string()
      .min(1)
      .max(255)
      .meta({ description: "The token's `sub`.", examples: [LIST_EXAMPLE.user_id] }),
    ...ListFields.shape,
    version: z
      .int()
      .nonnegative()
      .meta({ description: 'The number of its last change, of the same counter as those of tasks.', examples: [8] }),
    created_at: timestamp,
    updated_at: timestamp,
  })
  .meta({ id: 'List', description: 'A list of tasks, owned by one user.', examples: [LIST_EXAMPLE] });

export const Lists = z
  .object({ lists: z.array(List).max(MAX_LISTS) })
  .meta({ id: 'Lists', description: "The user's lists, by position.", examples: [{ lists: [LIST_EXAMPLE] }] });

const TASKS_OF_DELETED = ['inbox', 'delete'] as const;

/** What becomes of the tasks of a list that is deleted. */
export type TasksOfDeleted = (typeof TASKS_OF_DELETED)[number];

export const tasksOfDeleted = z
  .enum(TASKS_OF_DELETED, { error: 'tasks must be inbox or delete' })
  .optional()
  .meta({ description: 'What becomes of its tasks: `inbox`, if absent, moves them there; `delete` deletes them.' });

/** The query parameters of a deletion. */
export const ListDeletionQuery = z.object({ tasks: tasksOfDeleted });

/** The `message` of a deletion's answer. */
export const LIST_DELETED_MESSAGE = 'List deleted successfully';

export const DeletedList = z.object({ message: z.literal(LIST_DELETED_MESSAGE), id: responseListId }).meta({
  id: 'DeletedList',
  description: 'The list was deleted.',
  examples: [{ message: LIST_DELETED_MESSAGE, id: LIST_EXAMPLE.id }],
});
