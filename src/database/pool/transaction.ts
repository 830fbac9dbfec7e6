import pg from 'pg';
import { DatabaseError } from 'pg-protocol';
import { type Identity, matchesIdentity, setIdentity } from '../identity.ts';
import type { BoundStatement, Row, Rows } from '../sql.ts';

/** One transaction to run. */
export interface Transaction {
  readonly identity: Identity;
  readonly statements: readonly BoundStatement[];
  readonly access: 'read' | 'write';
  /** How long the answer may take once it has been sent, in milliseconds. */
  readonly deadlineMs: number;
  /** Called exactly once. */
  readonly done: (outcome: Outcome) => void;
}

export type Outcome =
  | { readonly kind: 'rows'; readonly results: readonly Rows[] }
  /** The server reported an error; nothing was committed. */
  | { readonly kind: 'failed'; readonly sqlState: string; readonly error: Error }
  /** The connection was lost; whether the transaction was committed is unknown. */
  | { readonly kind: 'connection-lost'; readonly error: Error }
  /** The connection was lost before anything was sent; nothing was committed. */
  | { readonly kind: 'not-sent'; readonly error: Error };

/** A CommandComplete tag that counts the rows returned. */
const SELECT_TAG = 'SELECT ';

/**
 * The messages of one transaction: Parse (unless prepared), Bind and Execute of each statement, then one Sync, which
 * PostgreSQL runs as one implicit transaction, skipping the rest after an error (PostgreSQL manual, 55.2.4 Pipelining).
 * A subclass of `pg.Query`, since pg's pipeline mode takes no other class; `PipelinedConnection` writes and completes it.
 */
export class PipelinedTransaction extends pg.Query {
  readonly transaction: Transaction;
  readonly nonce: string;
  readonly statements: readonly BoundStatement[];
  readonly sentAt = performance.now();
  /** By statement: the name in its Parse message, '' if unnamed, null if no Parse was sent. */
  readonly parses: (string | null)[] = [];
  readonly results: Row[][] = [];
  isSent = false;
  error: DatabaseError | null = null;
  isOutOfSequence = false;
  #stage: 'start' | 'parsed' | 'bound' = 'start';
  #rows: Row[] = [];

  constructor(transaction: Transaction, nonce: string, statementTimeoutMs: number) {
    super('');
    this.transaction = transaction;
    this.nonce = nonce;
    const first = setIdentity(transaction.identity, nonce, statementTimeoutMs);
    this.statements = first === null ? transaction.statements : [first, ...transaction.statements];
  }

  override submit = () => undefined;

  /** @returns the name of the statement now prepared, '' if unnamed; null if the message is out of sequence. */
  parseComplete(): string | null {
    this.#expect(this.#stage === 'start' && typeof this.parses[this.results.length] === 'string');
    this.#stage = 'parsed';
    return this.parses[this.results.length] ?? null;
  }

  bindComplete(): void {
    this.#expect(this.#stage === (this.parses[this.results.length] === null ? 'start' : 'parsed'));
    this.#stage = 'bound';
  }

  handleDataRow({ fields }: { readonly fields: Row }): void {
    this.#expect(this.#stage === 'bound');
    this.#rows.push(fields);
  }

  handleCommandComplete({ text }: { readonly text: string }): void {
    const counts = !text.startsWith(SELECT_TAG) || text === `${SELECT_TAG}${this.#rows.length}`;
    this.#expect(this.#stage === 'bound' && counts);
    this.results.push(this.#rows);
    this.#rows = [];
    this.#stage = 'start';
  }

  /** Connection errors arrive here too; their outcome is given when the connection has closed. */
  handleError(error: unknown): void {
    if (error instanceof DatabaseError) this.error ??= error;
  }

  handleReadyForQuery(): void {}

  /** Never expected: no Describe or COPY is sent. */
  handleRowDescription(): void {
    this.isOutOfSequence = true;
  }
  handleEmptyQuery(): void {
    this.isOutOfSequence = true;
  }
  handlePortalSuspended(): void {
    this.isOutOfSequence = true;
  }
  handleCopyInResponse(): void {
    this.isOutOfSequence = true;
  }
  handleCopyData(): void {
    this.isOutOfSequence = true;
  }

  /** Whether every statement is complete. A warning now says that the commit did not wait for a synchronous standby. */
  get isCommitting(): boolean {
    return this.#stage === 'start' && this.results.length === this.statements.length;
  }

  /** @returns the rows of the transaction's statements; null unless every message came in order, with its nonce. */
  verifiedResults(): readonly Rows[] | null {
    if (this.isOutOfSequence || !this.isCommitting || this.isForeign) return null;
    return this.results.slice(this.statements.length - this.transaction.statements.length);
  }

  /** Whether the first row, if it has come, is another transaction's; an error after it is then not this one's either. */
  get isForeign(): boolean {
    const [first] = this.results;
    if (this.statements === this.transaction.statements || first === undefined) return false;
    return first.length !== 1 || !matchesIdentity(first[0], this.transaction.identity, this.nonce);
  }

  #expect(inSequence: boolean): void {
    if (!inSequence) this.isOutOfSequence = true;
  }
}
