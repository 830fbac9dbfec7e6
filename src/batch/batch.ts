import { z } from 'zod';
import { LIST_EXAMPLE, ListChanges, ListCreate, ListId, requireListField, tasksOfDeleted } from '../lists/list.ts';
import { EXAMPLE } from '../tasks/example.ts';
import { requireNeeded } from '../tasks/fields.ts';
import { requireOnePlace } from '../tasks/placement.ts';
import {
  refuseContradictions,
  requireCompletion,
  requireField,
  TaskChanges,
  TaskCreate,
  TaskId,
} from '../tasks/task.ts';

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

/** Of an operation on a task it may be left out. */
const ofTask = {
  type: z
    .literal('task')
    .optional()
    .meta({ description: '`task` if absent.', examples: ['task'] }),
};
const ofList = { type: z.literal('list') };

const create = z
  .object({
    op: z.literal('create'),
    ...ofTask,
    id: TaskId.optional(),
    if_version: absent,
    ...TaskCreate.shape,
  })
  .superRefine(requireNeeded)
  .superRefine(requireOnePlace);
const { completed_on } = TaskChanges.shape;
const put = z
  .object({ op: z.literal('put'), ...ofTask, ...target, ...TaskCreate.shape, completed_on })
  .superRefine(requireNeeded)
  .superRefine(requireOnePlace)
  .superRefine(requireCompletion);
const update = z
  .object({ op: z.literal('update'), ...ofTask, ...target, ...TaskChanges.shape })
  .superRefine(refuseContradictions);
const toggle = z.object({ op: z.literal('toggle'), ...ofTask, ...target, completed_on });
const remove = z.object({ op: z.literal('delete'), ...ofTask, ...target });
const restore = z.object({ op: z.literal('restore'), ...ofTask, ...target });

const createList = z.object({
  op: z.literal('create'),
  ...ofList,
  id: ListId.optional(),
  if_version: absent,
  ...ListCreate.shape,
});
const targetList = { ...ofList, id: ListId, if_version: expected };
const putList = z.object({ op: z.literal('put'), ...targetList, ...ListCreate.shape });
const updateList = z.object({ op: z.literal('update'), ...targetList, ...ListChanges.shape });
const removeList = z.object({ op: z.literal('delete'), ...targetList, tasks: tasksOfDeleted });

const { id, title } = EXAMPLE;
const thisTask = { id, if_version: EXAMPLE.version };
const { id: listId, name } = LIST_EXAMPLE;
const thisList = { type: 'list', id: listId, if_version: LIST_EXAMPLE.version };

const TASK_OPERATIONS = [
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
    examples: [{ op: 'update', ...thisTask, description: null }],
  }),
  toggle.meta({
    id: 'BatchToggle',
    description: 'Inverts `is_completed` of the task.',
    examples: [{ op: 'toggle', id }],
  }),
  remove.meta({
    id: 'BatchDelete',
    description: 'Deletes the task; a success also if it is gone.',
    examples: [{ op: 'delete', ...thisTask }],
  }),
  restore.meta({
    id: 'BatchRestore',
    description: 'Restores the deleted task.',
    examples: [{ op: 'restore', id }],
  }),
] as const;

const LIST_OPERATIONS = [
  createList.meta({
    id: 'BatchCreateList',
    description: 'Creates a list, under an id of its own or of the client.',
    examples: [{ op: 'create', type: 'list', name }],
  }),
  putList.meta({
    id: 'BatchPutList',
    description: 'Replaces the list, or creates it; with `if_version` 0 it must not exist.',
    examples: [{ op: 'put', type: 'list', id: listId, name }],
  }),
  updateList.meta({
    id: 'BatchUpdateList',
    description: 'Changes the given fields of the list, at least one.',
    minProperties: 4,
    examples: [{ op: 'update', ...thisList, is_archived: true }],
  }),
  removeList.meta({
    id: 'BatchDeleteList',
    description: 'Deletes the list; a success also if it is gone.',
    examples: [{ op: 'delete', ...thisList, tasks: 'inbox' }],
  }),
] as const;

/** One operation of a batch, as the body of its own route; what tells them apart are `type` and `op` together. */
const BatchOperation = z
  .xor([...TASK_OPERATIONS, ...LIST_OPERATIONS])
  .meta({ id: 'BatchOperation', description: 'One operation of a batch.', examples: [{ op: 'toggle', id }] });

const TaskOperation = z.discriminatedUnion('op', TASK_OPERATIONS, {
  error: 'op must be one of create, put, update, toggle, delete, restore',
});
const ListOperation = z.discriminatedUnion('op', LIST_OPERATIONS, {
  error: 'op of a list must be one of create, put, update, delete',
});
/** The same, with an error of the one that was meant. */
const ParsedOperation = z.discriminatedUnion('type', [TaskOperation, ListOperation], {
  error: ({ input }) =>
    typeof input === 'object' && input !== null ? 'type must be one of task, list' : 'must be a JSON object',
});

export type ListOperation = z.output<typeof ListOperation>;
export type TaskOperation = z.output<typeof TaskOperation>;
export type BatchOperation = TaskOperation | ListOperation;

const NamedUpdate = z.looseObject({ op: z.literal('update'), type: z.enum(['task', 'list']).default('task') });

const withAField = (value: unknown, context: z.RefinementCtx) => {
  const { data } = NamedUpdate.safeParse(value);
  if (data === undefined) return value;
  const { op, type, id, if_version, ...fields } = data;
  const requireOne = type === 'list' ? requireListField : requireField;
  requireOne(Object.keys(fields), context);
  return value;
};

const Operation = z.preprocess(withAField, ParsedOperation);

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
        description: 'Nothing is executed if a task or list that is named here has a version above this one: 412.',
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
          { op: 'delete', ...thisTask },
        ],
        atomic: true,
      },
    ],
  });

/** A batch whose operations are not parsed yet: a malformed one fails by itself. */
export const BatchBody = Batch.extend({ operations: listOf(z.unknown()) });

export type BatchBody = z.output<typeof BatchBody>;
