import type { Identity } from '../identity.ts';
import type { BoundStatement, Rows } from '../sql.ts';
import { AnswerSizes } from './answer-sizes.ts';
import type { PipelinedConnection } from './connection.ts';

export interface QueuedTransaction {
  readonly identity: Identity;
  readonly statements: readonly BoundStatement[];
  readonly access: 'read' | 'write';
  /** From enqueueing to the answer, in milliseconds. */
  readonly deadlineMs: number;
  /** `performance.now()` */
  readonly enqueuedAt: number;
  readonly resolve: (results: readonly Rows[]) => void;
  readonly reject: (error: Error) => void;
  attempts: number;
  /** The size of answer that it was last sent for, in characters. */
  expectedSize: number;
}

interface Choice {
  readonly queued: QueuedTransaction;
  readonly connection: PipelinedConnection;
}

/**
 * Load balancing: reads fill one connection up to this many before the next is used, which takes fewer system calls;
 * writes go to the connection with the fewest in flight, because each waits for an fsync.
 */
const READS_PER_CONNECTION = 8;
/** Head-of-line blocking: a connection whose oldest transaction is older than this gets no new ones. */
const BLOCKED_AFTER_MS = 100;
/**
 * Of answers expected on one connection, in characters. A larger one goes to an idle connection, with nothing behind it;
 * of those there is one at a time.
 */
const MAX_EXPECTED = 1_048_576;
/** Not worth counting. */
const SMALL = 16_384;

const ownerOf = ({ identity }: QueuedTransaction) =>
  identity.kind === 'user' ? identity.userId : `\0${identity.kind}`; // no user id contains U+0000

/** The name by which the size of its answer is remembered; null if that is not worth it. */
const questionOf = ({ identity, access, statements }: QueuedTransaction) =>
  identity.kind === 'user' && access === 'read' ? (statements.at(-1)?.statement.name ?? null) : null;

function sizeOf(results: readonly Rows[]): number {
  let size = 0;
  for (const rows of results) for (const row of rows) for (const field of row) size += field?.length ?? 0;
  return size;
}

/**
 * The queue of a connection pool. Users take turns, whatever each has queued, and each user's transactions keep their
 * order. A read whose answer was large the last time is sent alone on an idle connection, so that nobody waits behind
 * it; of a user's reads of an unknown size, one is sent.
 */
export class Turns {
  readonly #depth: number;
  /** In the order of the turns. */
  readonly #byOwner = new Map<string, QueuedTransaction[]>();
  readonly #sizes = new AnswerSizes();
  /** Of connections with answers above `SMALL`. */
  readonly #expected = new Map<PipelinedConnection, number>();
  #isLargeInFlight = false;

  /** @param depth maximum number of transactions in flight on one connection. */
  constructor(depth: number) {
    this.#depth = depth;
  }

  get isEmpty(): boolean {
    return this.#byOwner.size === 0;
  }

  /** Queues behind the others of its user. */
  push(queued: QueuedTransaction): void {
    const owner = ownerOf(queued);
    const own = this.#byOwner.get(owner);
    if (own === undefined) this.#byOwner.set(owner, [queued]);
    else own.push(queued);
  }

  /** Queues one that has to be sent again: it is next. */
  putBack(queued: QueuedTransaction): void {
    const owner = ownerOf(queued);
    const others = [...this.#byOwner];
    const own = this.#byOwner.get(owner) ?? [];
    this.#byOwner.clear();
    this.#byOwner.set(owner, [queued, ...own]);
    for (const [other, theirs] of others) if (other !== owner) this.#byOwner.set(other, theirs);
  }

  /** Takes from the queue what is to be sent next; null while nothing can be. `finished` has to follow. */
  take(connections: readonly PipelinedConnection[]): Choice | null {
    let draining: PipelinedConnection | null = null;
    for (const [owner, own] of this.#byOwner) {
      const [queued] = own;
      if (queued === undefined) continue;
      const expected = this.#expectedSize(queued, owner);
      if (expected === null) continue;
      const isLarge = expected > MAX_EXPECTED;
      if (isLarge && this.#isLargeInFlight) continue;
      const connection = this.#choose(connections, queued.access, expected, draining);
      if (connection !== null) {
        this.#take(owner, own, queued, connection, expected);
        return { queued, connection };
      }
      if (!isLarge) return null;
      draining ??= this.#choose(connections, 'write', 0, null);
    }
    return null;
  }

  /** @param results null if there was no answer. */
  finished(queued: QueuedTransaction, connection: PipelinedConnection, results: readonly Rows[] | null): void {
    const { expectedSize } = queued;
    const left = (this.#expected.get(connection) ?? 0) - expectedSize;
    if (left > 0) this.#expected.set(connection, left);
    else if (expectedSize > 0) this.#expected.delete(connection);
    if (expectedSize > MAX_EXPECTED) this.#isLargeInFlight = false;
    const question = questionOf(queued);
    if (question !== null) this.#sizes.measured(question, ownerOf(queued), results === null ? null : sizeOf(results));
  }

  /** Removes those for which `keep` is false. */
  filter(keep: (queued: QueuedTransaction) => boolean): void {
    for (const [owner, own] of [...this.#byOwner]) {
      const kept = own.filter(keep);
      if (kept.length > 0) this.#byOwner.set(owner, kept);
      else this.#byOwner.delete(owner);
    }
  }

  /** @returns 0 if it is unknown; null if another of the same kind is in flight to find out. */
  #expectedSize(queued: QueuedTransaction, owner: string): number | null {
    const question = questionOf(queued);
    if (question === null) return 0;
    const size = this.#sizes.get(question, owner);
    if (size === undefined) return 0;
    return size === null || size > SMALL ? size : 0;
  }

  #take(
    owner: string,
    own: QueuedTransaction[],
    queued: QueuedTransaction,
    connection: PipelinedConnection,
    expected: number,
  ): void {
    own.shift();
    this.#byOwner.delete(owner);
    if (own.length > 0) this.#byOwner.set(owner, own); // behind all others
    const question = questionOf(queued);
    if (question !== null && this.#sizes.get(question, owner) === undefined) this.#sizes.measure(question, owner);
    queued.expectedSize = expected;
    if (expected > 0) this.#expected.set(connection, (this.#expected.get(connection) ?? 0) + expected);
    if (expected > MAX_EXPECTED) this.#isLargeInFlight = true;
  }

  /** @param except is given nothing. */
  #choose(
    connections: readonly PipelinedConnection[],
    access: 'read' | 'write',
    expected: number,
    except: PipelinedConnection | null,
  ): PipelinedConnection | null {
    const now = performance.now();
    const rank = ({ inFlight }: PipelinedConnection) =>
      access === 'read' ? Math.floor(inFlight / READS_PER_CONNECTION) : inFlight;
    let best: PipelinedConnection | null = null;
    for (const connection of connections) {
      if (connection === except || !connection.acceptsWork || connection.inFlight >= this.#depth) continue;
      if (now - (connection.oldestSentAt ?? now) > BLOCKED_AFTER_MS) continue;
      const sum = expected + (this.#expected.size === 0 ? 0 : (this.#expected.get(connection) ?? 0));
      if (sum > MAX_EXPECTED && connection.inFlight > 0) continue;
      if (best === null || rank(connection) < rank(best)) best = connection;
    }
    return best;
  }
}
