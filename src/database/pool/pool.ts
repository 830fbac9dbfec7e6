import type pg from 'pg';
import type { OperatorAccess } from '../../backup/admin-access.ts';
import { AppError } from '../../core/errors.ts';
import type { UserId } from '../../core/user.ts';
import { type Database, defineStatement, type Row, type Statement, type Values } from '../database.ts';
import { judge, sqlStateOf } from '../errors.ts';
import type { Identity, Job, Outcome, Wire } from './connection.ts';
import { ConnectionSlots, type FailedAttempt } from './connector.ts';

export interface SharedConnectionsOptions {
  /** A client that has not been connected yet. */
  readonly createClient: () => pg.Client | Promise<pg.Client>;
  /** Brings the database up to date and checks it, once, before the first job. */
  readonly prepare: (client: pg.Client) => Promise<void>;
  /** Connections that requests share. */
  readonly connections: number;
  /** Transactions under way on one connection at once; the rest wait for any connection. */
  readonly depth: number;
  readonly namedStatements: boolean;
  /** Told what an operator may want to read. */
  readonly onWarning: (message: string, error?: unknown) => void;
  /** The database must not be served from. */
  readonly onUnusable: (error: unknown) => void;
}

interface Waiting {
  readonly identity: Identity;
  readonly statement: Statement;
  readonly values: Values;
  readonly askedAt: number;
  readonly resolve: (rows: readonly Row[]) => void;
  readonly reject: (error: AppError) => void;
  tries: number;
}

const PING = defineStatement('ping', 'read', 'select 1');
const MAX_TRIES = 3;
/**
 * So many transactions go to one connection before the next is used: reads that travel together cost less, while each
 * write waits for the disk, which connections do side by side.
 */
const BATCH = { read: 8, write: 1 };
/** A connection whose oldest answer is this late is given no more to do until it answers. */
const SLOW_AFTER_MS = 100;
/** While the first connection is still being made (a database that wakes up), a request waits longer. */
const MAX_WAIT_FOR_CONNECTION_MS = 9_500;
/** The server ends a statement at 10 s by itself; this is for a server that does not, or that is out of reach. */
const MAX_ANSWER_MS = 10_200;
const SWEEP_MS = 100;
/** The sweep that finds it out may come late by its own length. */
const MAX_WAIT_MS = 2_000 - SWEEP_MS;

function refusal(sqlState: string | null, cause: unknown): AppError {
  const unavailable = sqlState !== null && judge(sqlState) === 'unavailable';
  return new AppError(unavailable ? 'SERVICE_UNAVAILABLE' : 'DATABASE_ERROR', { cause });
}

function unreachable(cause: unknown): AppError {
  return refusal(sqlStateOf(cause), cause);
}

/**
 * A few connections shared by all requests. A request's transaction is handed to the least busy connection at once;
 * requests beyond what the connections take wait in line, at most 2 s.
 */
export class SharedConnections implements Database, OperatorAccess {
  readonly #options: SharedConnectionsOptions;
  readonly #slots: ConnectionSlots;
  readonly #line: Waiting[] = [];
  /** What a connection has been given and has not answered, the oldest first but for what is tried again. */
  readonly #underWay = new Set<Waiting>();
  #sweep: NodeJS.Timeout | null = null;
  #named: boolean;
  #closing: (() => void) | null = null;

