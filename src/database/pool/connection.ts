import type { Duplex } from 'node:stream';
import type pg from 'pg';
import { DatabaseError, parse, serialize } from 'pg-protocol';
import { type BackendMessage, DataRowMessage } from 'pg-protocol/dist/messages.js';
import { defineStatement, type Row, type Statement, type Values } from '../database.ts';
import { judge } from '../errors.ts';

/** Whom the database takes a transaction's statement for: `owner` is the role that connected. */
export type Identity =
  | { readonly kind: 'user'; readonly userId: string }
  | { readonly kind: 'operator' }
  | { readonly kind: 'owner' };

/** One transaction to run. */
export interface Job {
  readonly identity: Identity;
  readonly statement: Statement;
  readonly values: Values;
  /** Called once: with the rows, or with what went wrong. */
  readonly done: (outcome: Outcome) => void;
}

export type Outcome =
  | { readonly kind: 'rows'; readonly rows: readonly Row[] }
  /** The database refused: nothing of the transaction happened. */
  | { readonly kind: 'refused'; readonly sqlState: string; readonly error: Error }
  /** The connection went away: whether the transaction happened is unknown. */
  | { readonly kind: 'lost'; readonly error: Error }
  /** The connection went away before anything was sent: nothing of the transaction happened. */
  | { readonly kind: 'unsent'; readonly error: Error };

interface InFlight {
  readonly job: Job;
  readonly sentAt: number;
  /** The name each Parse message of this burst asked for, in order; `''` for none. Shortened as they are granted. */
  readonly parses: string[];
  /** Whether it may have left this process. */
  isSent: boolean;
  rows: Row[];
  error: DatabaseError | null;
}

interface WireOptions {
  readonly namedStatements: () => boolean;
  /** Called after each answer, with the wire ready for one more. */
  readonly onAnswer: () => void;
  /** Called once, when the connection has ended; every job on it has been told. */
  readonly onEnd: () => void;
}

/** A server that does not hang up in return is not waited for. */
const GOODBYE_MS = 1_000;
const STATEMENT_TIMEOUT_MS = 10_000;

/** Every statement has an index that finds its rows in order: kept from scanning and sorting where a table seems small. */
const PLANNER = `set_config('enable_sort', 'off', true), set_config('enable_seqscan', 'off', true)`;

/** All of it holds until the transaction ends and no longer, so that a transaction pooler cannot leak it. */
const BECOME_USER = defineStatement(
  'become_user',
  'read',
  `select set_config('role', 'todo_app', true), set_config('app.user_id', $1, true),
    set_config('statement_timeout', '${STATEMENT_TIMEOUT_MS}', true), ${PLANNER}`,
);

const BECOME_OPERATOR = defineStatement(
  'become_operator',
  'read',
  `select set_config('role', 'todo_operator', true),
    set_config('statement_timeout', '${STATEMENT_TIMEOUT_MS}', true), ${PLANNER}`,
);

/**
 * A connected PostgreSQL connection shared by many callers. Each job leaves as one unbroken burst of protocol messages
 * ended by a single Sync: PostgreSQL runs what lies between two Syncs as one transaction, skips the rest of it after
 * an error, and answers bursts in their order (PostgreSQL manual, 55.2.4 Pipelining). So any number of bursts may be
 * under way at once, and none can be cut in two or outlive its user.
 *
 * The handshake is `pg`'s; after it this class reads and writes the connection alone.
 */
export class Wire {
  /** `performance.now()` */
  readonly connectedAt = performance.now();
  readonly #client: pg.Client;
  readonly #stream: Duplex;
  readonly #options: WireOptions;
  readonly #inFlight: InFlight[] = [];
  readonly #unsent: Buffer[] = [];
  readonly #prepared = new Set<string>();
  readonly #preparing = new Set<string>();
  #retiring = false;
  #ended = false;
  #lastError: Error | null = null;

