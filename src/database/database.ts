import type { Identity } from './identity.ts';
import type { BoundStatement, Rows } from './sql.ts';

/** Where tasks are stored. Every method is safe to call concurrently. */
export interface Database {
  /**
   * Runs `statements` in order as one transaction, in one network round trip, as `identity`: the database itself
   * confines a user's transaction to that user's rows (row-level security). Read committed: each statement has a
   * snapshot of its own. If one fails, the rest are skipped and nothing is committed.
   *
   * A transaction of reads alone is sent again if its connection is lost; one with a write never is.
   * @returns the rows of each statement, in order.
   * @throws {AppError} `DATABASE_ERROR` if it failed, took longer than 10.2 s, or its connection was lost (a write may
   *   then have been committed); `SERVICE_UNAVAILABLE` if no connection was free for 2 s, or the server is read-only,
   *   has no connection left or is shutting down (SQLSTATE 25006, 53300, 57P01 to 57P03).
   * @throws {TransactionAbortedError} if a statement called `todo.abort`.
   */
  transaction(identity: Identity, statements: readonly BoundStatement[]): Promise<readonly Rows[]>;

  /** Resolves once the database has answered a query. @throws {AppError} as `transaction` does. */
  ping(): Promise<void>;

  /** Graceful shutdown: waits for transactions in flight, then closes all connections. */
  close(): Promise<void>;
}
