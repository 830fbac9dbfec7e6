import {
  type Change,
  newTask as emptyTask,
  type Operation,
  type Task,
  type TaskCreate,
  TodoApiError,
  uuidv7,
} from 'todo-api-client';

/** A task as it is until the service has seen it. */
export const newTask = (fields: TaskCreate): Task => emptyTask(uuidv7(), '', new Date().toISOString(), fields);

/** The change of a task. */
export interface TaskChange {
  readonly id: string;
  readonly version: number;
  readonly deleted: boolean;
  readonly task: Task | null;
}

/** Those of `changes` that are of tasks. */
export const ofTasks = (changes: readonly Change[]): TaskChange[] =>
  changes.flatMap(({ type, id, version, deleted, task = null }) =>
    type === 'task' ? [{ id, version, deleted, task }] : [],
  );

/** The fields that need another, which is named behind them. */
const NEEDS = [
  ['due_time', 'due_date'],
  ['due_time_zone', 'due_time'],
  ['recurrence', 'due_date'],
] as const;

/** @returns what two devices together left without the field that it needs, such as a time without its date: cleared. */
export function orphaned(merged: object): Partial<Record<string, null>> {
  const values = new Map<string, unknown>(Object.entries(merged));
  const cleared: Record<string, null> = {};
  for (const [name, needed] of NEEDS) {
    if (!values.get(name) || values.get(needed)) continue;
    values.set(name, null);
    cleared[name] = null;
  }
  return cleared;
}

const MAX_OPERATIONS = 100;
/** The service takes 256 KiB. */
const MAX_BYTES = 200 * 1024;

/** The operations in their order, in parts that the service takes as one batch. */
export function inBatches<T>(items: readonly T[], operationsOf: (item: T) => readonly Operation[]): T[][] {
  const batches: T[][] = [];
  let [count, bytes] = [MAX_OPERATIONS, 0];
  for (const item of items) {
    const operations = operationsOf(item);
    const size = new TextEncoder().encode(JSON.stringify(operations)).length;
    if (count + operations.length > MAX_OPERATIONS || bytes + size > MAX_BYTES) {
      batches.push([]);
      [count, bytes] = [0, 0];
    }
    count += operations.length;
    bytes += size;
    batches.at(-1)?.push(item);
  }
  return batches;
}

export const hasCode = (error: unknown, code: string) => error instanceof TodoApiError && error.code === code;