  constructor(options: SharedConnectionsOptions) {
    this.#options = options;
    this.#named = options.namedStatements;
    this.#slots = new ConnectionSlots({
      createClient: options.createClient,
      prepare: options.prepare,
      connections: options.connections,
      namedStatements: () => this.#named,
      onChange: () => this.#dispatch(),
      onFailure: (failure) => this.#connectFailed(failure),
      onUnusable: options.onUnusable,
    });
  }

  /** Connects and prepares, and keeps trying behind the scenes when the first attempt fails; settles after that attempt. */
  async open(): Promise<void> {
    await this.#slots.open();
  }

  asUser(userId: UserId, statement: Statement, values: Values): Promise<readonly Row[]> {
    return this.#run({ kind: 'user', userId }, statement, values);
  }

  async ping(): Promise<void> {
    await this.asOwner(PING);
  }

  /** Runs a statement of ours as the role that owns the tables, confined to nobody. */
  async asOwner(statement: Statement): Promise<void> {
    await this.#run({ kind: 'owner' }, statement, []);
  }

  /** Runs a statement of ours as the role that sees every user's rows; otherwise as `asUser`. */
  asOperator(statement: Statement, values: Values): Promise<readonly Row[]> {
    return this.#run({ kind: 'operator' }, statement, values);
  }

  async close(): Promise<void> {
    if (!this.#idle()) {
      await new Promise<void>((resolve) => {
        this.#closing = resolve;
      });
    }
    await this.#slots.close();
    if (this.#sweep !== null) clearInterval(this.#sweep);
  }

  #idle(): boolean {
    return this.#line.length === 0 && this.#slots.wires().every((wire) => wire.load === 0);
  }

  #run(identity: Identity, statement: Statement, values: Values): Promise<readonly Row[]> {
    const hopeless = this.#slots.hopeless();
    if (hopeless !== null) {
      this.#slots.want();
      return Promise.reject(unreachable(hopeless));
    }
    return new Promise((resolve, reject) => {
      this.#line.push({ identity, statement, values, askedAt: performance.now(), resolve, reject, tries: 0 });
      this.#dispatch();
    });
  }

  #dispatch(): void {
    while (this.#line.length > 0) {
      const wire = this.#freest(BATCH[this.#line[0]?.statement.access ?? 'read']);
      const waiting = wire === null ? undefined : this.#line.shift();
      if (wire === null || waiting === undefined) break;
      wire.send(this.#job(waiting, wire));
    }
    if (this.#idle()) this.#closing?.();
    else this.#watch();
  }

  #freest(batch: number): Wire | null {
    const now = performance.now();
    let best: Wire | null = null;
    for (const wire of this.#slots.wires()) {
      const { load } = wire;
      if (!wire.takesJobs || load >= this.#options.depth) continue;
      if (best !== null && Math.floor(load / batch) >= Math.floor(best.load / batch)) continue;
      if (load > 0 && now - (wire.oldestSentAt ?? now) > SLOW_AFTER_MS) continue;
      best = wire;
    }
    if (best === null || best.load > 0) this.#slots.want();
    return best;
  }

  #job(waiting: Waiting, wire: Wire): Job {
    const { identity, statement, values, askedAt } = waiting;
    this.#underWay.add(waiting);
    const done = (outcome: Outcome) => {
      this.#underWay.delete(waiting);
      // A connection older than the request may have been dead before it was asked: losing it says nothing of the request.
      const isTry = outcome.kind === 'lost' ? wire.connectedAt > askedAt : outcome.kind !== 'unsent';
      if (isTry) waiting.tries += 1;
      this.#conclude(waiting, outcome);
    };
    return { identity, statement, values, done };
  }

  #conclude(waiting: Waiting, outcome: Outcome): void {
    switch (outcome.kind) {
      case 'rows':
        waiting.resolve(outcome.rows);
        return;
      case 'unsent':
        this.#line.unshift(waiting);
        return;
      case 'lost':
        if (waiting.statement.access === 'read' && this.#mayRetry(waiting)) this.#line.unshift(waiting);
        else waiting.reject(new AppError('DATABASE_ERROR', { cause: outcome.error }));
        return;
      case 'refused':
        this.#refused(waiting, outcome.sqlState, outcome.error);
        return;
    }
  }

  #refused(waiting: Waiting, sqlState: string, cause: Error): void {
    const verdict = judge(sqlState);
    if (verdict === 'retry-unnamed' && this.#named) {
      this.#named = false;
      this.#options.onWarning('The connection pooler keeps no prepared statements; going on without');
    }
    if ((verdict === 'retry' || verdict === 'retry-unnamed') && this.#mayRetry(waiting)) this.#line.unshift(waiting);
    else waiting.reject(refusal(sqlState, cause));
  }

  #mayRetry(waiting: Waiting): boolean {
    return waiting.tries < MAX_TRIES && performance.now() - waiting.askedAt < MAX_WAIT_MS;
  }

  #connectFailed({ error, isFirst, isHopeless }: FailedAttempt): void {
    const what =
      this.#slots.wires().length > 0 ? 'No further database connection is to be had' : 'The database cannot be reached';
    if (isFirst) this.#options.onWarning(`${what}; trying again`, error);
    if (isHopeless) for (const waiting of this.#line.splice(0)) waiting.reject(unreachable(error));
  }

  /** Looks after what waits and what is under way, for as long as there is any. */
  #watch(): void {
    this.#sweep ??= setInterval(() => {
      this.#giveUpLate();
      this.#dispatch();
      if (this.#idle() && this.#sweep !== null) {
        clearInterval(this.#sweep);
        this.#sweep = null;
      }
    }, SWEEP_MS);
  }

  #giveUpLate(): void {
    const now = performance.now();
    for (const wire of this.#slots.wires()) {
      if (now - (wire.oldestSentAt ?? now) > MAX_ANSWER_MS)
        wire.destroy(new Error('The database did not answer in time'));
    }
    for (const waiting of this.#underWay) {
      if (now - waiting.askedAt <= MAX_ANSWER_MS) continue;
      this.#underWay.delete(waiting);
      waiting.reject(new AppError('DATABASE_ERROR', { cause: new Error('The database did not answer in time') }));
    }
    const connected = this.#slots.wires().length > 0;
    const cause = new Error(
      connected ? 'No database connection was free in time' : 'The database could not be reached in time',
    );
    const isLate = ({ askedAt }: Waiting) =>
      now - askedAt > MAX_WAIT_FOR_CONNECTION_MS || this.#slots.connectedMsSince(askedAt) > MAX_WAIT_MS;
    for (const waiting of this.#line.splice(0)) {
      if (isLate(waiting))
        waiting.reject(new AppError(connected ? 'SERVICE_UNAVAILABLE' : 'DATABASE_ERROR', { cause }));
      else this.#line.push(waiting);
    }
  }
}
