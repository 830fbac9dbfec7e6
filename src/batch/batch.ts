import { z } from 'zod';
import { Task, TaskCreate, TaskId, TaskUpdate } from '../tasks/task.ts';

export const MAX_OPERATIONS = 100;
export const MAX_BATCH_BYTES = 262_144;

const expected = z.int({ error: 'if_version must be an integer' }).nonnegative().optional();
const OPERATIONS = ['create', 'put', 'update', 'toggle', 'delete', 'restore'] as const;

const op = <Name extends (typeof OPERATIONS)[number]>(name: Name) => z.object({ op: z.literal(name) });
const target = z.object({ id: TaskId, if_version: expected });
const absent = z.literal(0, 'if_version of a create can only be 0').optional();

/** An operation without the fields of the task, which its own schema parses. */
const Operation = z.discriminatedUnion(
  'op',
  [
    op('create').extend({ id: TaskId.optional(), if_version: absent }),
    op('put').extend(target.shape),
    op('update').extend(target.shape),
    op('toggle').extend(target.shape),
    op('delete').extend(target.shape),
    op('restore').extend(target.shape),
  ],
  { error: `op must be one of ${OPERATIONS.join(', ')}` },
);

type Parsed = z.output<typeof Operation>;

/** One operation of a batch, with the fields of its task. */
export type BatchOperation =
  | (Extract<Parsed, { op: 'create' }> & { readonly task: TaskCreate })
  | (Extract<Parsed, { op: 'put' }> & { readonly task: TaskCreate })
  | (Extract<Parsed, { op: 'update' }> & { readonly changes: TaskUpdate })
  | Extract<Parsed, { op: 'toggle' | 'delete' | 'restore' }>;

/** @returns the operation, or what is wrong with it. */
export function parseOperation(value: unknown): z.ZodSafeParseResult<BatchOperation> {
  return OperationWithFields.safeParse(value);
}

const addIssues = (context: z.RefinementCtx, error: z.ZodError) => {
  for (const { path, message } of error.issues) context.addIssue({ code: 'custom', path: [...path], message });
  return z.NEVER;
};

const OperationWithFields = z.unknown().transform((value, context): BatchOperation => {
  const operation = Operation.safeParse(value);
  if (!operation.success) return addIssues(context, operation.error);
  const { data } = operation;
  if (data.op === 'create' || data.op === 'put') {
    const task = TaskCreate.safeParse(value);
    return task.success ? { ...data, task: task.data } : addIssues(context, task.error);
  }
  if (data.op === 'update') {
    const changes = TaskUpdate.safeParse(value);
    return changes.success ? { ...data, changes: changes.data } : addIssues(context, changes.error);
  }
  return data;
});

/** The body of a batch. Its operations are parsed one by one: a malformed one fails by itself. */
export const Batch = z
  .object({
    operations: z
      .array(z.unknown(), { error: 'operations must be an array' })
      .max(MAX_OPERATIONS, `At most ${MAX_OPERATIONS} operations may be sent at once`)
      .meta({
        description:
          'Each an object with `op` (`create`, `put`, `update`, `toggle`, `delete`, `restore`), the `id` of the task ' +
          '(optional for `create`), the fields of the task for `create`, `put` (which replaces or creates it) and `update`, ' +
          'and optionally `if_version`: the version on which it may be executed, 0 if the task must not exist.',
        items: { type: 'object', required: ['op'], properties: { op: { type: 'string', enum: [...OPERATIONS] } } },
      }),
    atomic: z
      .boolean({ error: 'atomic must be true or false' })
      .optional()
      .meta({ description: 'Whether the first operation that fails undoes all: its error is then the answer.' }),
    if_unchanged_since: z
      .int({ error: 'if_unchanged_since must be an integer' })
      .nonnegative()
      .optional()
      .meta({ description: 'Nothing is executed if a task that is named here has a version above this one: 412.' }),
  })
  .meta({
    id: 'Batch',
    description: 'Operations to be executed in order, in one transaction.',
    examples: [{ operations: [{ op: 'create', title: 'Buy oat milk' }] }],
  });

export type Batch = z.output<typeof Batch>;

const Result = z
  .object({
    status: z.int().meta({ description: 'As the status of the route for this operation.' }),
    id: z.string().optional().meta({ description: 'Of a deleted task.' }),
    task: Task.optional(),
    current: Task.optional(),
    error: z.string().optional(),
    code: z.string().optional(),
    details: z.array(z.object({ field: z.string(), message: z.string() })).optional(),
  })
  .meta({ id: 'BatchResult', description: 'What became of one operation.' });

export const BatchResults = z
  .object({
    results: z.array(Result).max(MAX_OPERATIONS).meta({ description: 'In the order of the operations.' }),
    version: z.int().nonnegative().meta({ description: "The user's counter after the batch." }),
  })
  .meta({ id: 'BatchResults', description: 'What became of the operations of a batch.' });
