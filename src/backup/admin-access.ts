import { setTimeout as delay } from 'node:timers/promises';
import { AppError } from '../core/errors.ts';
import type { Database } from '../database/database.ts';
import { endedSession, sqlStateOf, TransactionAbortedError } from '../database/errors.ts';
import type { Rows } from '../database/sql.ts';
import { type AdminRequest, CHECK_PASSED, statementsOf } from './admin-sql.ts';

/** Access of backup and restore to the rows of all users, a page at a time. */
export interface AdminAccess {
  /** Runs one request as one transaction. @returns the rows of each statement. @throws {AdminError} */
  run(request: AdminRequest): Promise<readonly Rows[]>;
  close(): Promise<void>;
}

export class AdminError extends Error {
  /** Whether the same request may succeed later; whether it was executed is then unknown. */
  readonly retryable: boolean;

  constructor(message: string, retryable: boolean) {
    super(message);
    this.name = 'AdminError';
    this.retryable = retryable;
  }
}

/** SQLSTATE classes of errors in the statement itself: its values, constraints, privileges, syntax. */
const STATEMENT_ERROR = /^(08P01|21|22|23|42)/;

function adminError(error: unknown): AdminError {
  const cause = error instanceof AppError || error instanceof TransactionAbortedError ? error.cause : error;
  const sqlState = sqlStateOf(cause);
  const isStatementError = sqlState !== null && STATEMENT_ERROR.test(sqlState) && !endedSession(cause);
  const retryable = error instanceof AppError && !isStatementError;
  return new AdminError(cause instanceof Error ? cause.message : String(cause), retryable);
}

/** @returns admin access through `database`. */
export function adminAccess(database: Pick<Database, 'transaction' | 'close'>): AdminAccess {
  return {
    run: async (request) => {
      try {
        return await database.transaction({ kind: 'admin' }, statementsOf(request));
      } catch (error) {
        if (error instanceof TransactionAbortedError && error.code === CHECK_PASSED) return [];
        throw adminError(error);
      }
    },
    close: () => database.close(),
  };
}

/** For how long a request is retried while the database is busy, restarting or resuming. */
const RETRY_FOR_MS = 60_000;
const MIN_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 2_000;

/** @returns `access`, retrying what failed for up to a minute. Every request is idempotent: it may run twice. */
export function withRetries(access: AdminAccess, onRetry: (message: string) => void): AdminAccess {
  return {
    run: async (request) => {
      const startedAt = performance.now();
      for (let attempt = 1; ; attempt += 1) {
        try {
          return await access.run(request);
        } catch (error) {
          const retryable = error instanceof AdminError && error.retryable;
          if (!retryable || performance.now() - startedAt > RETRY_FOR_MS) throw error;
          if (attempt === 1) onRetry(`${error.message}; retrying`);
          await delay(Math.min(MIN_BACKOFF_MS * 2 ** (attempt - 1), MAX_BACKOFF_MS));
        }
      }
    },
    close: () => access.close(),
  };
}
