import type pg from 'pg';
import { AppError } from '../../core/errors.ts';
import type { Database } from '../database.ts';
import { classify, DatabaseUnusableError, transactionError } from '../errors.ts';
import type { Identity } from '../identity.ts';
import { type BoundStatement, type Rows, sql } from '../sql.ts';
import { pickConnection, takesWork } from './balancing.ts';
import { PipelinedConnection } from './connection.ts';
import { Connector } from './connector.ts';
import type { Outcome } from './transaction.ts';
import { type QueuedTransaction, Turns } from './turns.ts';

export interface PoolOptions {
  /** Opens a connection. */
  readonly connect: () => Promise<pg.Client>;
  /** Maximum number of connections. */
  readonly connections: number;
  /** Maximum number of transactions in flight on one connection; more are queued. */
  readonly depth: number;
  /** Whether statements are prepared under a name; false for a pooler without prepared statements. */
  readonly namedStatements: boolean;
  /** For how long statements are sent unnamed after one was missing, in milliseconds; 60,000 if not given. */
  readonly unnamedMs?: number | undefined;
  /** PostgreSQL's `statement_timeout`, in ms; 10,000 if not given. 200 ms later the connection is destroyed. */
  readonly statementTimeoutMs?: number | undefined;
  /** Logs a warning. */
  readonly onWarning: (message: string, error?: unknown) => void;
}

const PING = sql('ping', 'read', 'select 1');
const STATEMENT_TIMEOUT_MS = 10_000;
/** Beyond the statement timeout: for a server that does not keep it, or cannot be reached. */
const DEADLINE_MARGIN_MS = 200;
/** VACUUM and CHECKPOINT, which have no statement timeout. */
const MAINTENANCE_DEADLINE_MS = 600_000;
const TIMER_INTERVAL_MS = 100;
/** Queue timeout while there is a connection: 2 s, less one timer interval. */
const QUEUE_TIMEOUT_MS = 2_000 - TIMER_INTERVAL_MS;
/** Sends of one transaction, the first included; a connection that may have been dead already does not count. */
const MAX_ATTEMPTS = 3;
/** For how long statements are sent unnamed after one was missing; doubled each time, up to an hour. */
const UNNAMED_MS = 60_000;
const MAX_UNNAMED_MS = 3_600_000;

/**
 * A few connections shared by all requests: each transaction is sent at once on the connection chosen for it, behind
 * those in flight there, or queued while all are full.
 *
 * A transaction fails with `SERVICE_UNAVAILABLE` after 2 s in the queue while connected, counted from enqueueing or
 * connecting, whichever is later; with `DATABASE_ERROR` at its deadline, 10.2 s after it was enqueued; and with the
 * error of the last connection attempt, at once, while the circuit breaker of the connector is open.
 */
