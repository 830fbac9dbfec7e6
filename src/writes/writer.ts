import { z } from 'zod';
import { AppError } from '../core/errors.ts';
import type { Principal, UserId } from '../core/user.ts';
import type { Database } from '../database/database.ts';
import { TransactionAbortedError } from '../database/errors.ts';
import type { BoundStatement, Row, Rows } from '../database/sql.ts';
import { type Effect, OPERATION_FAILED, type Retry, USER_MISSING, VALUE_NEEDED } from './effect.ts';
import { type Outcome, toOutcome, type WriteResult } from './outcome.ts';
import { UserQueues } from './user-queues.ts';
import { claimKey, getReply, KEY_USED, keepReply, lockExistingUser, lockUser, REPLIES_FULL } from './write-sql.ts';

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
  /** Of each operation in order; of the first that failed alone if all were undone. */
  readonly outcomes: readonly Outcome[];
  /** The index of the operation whose failure undid all; null if none was undone. */
  readonly failedAt: number | null;
  /** Whether the request had been executed before, and this is what became of it then. */
  readonly isReplayed: boolean;
}

/** The one way to change what a user has: every write of one user waits for the one before it. */
export interface Writer {
  /**
   * Runs the effects in order as one transaction, under the lock of the user's row. With an idempotency key, a request is
   * executed once: effects and outcome are committed together. Requests of one operation that wait for another of their
   * user are committed together: each waits for one flush of the disk, not for as many as there are before it.
   * `SERVICE_UNAVAILABLE` after 10 s of waiting, or if what an operation is computed from has changed three times before it
   * could be used; nothing was done then.
   * @throws {AppError} `RATE_LIMITED` if 256 MiB of the user's replies are kept; `IDEMPOTENCY_MISMATCH` if the key was used for another request; as `Database.transaction` does.
   */
  write(user: Principal, request: WriteRequest): Promise<Written>;
}

const Failed = z.tuple([
  z.int(),
  z.string(),
  z.string().nullable(),
  z.number().nullable(),
  z.string().nullable(),
  z.string(),
]);

/** @returns the index and outcome of the effect that aborted the transaction. @throws {Error} `error`, if none did. */
function failureOf(error: unknown): { readonly part: number; readonly outcome: Outcome } {
  if (!(error instanceof TransactionAbortedError) || error.code !== OPERATION_FAILED) throw error;
  const [part, kind, id, version, json, type] = Failed.parse(JSON.parse(error.detail));
  return { part, outcome: toOutcome([kind, id, version === null ? null : String(version), json], type) };
}

const Needed = z.tuple([z.int(), z.string().nullable(), z.array(z.tuple([z.string(), z.string()])).nullable()]);
/** How often a value is computed for one operation. */
const MAX_COMPUTED = 3;

/**
 * @param computed of each operation, by its index: how often it has aborted the transaction for want of a value.
 * @returns the effects, with a value for the one that has aborted it, and for others that will want one.
 * @throws {AppError} `SERVICE_UNAVAILABLE` if it has aborted three times before.
 */
function withValues(
  effects: readonly Effect[],
  cause: TransactionAbortedError,
  computed: Map<number, number>,
): Effect[] {
  const [part, state, others] = Needed.parse(JSON.parse(cause.detail));
  const times = computed.get(part) ?? 0;
  if (times === MAX_COMPUTED) throw new AppError('SERVICE_UNAVAILABLE', { cause });
  const states = new Map(others);
  let next = 0;
  return effects.map((effect) => {
    const own = next;
    next += effect.size;
    const known = own === part ? state : states.get(effect.computed?.id ?? '');
    if (effect.computed === undefined || known === undefined || (own !== part && computed.has(own))) return effect;
    if (known !== '') computed.set(own, own === part ? times + 1 : 0);
    return effect.computed.from(known);
  });
}

const isAbortedWith = (code: string, error: unknown) => error instanceof TransactionAbortedError && error.code === code;

