import { z } from 'zod';
import { EXAMPLE, requireNeeded } from '../tasks/fields.ts';
import { refuseBothTags, requireField, TaskChanges, TaskCreate, TaskId } from '../tasks/task.ts';

export const MAX_OPERATIONS = 100;
export const MAX_BATCH_BYTES = 262_144;

const expected = z
  .int({ error: 'if_version must be an integer' })
  .nonnegative()
  .optional()
  .meta({ description: 'The version on which it may be executed: else 412.', examples: [EXAMPLE.version] });
const absent = z
  .literal(0, 'if_version of a create can only be 0')
  .optional()
  .meta({ type: 'integer', description: '0: a create is never executed on a task that exists.', examples: [0] });
const target = { id: TaskId, if_version: expected };

const create = z
  .object({ op: z.literal('create'), id: TaskId.optional(), if_version: absent, ...TaskCreate.shape })
  .superRefine(requireNeeded);
const put = z.object({ op: z.literal('put'), ...target, ...TaskCreate.shape }).superRefine(requireNeeded);
const update = z.object({ op: z.literal('update'), ...target, ...TaskChanges.shape }).superRefine(refuseBothTags);
const toggle = z.object({ op: z.literal('toggle'), ...target });
const remove = z.object({ op: z.literal('delete'), ...target });
const restore = z.object({ op: z.literal('restore'), ...target });

const { id, title } = EXAMPLE;
const ofTask = { id, if_version: EXAMPLE.version };

/** One operation of a batch, as the body of its own route. */
const BatchOperation = z
  .discriminatedUnion(
    'op',
    [
      create.meta({
        id: 'BatchCreate',
        description: 'Creates a task, under an id of its own or of the client.',
        examples: [{ op: 'create', title }],
      }),
      put.meta({
        id: 'BatchPut',
        description: 'Replaces the task, or creates it; with `if_version` 0 it must not exist.',
        examples: [{ op: 'put', id, title, is_completed: true }],
      }),
      update.meta({
        id: 'BatchUpdate',
        description: 'Changes the given fields of the task, at least one.',
        minProperties: 3,
        examples: [{ op: 'update', ...ofTask, description: null }],
      }),
      toggle.meta({
        id: 'BatchToggle',
        description: 'Inverts `is_completed` of the task.',
        examples: [{ op: 'toggle', id }],
      }),
      remove.meta({
        id: 'BatchDelete',
        description: 'Deletes the task; a success also if it is gone.',
        examples: [{ op: 'delete', ...ofTask }],
      }),
      restore.meta({
        id: 'BatchRestore',
        description: 'Restores the deleted task.',
        examples: [{ op: 'restore', id }],
      }),
    ],
    { error: 'op must be one of create, put, update, toggle, delete, restore' },
  )
  .meta({ id: 'BatchOperation', description: 'One operation of a batch.', examples: [{ op: 'toggle', id }] });

export type BatchOperation = z.output<typeof BatchOperation>;

const NamedUpdate = z.looseObject({ op: z.literal('update') });

const withAField = (value: unknown, context: z.RefinementCtx) => {
  const { data } = NamedUpdate.safeParse(value);
  const isNamed = (name: string) => !['op', ...Object.keys(target)].includes(name);
  if (data !== undefined) requireField(Object.keys(data).filter(isNamed), context);
  return value;
};

const Operation = z.preprocess(withAField, BatchOperation);

/** @returns the operation, or what is wrong with it. */
export const parseOperation = (value: unknown): z.ZodSafeParseResult<BatchOperation> => Operation.safeParse(value);

/** The operations of a batch. */
const listOf = <Item extends z.ZodType>(item: Item) =>
  z
    .array(item, { error: 'operations must be an array' })
    .max(MAX_OPERATIONS, `At most ${MAX_OPERATIONS} operations may be sent at once`);

/** The body of a batch. */
export const Batch = z
  .object({
    operations: listOf(BatchOperation).meta({ description: 'Executed in this order.' }),
    atomic: z
      .boolean({ error: 'atomic must be true or false' })
      .optional()
      .meta({
        description: 'Whether the first operation that fails undoes all: its error is then the answer.',
        examples: [true],
      }),
    if_unchanged_since: z
      .int({ error: 'if_unchanged_since must be an integer' })
      .nonnegative()
      .optional()
      .meta({
        description: 'Nothing is executed if a task that is named here has a version above this one: 412.',
        examples: [EXAMPLE.version],
      }),
  })
  .meta({
    id: 'Batch',
    description: 'Operations to be executed in order, in one transaction.',
    examples: [
      { operations: [{ op: 'create', title }] },
      {
        operations: [
          { op: 'toggle', id },
          { op: 'delete', ...ofTask },
        ],
        atomic: true,
      },
    ],
  });

/** A batch whose operations are not parsed yet: a malformed one fails by itself. */
export const BatchBody = Batch.extend({ operations: listOf(z.unknown()) });

export type BatchBody = z.output<typeof BatchBody>;
