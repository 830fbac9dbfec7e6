import type { z } from 'zod';
import { AppError, type FieldError } from '../core/errors.ts';
import type { Principal } from '../core/user.ts';
import type { TaskCreate } from '../tasks/task.ts';
import type { TaskEffects } from '../tasks/task-effects.ts';
import type { Effect, Retry } from '../writes/effect.ts';
import type { Outcome } from '../writes/outcome.ts';
import type { Writer } from '../writes/writer.ts';
import { type BatchBody, type BatchOperation, parseOperation } from './batch.ts';
import { abortIfChanged, readCounter } from './batch-sql.ts';

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

export function createBatchService(writer: Writer, tasks: TaskEffects): BatchService {
  const effectOf = (user: Principal, operation: BatchOperation): Effect => {
    const { if_version: version } = operation;
    const expected = version === undefined ? null : [version];
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
        return tasks.toggle(user, operation.id, expected);
      case 'delete':
        return tasks.delete(user, operation.id, { isPermanent: false, absent: 'deleted' }, expected);
      case 'restore':
        return tasks.restore(user, operation.id, expected);
    }
  };

  /** Creates that follow each other are one effect. */
  const effectsOf = (user: Principal, operations: readonly BatchOperation[]): Effect[] => {
    const effects: Effect[] = [];
    let creates: TaskCreate[] = [];
    const flush = () => {
      if (creates.length > 0) effects.push(tasks.createMany(user, creates));
      creates = [];
    };
    for (const operation of operations) {
      if (operation.op === 'create' && operation.id === undefined) creates.push(operation);
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
      const ids = valid.map(({ operation }) => operation.id ?? 'null');
      const owner = user.userId;
      const { outcomes, failedAt, isReplayed } = await writer.write(user, {
        effects: [
          ...effectsOf(
            user,
            valid.map(({ operation }) => operation),
          ),
          readCounter({ owner }),
        ],
        isAtomic,
        before: since === undefined ? [] : [abortIfChanged({ owner, ids: `{${ids.join(',')}}`, since })],
        after: valid.some(({ operation }) => operation.op === 'delete') ? tasks.afterDeletions(user) : [],
        retry,
      });
      const [first] = outcomes;
      if (failedAt !== null && first !== undefined) {
        const failed = valid[failedAt];
        const isOwn = valid
          .slice(0, failedAt)
          .some(({ operation: { id } }) => id !== undefined && id === failed?.operation.id);
        // What an operation before it has made of the task is undone, and no present state.
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
