import { createHash } from 'node:crypto';
import type { UserId } from '../core/user.ts';

/** One parameterized SQL statement; `name` is the prepared statement's, and differs whenever the text does. */
export interface Statement {
  readonly name: string;
  readonly text: string;
  /** A read may be sent again when its connection is lost; a write never is. */
  readonly access: 'read' | 'write';
}

/** The values of a statement's `$1`, `$2`…, in PostgreSQL's text format. */
export type Values = readonly (string | null)[];

/** One row of an answer in PostgreSQL's text format. */
export type Row = readonly (string | null)[];

/** Where tasks are kept. Every method may be called by any number of requests at once. */
export interface Database {
  /**
   * Runs one statement as one transaction that the database itself confines to `userId` (row-level security),
   * in one network round trip.
   * @throws {AppError} `DATABASE_ERROR` when it failed, ran over 10 s, or its fate is unknown (a write is then never
   *   sent again); `SERVICE_UNAVAILABLE` when no connection was free for 2 s or the database takes no writes.
   */
  asUser(userId: UserId, statement: Statement, values: Values): Promise<readonly Row[]>;

  /** Answers once the database does. @throws {AppError} as `asUser` does. */
  ping(): Promise<void>;

  /** Lets what is under way finish, then lets go of every connection. */
  close(): Promise<void>;
}

/** @returns SQL for the `timestamptz` column `name` as RFC 3339 text in UTC, to the microsecond. */
export const utcText = (name: string) =>
  `to_char(${name} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as ${name}`;

/** @returns a statement whose prepared name carries a digest of its text, so that two versions never share a name. */
export function defineStatement(name: string, access: Statement['access'], text: string): Statement {
  const digest = createHash('sha256').update(text).digest('hex').slice(0, 8);
  return { name: `${name}_${digest}`, text, access };
}