/** A request, the statements of its transaction, and where those of its effects stand among them. */
interface Plan {
  readonly user: Principal;
  readonly request: WriteRequest;
  readonly statements: readonly BoundStatement[];
  readonly firstEffect: number;
}

interface Job {
  readonly user: Principal;
  readonly request: WriteRequest;
  /** `performance.now()` */
  readonly since: number;
  readonly resolve: (written: Written) => void;
  readonly reject: (error: unknown) => void;
}

const TOO_MANY_KEYS = 'Too many requests with an Idempotency-Key: their replies are kept for 24 hours';

/** How many requests are committed together. */
const MAX_JOINED = 16;
/** For how long a request waits for others of its user. */
const MAX_WAIT_MS = 10_000;

/** Whether it may share a transaction: one operation is short, and aborts it only in rare cases. */
const isJoinable = ({ request: { effects, before = [] } }: Job) => effects.length === 1 && before.length === 0;

/** Writes one operation. @param after run after it; their rows are ignored. */
export async function writeOne(
  writer: Writer,
  user: Principal,
  request: { readonly effect: Effect; readonly retry: Retry | null; readonly after?: readonly BoundStatement[] },
): Promise<WriteResult> {
  const { effect, retry, after = [] } = request;
  const { outcomes, isReplayed } = await writer.write(user, { effects: [effect], isAtomic: false, after, retry });
  const [outcome] = outcomes;
  if (outcome === undefined) throw new TypeError('The database returned no outcome');
  return { outcome, isReplayed };
}