export class ConnectionPool implements Database {
  readonly #options: PoolOptions;
  readonly #statementTimeoutMs: number;
  readonly #connector: Connector;
  readonly #turns = new Turns();
  /** In no order; each knows its place. */
  readonly #inFlight: QueuedTransaction[] = [];
  #connections: readonly PipelinedConnection[] = [];
  /** Since when there has been a connection (`performance.now()`). */
  #connectedSince = 0;
  #unnamedUntil: number;
  #unnamedMs: number;
  #timer: NodeJS.Timeout | null = null;
  #onIdle: (() => void) | null = null;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#statementTimeoutMs = options.statementTimeoutMs ?? STATEMENT_TIMEOUT_MS;
    this.#unnamedMs = options.unnamedMs ?? UNNAMED_MS;
    this.#unnamedUntil = options.namedStatements ? 0 : Number.POSITIVE_INFINITY;
    this.#connector = new Connector({
      connect: options.connect,
      onConnected: (client) => this.#add(client),
      onFailure: (error, isFirst) => this.#connectFailed(error, isFirst),
      onBackoffOver: () => this.#afterBackoff(),
    });
  }

  /** Opens all connections; resolves after the first attempts, failed or not. Later attempts are made on demand. */
  async open(): Promise<void> {
    await Promise.all(Array.from({ length: this.#options.connections }, () => this.#connector.attempt()));
  }

  transaction(identity: Identity, statements: readonly BoundStatement[]): Promise<readonly Rows[]> {
    const circuitError = this.#connections.length === 0 ? this.#connector.circuitError : null;
    if (circuitError !== null) return Promise.reject(transactionError(circuitError));
    const access = statements.every(({ statement }) => statement.access === 'read') ? 'read' : 'write';
    return new Promise((resolve, reject) => {
      const enqueuedAt = performance.now();
      const isMaintenance = identity.kind === 'login-role' && access === 'write';
      const deadlineMs = isMaintenance ? MAINTENANCE_DEADLINE_MS : this.#statementTimeoutMs + DEADLINE_MARGIN_MS;
      const state = { attempts: 0, place: -1 };
      const queued: QueuedTransaction = {
        identity,
        statements,
        access,
        deadlineMs,
        enqueuedAt,
        resolve,
        reject,
        ...state,
      };
      if (!this.#turns.isEmpty || !this.#trySend(queued)) this.#turns.push(queued);
      this.#startTimer();
    });
  }

  async ping(): Promise<void> {
    await this.transaction({ kind: 'login-role' }, [PING({})]);
  }

  async close(): Promise<void> {
    if (!this.#isIdle()) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    }
    this.#connector.close();
    await Promise.all(this.#connections.map((connection) => connection.close()));
  }

  #isIdle(): boolean {
    return this.#turns.isEmpty && this.#connections.every(({ inFlight }) => inFlight === 0);
  }

  #add(client: pg.Client): void {
    const connection = new PipelinedConnection(client, {
      statementTimeoutMs: this.#statementTimeoutMs,
      namedStatements: () => performance.now() >= this.#unnamedUntil,
      onTransactionEnd: () => this.#dispatch(),
      onEnd: () => {
        this.#connections = this.#connections.filter((other) => other !== connection);
        if (this.#connections.length === 0) this.#connector.closeCircuit();
        this.#dispatch();
      },
    });
    if (this.#connections.length === 0) this.#connectedSince = performance.now();
    this.#connections = [...this.#connections, connection];
    this.#dispatch();
  }

  #connectFailed(error: Error, isFirst: boolean): void {
    const isConnected = this.#connections.length > 0;
    if (isFirst && !(error instanceof DatabaseUnusableError)) {
      const what = isConnected ? 'Could not open another database connection' : 'The database cannot be reached';
      this.#options.onWarning(`${what}; retrying`, error);
    }
    if (!isConnected && this.#connector.circuitError !== null) {
      this.#turns.filter(({ reject }) => {
        reject(transactionError(error));
        return false;
      });
    }
  }

  /** Until there has been a connection, attempts go on without demand: the schema may have to be migrated. */
  #afterBackoff(): void {
    if (this.#connectedSince === 0) this.#requestConnection();
    this.#dispatch();
  }

  /** Sends what is queued, as far as connections take it. */
  #dispatch(): void {
    const send = (queued: QueuedTransaction) => this.#trySend(queued);
    while (this.#hasRoom() && this.#turns.sendNext(send));
    if (this.#isIdle()) this.#onIdle?.();
    else this.#startTimer();
  }

  /** @returns whether a connection took it. */
  #trySend(queued: QueuedTransaction): boolean {
    const connection = pickConnection(this.#connections, this.#options.depth, queued);
    if (connection === null || connection.inFlight > 0) this.#requestConnection();
    if (connection === null) return false;
    this.#send(queued, connection);
    return true;
  }

  #hasRoom(): boolean {
    if (this.#turns.isEmpty) return false;
    const now = performance.now();
    const hasRoom = this.#connections.some((connection) => takesWork(connection, this.#options.depth, now));
    if (!hasRoom) this.#requestConnection();
    return hasRoom;
  }

  #requestConnection(): void {
    const open = this.#connections.filter(({ acceptsWork }) => acceptsWork).length;
    if (open + this.#connector.connecting < this.#options.connections) this.#connector.request();
  }

  #send(queued: QueuedTransaction, connection: PipelinedConnection): void {
    const { identity, statements, access, deadlineMs, enqueuedAt } = queued;
    queued.place = this.#inFlight.push(queued) - 1;
    const done = (outcome: Outcome) => {
      this.#removeInFlight(queued);
      // A connection opened before the request was enqueued may have been dead by then: its loss is no attempt.
      const mayHaveBeenStale = outcome.kind === 'connection-lost' && connection.connectedAt <= enqueuedAt;
      if (outcome.kind !== 'not-sent' && !mayHaveBeenStale) queued.attempts += 1;
      this.#conclude(queued, outcome, connection);
    };
    connection.send({ identity, statements, access, deadlineMs, done });
  }

  #removeInFlight(queued: QueuedTransaction): void {
    const { place } = queued;
    if (place === -1) return;
    queued.place = -1;
    const last = this.#inFlight.pop();
    if (last === undefined || last === queued) return;
    this.#inFlight[place] = last;
    last.place = place;
  }

  #conclude(queued: QueuedTransaction, outcome: Outcome, connection: PipelinedConnection): void {
    switch (outcome.kind) {
      case 'rows':
        queued.resolve(outcome.results);
        return;
      case 'not-sent':
        this.#turns.putBack(queued);
        return;
      case 'connection-lost':
        if (queued.access === 'read' && this.#mayRetry(queued)) this.#turns.putBack(queued);
        else queued.reject(new AppError('DATABASE_ERROR', { cause: outcome.error }));
        return;
      case 'failed': {
        const sqlStateClass = classify(outcome.sqlState);
        if (sqlStateClass === 'retry-unprepared') this.#suspendNaming(connection);
        const isRetryable = sqlStateClass === 'retry' || sqlStateClass === 'retry-unprepared';
        if (isRetryable && this.#mayRetry(queued)) this.#turns.putBack(queued);
        else queued.reject(transactionError(outcome.error));
        return;
      }
    }
  }

  #mayRetry({ attempts, enqueuedAt }: QueuedTransaction): boolean {
    return attempts < MAX_ATTEMPTS && performance.now() - enqueuedAt < QUEUE_TIMEOUT_MS;
  }

  /** The connection is replaced, since which statements are prepared on it is no longer known. */
  #suspendNaming(connection: PipelinedConnection): void {
    connection.drain();
    const now = performance.now();
    if (now < this.#unnamedUntil) return;
    this.#unnamedUntil = now + this.#unnamedMs;
    const seconds = this.#unnamedMs / 1_000;
    this.#unnamedMs = Math.min(this.#unnamedMs * 2, MAX_UNNAMED_MS);
    this.#options.onWarning(`A prepared statement was lost: statements are sent unnamed for ${seconds} s`);
  }

  /** Checks timeouts every 100 ms while anything is queued or in flight. */
  #startTimer(): void {
    this.#timer ??= setInterval(() => {
      this.#expire();
      this.#dispatch();
      if (this.#isIdle() && this.#timer !== null) {
        clearInterval(this.#timer);
        this.#timer = null;
      }
    }, TIMER_INTERVAL_MS);
  }

  #expire(): void {
    const now = performance.now();
    for (const connection of this.#connections) {
      if (connection.isOverdue(now)) connection.destroy(new Error('The database did not answer in time'));
    }
    for (const queued of [...this.#inFlight]) {
      if (now - queued.enqueuedAt <= queued.deadlineMs) continue;
      this.#removeInFlight(queued);
      queued.reject(new AppError('DATABASE_ERROR', { cause: new Error('The database did not answer in time') }));
    }
    const isConnected = this.#connections.length > 0;
    this.#turns.filter(({ enqueuedAt, deadlineMs, reject }) => {
      if (isConnected && now - Math.max(enqueuedAt, this.#connectedSince) > QUEUE_TIMEOUT_MS) {
        const cause = new Error('No database connection was free in time');
        reject(new AppError('SERVICE_UNAVAILABLE', { cause }));
        return false;
      }
      if (now - enqueuedAt > deadlineMs) {
        const cause = new Error('The database could not be reached in time');
        reject(new AppError('DATABASE_ERROR', { cause }));
        return false;
      }
      return true;
    });
  }
}
