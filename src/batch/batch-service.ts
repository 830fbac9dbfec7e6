import type { z } from 'zod';
import { AppError, type FieldError } from '../core/errors.ts';
import type { Principal } from '../core/user.ts';
import type { ListEffects } from '../lists/list-effects.ts';
import type { TaskCreate } from '../tasks/task.ts';
import type { TaskEffects } from '../tasks/task-effects.ts';
import type { Effect, Retry } from '../writes/effect.ts';
import type { Outcome } from '../writes/outcome.ts';
import type { Writer } from '../writes/writer.ts';
import {
  type BatchBody,
  type BatchOperation,
  type ListOperation,
  parseOperation,
  type TaskOperation,
} from './batch.ts';
import { abortIfChanged, abortIfListChanged, readCounter } from './batch-sql.ts';

/** What became of a batch. */
type BatchResult =
  | {
      readonly kind: 'executed';
      /** Of each operation, in order: the outcome, or what is wrong with it. */
      readonly results: readonly (Outcome | AppError)[];
      /** The user's counter. */
      readonly version: number;
      readonly isReplayed: boolean;
    }
  /** Nothing was changed, because of the operation with this index. */
  | { readonly kind: 'undone'; readonly index: number; readonly outcome: Outcome; readonly isReplayed: boolean };

export interface BatchService {
  /**
   * Executes the operations in order, in one transaction.
   * @throws {AppError} `VALIDATION_ERROR` for a malformed operation of an atomic batch.
   */
  execute(user: Principal, batch: BatchBody, retry: Retry | null): Promise<BatchResult>;
}

function malformed({ issues }: z.ZodError, index?: number): AppError {
  const details: FieldError[] = issues.map(({ path, message }) => ({ field: path.join('.') || 'body', message }));
  return new AppError('VALIDATION_ERROR', { details, ...(index === undefined ? {} : { index }) });
}

const isOfList = (operation: BatchOperation): operation is ListOperation => operation.type === 'list';

/** The ids that the operations on lists or on tasks name, `null` in place of the others, as an array of SQL. */
const idsIn = (operations: readonly BatchOperation[], ofLists: boolean) =>
  `{${operations.map((operation) => (isOfList(operation) === ofLists && operation.id) || 'null').join(',')}}`;

interface Effects {
  readonly tasks: TaskEffects;
  readonly lists: ListEffects;
}

export function createBatchService(writer: Writer, { tasks, lists }: Effects): BatchService {
  const listEffectOf = (user: Principal, operation: ListOperation, expected: readonly number[] | null): Effect => {
    const { if_version: version } = operation;
    switch (operation.op) {
      case 'create':
        return lists.create(user, operation.id ?? null, operation);
      case 'put':
        return version === 0
          ? lists.create(user, operation.id, operation)
          : lists.put(user, operation.id, operation, expected);
      case 'update':
        return lists.update(user, operation.id, operation, expected);
      case 'delete':
        return lists.delete(user, operation.id, { tasks: operation.tasks ?? 'inbox', absent: 'deleted' }, expected);
    }
  };

  const taskEffectOf = (user: Principal, operation: TaskOperation, expected: readonly number[] | null): Effect => {
    const { if_version: version } = operation;
    switch (operation.op) {
      case 'create':
        return tasks.create(user, operation.id ?? null, operation);
      case 'put':
        return version === 0
          ? tasks.create(user, operation.id, operation)
          : tasks.put(user, operation.id, operation, expected);
      case 'update':
        return tasks.update(user, operation.id, operation, expected);
      case 'toggle':
        return tasks.toggle(user, operation.id, operation, expected);
      case 'delete':
        return tasks.delete(user, operation.id, { isPermanent: false, absent: 'deleted' }, expected);
      case 'restore':
        return tasks.restore(user, operation.id, expected);
    }
  };

  const effectOf = (user: Principal, operation: BatchOperation): Effect => {
    const expected = operation.if_version === undefined ? null : [operation.if_version];
    return isOfList(operation) ? listEffectOf(user, operation, expected) : taskEffectOf(user, operation, expected);
  };

  /** Creates of tasks that follow each other are one effect. */
  const effectsOf = (user: Principal, operations: readonly BatchOperation[]): Effect[] => {
    const effects: Effect[] = [];
    let creates: TaskCreate[] = [];
    const flush = () => {
      if (creates.length > 0) effects.push(tasks.createMany(user, creates));
      creates = [];
    };
    for (const operation of operations) {
      const isNew = !isOfList(operation) && operation.op === 'create' && operation.id === undefined;
      if (isNew && tasks.isAlone(operation)) creates.push(operation);
      else {
        flush();
        effects.push(effectOf(user, operation));
      }
    }
    flush();
    return effects;
  };

  return {
    execute: async (user, { operations, atomic: isAtomic = false, if_unchanged_since: since }, retry) => {
      const parsed = operations.map(parseOperation);
      const firstFault = parsed.findIndex(({ success }) => !success);
      const fault = parsed[firstFault]?.error;
      if (isAtomic && fault !== undefined) throw malformed(fault, firstFault);
      const valid = parsed.flatMap(({ data }, index) => (data === undefined ? [] : [{ index, operation: data }]));
      const named = valid.map(({ operation }) => operation);
      const owner = user.userId;
      const { outcomes, failedAt, isReplayed } = await writer.write(user, {
        effects: [...effectsOf(user, named), readCounter({ owner })],
        isAtomic,
        before:
          since === undefined
            ? []
            : [
                abortIfChanged({ owner, ids: idsIn(named, false), since }),
                abortIfListChanged({ owner, ids: idsIn(named, true), since }),
              ],
        after: named.some(({ op }) => op === 'delete') ? tasks.afterDeletions(user) : [],
        retry,
      });
      const [first] = outcomes;
      if (failedAt !== null && first !== undefined) {
        const failed = valid[failedAt];
        const isOwn = valid
          .slice(0, failedAt)
          .some(
            ({ operation: { id, type } }) =>
              id !== undefined && id === failed?.operation.id && (type ?? 'task') === first.type,
          );
        // What an operation before it has made of the task or list is undone, and no present state.
        const outcome = isOwn && first.kind !== 'invalid' ? { ...first, version: null, json: null } : first;
        return { kind: 'undone', index: failed?.index ?? failedAt, outcome, isReplayed };
      }
      let executed = 0;
      const results = parsed.map((operation) => {
        const outcome = operation.success ? outcomes[executed++] : malformed(operation.error);
        if (outcome === undefined) throw new TypeError('An operation has no outcome');
        return outcome;
      });
      return { kind: 'executed', results, version: outcomes.at(-1)?.version ?? 0, isReplayed };
    },
  };
}