/** @param onWritten called with the user after each commit. */
export function createWriter(database: Database, onWritten: (user: UserId) => void): Writer {
  const run = ({ userId }: Principal, statements: readonly BoundStatement[]) =>
    database.transaction({ kind: 'user', userId }, statements);

  /** The statements that come before the effects of a request. */
  const prepare = ({ userId: owner, email }: Principal, retry: Retry | null, effects: readonly Effect[]) => {
    if (retry !== null) return [lockUser({ owner, email }), claimKey({ owner, key: retry.key })];
    if (effects.every(({ needs }) => needs === 'lock')) return [lockExistingUser({ owner })];
    return effects.length === 1 && effects[0]?.needs === 'nothing' ? [] : [lockUser({ owner, email })];
  };

  const planOf = (user: Principal, request: WriteRequest): Plan => {
    const { effects, isAtomic, before = [], after = [], retry } = request;
    const first = [...prepare(user, retry, effects), ...before];
    let part = 0;
    const others = effects.length === 1 ? '{}' : `{${effects.flatMap(({ computed }) => computed?.id ?? []).join(',')}}`;
    const bound = effects.map((effect) => {
      const statement = effect.at({ owner: user.userId, part, isAtomic, others, retry });
      part += effect.size;
      return statement;
    });
    return { user, request, statements: [...first, ...bound, ...after], firstEffect: first.length };
  };

  const executed = ({ request: { effects }, firstEffect }: Plan, results: readonly Rows[]): Written => {
    const outcomes = effects.flatMap(({ type }, index) =>
      (results[firstEffect + index] ?? []).map((row) => toOutcome(row, type)),
    );
    return { outcomes, failedAt: null, isReplayed: false };
  };

  /** @returns what became of the request with the key; null if that is no longer kept. */
  const replay = async (user: Principal, retry: Retry, effects: readonly Effect[]): Promise<Written | null> => {
    const [rows = []] = await run(user, [getReply({ owner: user.userId, key: retry.key })]);
    const [[request, part] = []] = rows;
    if (request === undefined) return null;
    if (request !== retry.request) throw new AppError('IDEMPOTENCY_MISMATCH');
    const outcomes = rows.map((row: Row) => toOutcome(row.slice(2), row.at(-1) ?? null));
    // Of a request that was undone, only the outcome that undid it was kept.
    const isUndone = outcomes.length < effects.reduce((sum, { size }) => sum + size, 0);
    return { outcomes, failedAt: isUndone ? Number(part) : null, isReplayed: true };
  };

  const attempt = async (plan: Plan): Promise<Written> => {
    try {
      return executed(plan, await run(plan.user, plan.statements));
    } catch (error) {
      const { part, outcome } = failureOf(error);
      const { user, request } = plan;
      const { type, kind, id: task, version, json } = outcome;
      if (request.retry !== null) {
        const reply = keepReply({ owner: user.userId, ...request.retry, part, type, kind, task, version, json });
        await run(user, [...prepare(user, request.retry, []), reply]);
      }
      return { outcomes: [outcome], failedAt: part, isReplayed: false };
    }
  };

  const writeAlone = async (user: Principal, given: WriteRequest): Promise<Written> => {
    const computed = new Map<number, number>();
    let request = given;
    for (;;) {
      try {
        const written = await attempt(planOf(user, request)).catch((error: unknown) => {
          if (!isAbortedWith(USER_MISSING, error)) throw error;
          const { userId: owner, email } = user;
          return attempt(planOf(user, { ...request, before: [lockUser({ owner, email })] }));
        });
        onWritten(user.userId);
        return written;
      } catch (error) {
        if (error instanceof TransactionAbortedError && error.code === VALUE_NEEDED) {
          request = { ...request, effects: withValues(request.effects, error, computed) };
          continue;
        }
        if (isAbortedWith(REPLIES_FULL, error)) {
          throw new AppError('RATE_LIMITED', { message: TOO_MANY_KEYS, reason: 'replies', cause: error });
        }
        if (!isAbortedWith(KEY_USED, error) || request.retry === null) throw error;
      }
      const replayed = await replay(user, request.retry, request.effects);
      if (replayed !== null) return replayed;
    }
  };

  /** In one transaction; one after the other if one of them aborts it. */
  const writeJoined = async (jobs: readonly Job[], user: Principal): Promise<void> => {
    const plans = jobs.map((job) => planOf(job.user, job.request));
    const statements = plans.flatMap((plan) => plan.statements);
    const results = await run(user, statements).catch((error: unknown) => {
      if (error instanceof TransactionAbortedError) return null;
      throw error;
    });
    if (results === null) {
      for (const { user: own, request, resolve, reject } of jobs) await writeAlone(own, request).then(resolve, reject);
      return;
    }
    let start = 0;
    onWritten(user.userId);
    for (const [index, plan] of plans.entries()) {
      jobs[index]?.resolve(executed(plan, results.slice(start, start + plan.statements.length)));
      start += plan.statements.length;
    }
  };

  /** The first of `jobs`, with those behind it that may share its transaction. @returns how many were written. */
  const writeNext = async (jobs: readonly Job[]): Promise<number> => {
    const [first, ...others] = jobs.slice(0, MAX_JOINED);
    if (first === undefined) return 0;
    if (performance.now() - first.since > MAX_WAIT_MS) {
      const cause = new Error('The writes before it took too long');
      first.reject(new AppError('SERVICE_UNAVAILABLE', { cause }));
      return 1;
    }
    const last = others.findIndex((job) => !isJoinable(job));
    const joined = isJoinable(first) ? [first, ...(last === -1 ? others : others.slice(0, last))] : [first];
    const { user, request, resolve, reject } = first;
    if (joined.length === 1) await writeAlone(user, request).then(resolve, reject);
    else {
      await writeJoined(joined, user).catch((error: unknown) => {
        for (const job of joined) job.reject(error);
      });
    }
    return joined.length;
  };

  const queues = new UserQueues<Job>(async (jobs) => {
    for (let done = 0; done < jobs.length; ) done += await writeNext(jobs.slice(done));
  });

  return {
    write: (user, request) =>
      new Promise((resolve, reject) => {
        queues.push(user.userId, { user, request, since: performance.now(), resolve, reject });
      }),
  };
}
