import { z } from 'zod';
import { AppError } from '../core/errors.ts';
import type { Principal, UserId } from '../core/user.ts';
import type { Database } from '../database/database.ts';
import { TransactionAbortedError } from '../database/errors.ts';
import type { BoundStatement, Row } from '../database/sql.ts';
import { type Effect, OPERATION_FAILED, type Retry } from './effect.ts';
import { type Outcome, toOutcome } from './outcome.ts';
import { claimKey, getReply, KEY_USED, keepReply, lockExistingUser, lockUser } from './write-sql.ts';

/** What a request is to change. */
interface WriteRequest {
  readonly effects: readonly Effect[];
  /** Whether the first effect that fails undoes the others. */
  readonly isAtomic: boolean;
  /** Run before the effects, under the lock of the user; may abort. */
  readonly before?: readonly BoundStatement[];
  /** Run after the effects; their rows are ignored. */
  readonly after?: readonly BoundStatement[];
  /** Null if the request has no idempotency key. */
  readonly retry: Retry | null;
}

/** What became of a request. */
interface Written {
  /** Of each effect in order; of the first that failed alone if all were undone. */
  readonly outcomes: readonly Outcome[];
  /** The index of the effect whose failure undid all; null if none was undone. */
  readonly failedAt: number | null;
  /** Whether the request had been executed before, and this is what became of it then. */
  readonly isReplayed: boolean;
}

/** The one way to change what a user has: every write of one user waits for the one before it. */
export interface Writer {
  /**
   * Runs the effects in order as one transaction, under the lock of the user's row. With an idempotency key, a request is
   * executed once: effects and outcome are committed together.
   * @throws {AppError} `IDEMPOTENCY_MISMATCH` if the key was used for another request; as `Database.transaction` does.
   */
  write(user: Principal, request: WriteRequest): Promise<Written>;
}

const Failed = z.tuple([z.int(), z.string(), z.string().nullable(), z.number().nullable(), z.string().nullable()]);

/** @returns the index and outcome of the effect that aborted the transaction. @throws {Error} `error`, if none did. */
function failureOf(error: unknown): { readonly part: number; readonly outcome: Outcome } {
  if (!(error instanceof TransactionAbortedError) || error.code !== OPERATION_FAILED) throw error;
  const [part, kind, id, version, json] = Failed.parse(JSON.parse(error.detail));
  return { part, outcome: toOutcome([kind, id, version === null ? null : String(version), json]) };
}

const isKeyUsed = (error: unknown) => error instanceof TransactionAbortedError && error.code === KEY_USED;

/** @param onWritten called with the user after each commit. */
export function createWriter(database: Database, onWritten: (user: UserId) => void): Writer {
  /** @returns the rows of `statements`, run after `first`. */
  const run = (user: Principal, first: readonly BoundStatement[], statements: readonly BoundStatement[]) => {
    const { userId: owner } = user;
    const identity = { kind: 'user', userId: owner } as const;
    return database.transaction(identity, [...first, ...statements]).then((results) => results.slice(first.length));
  };

  /** The statements that come before the effects of a request. */
  const prepare = ({ userId: owner, email }: Principal, retry: Retry | null, effects: readonly Effect[]) => {
    if (retry !== null) return [lockUser({ owner, email }), claimKey({ owner, key: retry.key })];
    if (effects.every(({ needs }) => needs === 'lock')) return [lockExistingUser({ owner })];
    return effects.length === 1 && effects[0]?.needs === 'nothing' ? [] : [lockUser({ owner, email })];
  };

  /** @returns what became of the request with the key; null if that is no longer kept. */
  const replay = async ({ userId }: Principal, retry: Retry, effects: readonly Effect[]): Promise<Written | null> => {
    const identity = { kind: 'user', userId } as const;
    const [rows = []] = await database.transaction(identity, [getReply({ owner: userId, key: retry.key })]);
    const [[request, part] = []] = rows;
    if (request === undefined) return null;
    if (request !== retry.request) throw new AppError('IDEMPOTENCY_MISMATCH');
    const outcomes = rows.map((row: Row) => toOutcome(row.slice(2)));
    // Of a request that was undone, only the outcome that undid it was kept.
    return { outcomes, failedAt: outcomes.length < effects.length ? Number(part) : null, isReplayed: true };
  };

  const attempt = async (user: Principal, request: WriteRequest): Promise<Written> => {
    const { effects, isAtomic, before = [], after = [], retry } = request;
    const owner = user.userId;
    const bound = effects.map((effect, part) => effect.at({ owner, part, isAtomic, retry }));
    try {
      const results = await run(user, prepare(user, retry, effects), [...before, ...bound, ...after]);
      const rows = results.slice(before.length, before.length + effects.length);
      return { outcomes: rows.map(([row = []]) => toOutcome(row)), failedAt: null, isReplayed: false };
    } catch (error) {
      if (isKeyUsed(error)) throw error;
      const { part, outcome } = failureOf(error);
      const { kind, id: task, version, json } = outcome;
      if (retry !== null) {
        const reply = keepReply({ owner, ...retry, part, kind, task, version, json });
        await run(user, prepare(user, retry, []), [reply]);
      }
      return { outcomes: [outcome], failedAt: part, isReplayed: false };
    }
  };

  return {
    write: async (user, request) => {
      for (;;) {
        try {
          const written = await attempt(user, request);
          onWritten(user.userId);
          return written;
        } catch (error) {
          if (!isKeyUsed(error) || request.retry === null) throw error;
        }
        const replayed = await replay(user, request.retry, request.effects);
        if (replayed !== null) return replayed;
      }
    },
  };
}
