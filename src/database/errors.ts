import { AppError } from '../core/errors.ts';

/** How to react to an SQLSTATE (PostgreSQL manual, appendix A). */
export type SqlStateClass =
  /** Serialization failure or deadlock: run it again. */
  | 'retry'
  /** A prepared statement is missing or exists already, as behind a pooler that does not track them: retry without. */
  | 'retry-unprepared'
  /** This server cannot serve now; another connection may reach one that can. */
  | 'unavailable'
  /** A wrong setting: retrying does not help. */
  | 'misconfigured'
  /** A statement called `todo.abort`. */
  | 'aborted'
  | 'failed';

const CLASSES: ReadonlyMap<string, SqlStateClass> = new Map([
  ['40001', 'retry'], // serialization_failure
  ['40P01', 'retry'], // deadlock_detected
  ['26000', 'retry-unprepared'], // invalid_sql_statement_name
  ['42P05', 'retry-unprepared'], // duplicate_prepared_statement
  ['25006', 'unavailable'], // read_only_sql_transaction
  ['53300', 'unavailable'], // too_many_connections
  ['57P01', 'unavailable'], // admin_shutdown
  ['57P02', 'unavailable'], // crash_shutdown
  ['57P03', 'unavailable'], // cannot_connect_now
  ['28000', 'misconfigured'], // invalid_authorization_specification
  ['28P01', 'misconfigured'], // invalid_password
  ['3D000', 'misconfigured'], // invalid_catalog_name
  ['42501', 'misconfigured'], // insufficient_privilege
]);

export function classify(sqlState: string): SqlStateClass {
  return sqlState.startsWith('TD') ? 'aborted' : (CLASSES.get(sqlState) ?? 'failed');
}

/** @returns the SQLSTATE of an error that the server reported; null for any other error. */
export function sqlStateOf(error: unknown): string | null {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return null;
  return /^[0-9A-Z]{5}$/.test(error.code) ? error.code : null;
}

/** @returns whether the server, or a pooler, reported `error` with FATAL or PANIC and ended the session. */
export function endedSession(error: unknown): boolean {
  return error instanceof Error && 'severity' in error && (error.severity === 'FATAL' || error.severity === 'PANIC');
}

/**
 * The error of a transaction that failed because of `cause`: `TransactionAbortedError` for SQLSTATE class TD,
 * `SERVICE_UNAVAILABLE` if the server cannot serve now, else `DATABASE_ERROR`.
 */
export function transactionError(cause: Error): AppError | TransactionAbortedError {
  const sqlState = sqlStateOf(cause);
  const sqlStateClass = sqlState === null ? 'failed' : classify(sqlState);
  if (sqlStateClass === 'aborted' && sqlState !== null) return new TransactionAbortedError(sqlState, cause);
  return new AppError(sqlStateClass === 'unavailable' ? 'SERVICE_UNAVAILABLE' : 'DATABASE_ERROR', { cause });
}

/** A statement aborted its transaction with `todo.abort`; nothing was committed. */
export class TransactionAbortedError extends Error {
  /** The SQLSTATE given to `todo.abort`: `TD` and three digits. */
  readonly code: string;
  /** The detail given to `todo.abort`, or ''. */
  readonly detail: string;

  constructor(code: string, cause: Error) {
    super(`The transaction was aborted with ${code}`, { cause });
    this.name = 'TransactionAbortedError';
    this.code = code;
    this.detail = 'detail' in cause && typeof cause.detail === 'string' ? cause.detail : '';
  }
}

/** The database, or its URL, must not be used; `message` says why and what to do. */
export class DatabaseUnusableError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'DatabaseUnusableError';
  }
}
