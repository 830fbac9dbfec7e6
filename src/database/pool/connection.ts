import type pg from 'pg';
import { serialize } from 'pg-protocol';
import { classify } from '../errors.ts';
import type { BoundStatement } from '../sql.ts';
import { PipelinedTransaction, type Transaction } from './transaction.ts';

interface ConnectionOptions {
  readonly statementTimeoutMs: number;
  /** Whether statements may be prepared under their name now. */
  readonly namedStatements: () => boolean;
  /** Called after each transaction. */
  readonly onTransactionEnd: () => void;
  /** Called once, after every transaction in flight has had its outcome. */
  readonly onEnd: () => void;
}

/** How long to wait for the server to close the connection after Terminate. */
const TERMINATE_TIMEOUT_MS = 1_000;

/** Unique with high probability among all processes behind one pooler. */
let nextNonce = Math.floor(Math.random() * 2 ** 48);

/**
 * One PostgreSQL connection with many transactions in flight, each sent without waiting for the answers to those before
 * it. An answer is matched to its transaction by position, and verified: by its exact sequence of messages and by the
 * nonce and user in its first row. At the ReadyForQuery of one that does not match, the connection is destroyed.
 */
export class PipelinedConnection {
  /** `performance.now()` */
  readonly connectedAt = performance.now();
  readonly #client: pg.Client;
  readonly #options: ConnectionOptions;
  readonly #inFlight: PipelinedTransaction[] = [];
  readonly #unsent: Buffer[] = [];
  readonly #prepared = new Set<string>();
  readonly #preparing = new Set<string>();
  #draining = false;
  #closing: Promise<void> | null = null;
  #ended = false;
  #closeReason: Error | null = null;

  constructor(client: pg.Client, options: ConnectionOptions) {
    this.#client = client;
    this.#options = options;
    const { connection } = client;
    connection.on('parseComplete', () => this.#parseComplete());
    connection.on('bindComplete', () => this.#head()?.bindComplete());
    connection.on('readyForQuery', () => this.#readyForQuery());
    client.on('notice', ({ code = '00000', message }) => {
      if (code !== '00000' && this.#inFlight[0]?.isCommitting) this.destroy(new Error(message));
    });
    client.on('error', (error) => this.destroy(error));
    connection.stream.once('close', () => this.#end());
    if (connection.stream.destroyed) process.nextTick(() => this.#end());
  }

  /** Number of transactions sent and not yet answered. */
  get inFlight(): number {
    return this.#inFlight.length;
  }

  /** False while draining: transactions in flight finish, and no new ones are taken. */
  get acceptsWork(): boolean {
    return !this.#draining && !this.#ended && this.#closeReason === null;
  }

  /** When the oldest transaction in flight was sent (`performance.now()`); null if there is none. */
  get oldestSentAt(): number | null {
    return this.#inFlight[0]?.sentAt ?? null;
  }

  /** Whether a write of the user is in flight. */
  isWritingFor(userId: string): boolean {
    return this.#inFlight.some(({ transaction: { identity, access } }) => {
      return access === 'write' && identity.kind === 'user' && identity.userId === userId;
    });
  }

  /** Whether the answer to the oldest transaction in flight is past its deadline. */
  isOverdue(now: number): boolean {
    const oldest = this.#inFlight[0];
    return oldest !== undefined && now - oldest.sentAt > oldest.transaction.deadlineMs;
  }

  /** Sends `transaction` behind those in flight. */
  send(transaction: Transaction): void {
    nextNonce += 1;
    const pipelined = new PipelinedTransaction(transaction, nextNonce.toString(36), this.#options.statementTimeoutMs);
    if (this.#unsent.length === 0) setImmediate(() => this.#flush());
    for (const statement of pipelined.statements) this.#write(pipelined, statement);
    this.#unsent.push(serialize.sync());
    this.#inFlight.push(pipelined);
    this.#client.query(pipelined);
  }

  /** Destroys the socket; transactions in flight fail with `connection-lost`. */
  destroy(reason: Error): void {
    this.#closeReason ??= reason;
    this.#client.connection.stream.destroy();
  }

  /** Closes the connection once nothing is in flight, and takes no more transactions. */
  drain(): void {
    this.#draining = true;
    if (this.#inFlight.length === 0) void this.close();
  }

  /** Sends Terminate and waits for the connection to close; requires that nothing is in flight. */
  close(): Promise<void> {
    this.#closing ??= this.#terminate();
    return this.#closing;
  }

  async #terminate(): Promise<void> {
    this.#draining = true;
    const timer = setTimeout(() => this.#client.connection.stream.destroy(), TERMINATE_TIMEOUT_MS).unref();
    await this.#client.end();
    clearTimeout(timer);
  }

  /** Coalesces the messages of one event-loop turn into one write. */
  #flush(): void {
    if (this.#ended) return;
    for (const pipelined of this.#inFlight) pipelined.isSent = true;
    this.#client.connection.stream.write(Buffer.concat(this.#unsent.splice(0)));
  }

  #write(pipelined: PipelinedTransaction, { statement, values }: BoundStatement): void {
    const name = statement.isOnce ? '' : this.#nameFor(statement.name);
    const isPrepared = this.#prepared.has(name);
    pipelined.parses.push(isPrepared ? null : name);
    if (!isPrepared) {
      if (name !== '') this.#preparing.add(name);
      this.#unsent.push(serialize.parse({ name, text: statement.text }));
    }
    this.#unsent.push(serialize.bind({ statement: name, values: [...values] }), serialize.execute());
  }

  /** A name is used again only after ParseComplete; until then the statement is sent unnamed. */
  #nameFor(name: string): string {
    if (!this.#options.namedStatements()) return '';
    return this.#prepared.has(name) || !this.#preparing.has(name) ? name : '';
  }

  #head(): PipelinedTransaction | null {
    const head = this.#inFlight[0];
    if (head === undefined) this.destroy(new Error('The database sent an unexpected message'));
    return head ?? null;
  }

  #parseComplete(): void {
    const name = this.#head()?.parseComplete();
    if (name) this.#prepared.add(name);
  }

  #readyForQuery(): void {
    const pipelined = this.#head();
    if (pipelined === null || this.#closeReason !== null) return;
    const { transaction, error } = pipelined;
    const results = error === null ? pipelined.verifiedResults() : null;
    const sqlState = error?.code ?? '';
    if (results === null && (sqlState === '' || pipelined.isOutOfSequence || pipelined.isForeign)) {
      this.destroy(error ?? new Error('The database sent an answer that does not belong to this transaction'));
      return;
    }
    this.#inFlight.shift();
    for (const name of pipelined.parses) if (name !== null) this.#preparing.delete(name);
    if (results !== null) transaction.done({ kind: 'rows', results });
    else if (error !== null) transaction.done({ kind: 'failed', sqlState, error });
    if (classify(sqlState) === 'unavailable') this.#draining = true;
    if (this.#draining) this.drain();
    this.#options.onTransactionEnd();
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    const closed = this.#closeReason ?? new Error('The database closed the connection');
    for (const { transaction, isSent, error } of this.#inFlight.splice(0)) {
      transaction.done({ kind: isSent ? 'connection-lost' : 'not-sent', error: error ?? closed });
    }
    this.#options.onEnd();
  }
}