  constructor(client: pg.Client, options: WireOptions) {
    this.#client = client;
    this.#stream = client.connection.stream;
    this.#options = options;
    this.#stream.removeAllListeners('data');
    void parse(this.#stream, (message) => this.#receive(message));
    client.on('error', (error) => {
      this.#lastError ??= error;
    });
    this.#stream.once('close', () => this.#end());
    if (this.#stream.destroyed) process.nextTick(() => this.#end());
  }

  /** Jobs sent and not yet answered. */
  get load(): number {
    return this.#inFlight.length;
  }

  /** False once the server has said that it cannot serve: what is under way is finished, and no more is taken. */
  get takesJobs(): boolean {
    return !this.#retiring && !this.#ended;
  }

  /** When the oldest unanswered job was sent (`performance.now()`), or null when there is none. */
  get oldestSentAt(): number | null {
    return this.#inFlight[0]?.sentAt ?? null;
  }

  /** Sends `job` at once, behind those already under way. */
  send(job: Job): void {
    if (this.#unsent.length === 0) setImmediate(() => this.#flush());
    const parses: string[] = [];
    if (job.identity.kind === 'user') this.#queue(BECOME_USER, [job.identity.userId], parses);
    if (job.identity.kind === 'operator') this.#queue(BECOME_OPERATOR, [], parses);
    this.#queue(job.statement, job.values, parses);
    this.#unsent.push(serialize.sync());
    this.#inFlight.push({ job, sentAt: performance.now(), parses, isSent: false, rows: [], error: null });
  }

  /** Cuts the connection; every job under way is told it is lost. */
  destroy(reason: Error): void {
    this.#lastError ??= reason;
    this.#stream.destroy();
  }

  /** Says good-bye to the server; to be called when nothing is under way. */
  async close(): Promise<void> {
    const unheard = setTimeout(() => this.#stream.destroy(), GOODBYE_MS).unref();
    await this.#client.end();
    clearTimeout(unheard);
  }

  /** What is sent in one turn of the event loop leaves in one piece. */
  #flush(): void {
    if (this.#ended) return;
    for (const inFlight of this.#inFlight) inFlight.isSent = true;
    this.#stream.write(Buffer.concat(this.#unsent.splice(0)));
  }

  #queue(statement: Statement, values: Values, parses: string[]): void {
    const name = this.#nameFor(statement);
    if (!this.#prepared.has(name)) {
      this.#unsent.push(serialize.parse({ name, text: statement.text }));
      parses.push(name);
      if (name !== '') this.#preparing.add(name);
    }
    this.#unsent.push(serialize.bind({ statement: name, values: [...values] }), serialize.execute());
  }

  /** A name is used again only once the server has granted it; until then the others go unnamed. */
  #nameFor({ name }: Statement): string {
    if (!this.#options.namedStatements()) return '';
    return this.#prepared.has(name) || !this.#preparing.has(name) ? name : '';
  }

  #receive(message: BackendMessage): void {
    if (message.name === 'readyForQuery') {
      this.#answer();
      return;
    }
    const current = this.#inFlight[0];
    if (message instanceof DatabaseError) {
      if (current === undefined)
        this.destroy(message); // it answers no job: the server ends the connection
      else current.error ??= message;
      if (judge(message.code ?? '') === 'unavailable') this.#retiring = true;
    } else if (current === undefined) {
      return;
    } else if (message instanceof DataRowMessage) {
      current.rows.push(message.fields);
    } else if (message.name === 'bindComplete') {
      current.rows = []; // become_user's row comes first; only the last statement's are the answer
    } else if (message.name === 'parseComplete') {
      const name = current.parses.shift();
      if (name) this.#prepared.add(name);
    }
  }

  #answer(): void {
    const answered = this.#inFlight.shift();
    if (answered === undefined) return;
    const { job, error, rows, parses } = answered;
    for (const name of parses) this.#preparing.delete(name);
    if (error === null) {
      job.done({ kind: 'rows', rows });
    } else {
      job.done({ kind: 'refused', sqlState: error.code ?? 'XX000', error });
    }
    if (this.#retiring && this.#inFlight.length === 0) void this.close();
    this.#options.onAnswer();
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    const lost = this.#inFlight.splice(0);
    const error = lost[0]?.error ?? this.#lastError ?? new Error('The database connection ended');
    for (const { job, isSent } of lost) job.done({ kind: isSent ? 'lost' : 'unsent', error });
    this.#options.onEnd();
  }
}
