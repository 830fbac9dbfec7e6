import { AppError } from '../core/errors.ts';
import { parseUserId, type UserId } from '../core/user.ts';
import type { Database } from '../database/database.ts';
import { sqlStateOf } from '../database/errors.ts';
import type { BoundStatement, Rows } from '../database/sql.ts';
import { deleteOldReplies, STEP_ROWS } from './job-sql.ts';

/** What a step of a job did. */
interface Step {
  /** The users of the rows that it wrote, each once. */
  readonly users: ReadonlySet<UserId>;
  /** Whether nothing was left for another step. */
  readonly isLast: boolean;
}

/** Work on the rows of all users that nobody waits for. */
export interface Job {
  /** What it does, for the log. */
  readonly title: string;
  /**
   * Does some of it, in milliseconds, unless another process does.
   * @throws {JobRefusedError} if the database role may not; {AppError} as `Database.transaction` does.
   */
  step(): Promise<Step>;
}

/** The database role may not become `todo_operator`. */
export class JobRefusedError extends Error {
  constructor(cause: unknown) {
    super('The database role may not become todo_operator', { cause });
    this.name = 'JobRefusedError';
  }
}

const INSUFFICIENT_PRIVILEGE = '42501';

function toJobError(error: unknown): unknown {
  const isRefused = error instanceof AppError && sqlStateOf(error.cause) === INSUFFICIENT_PRIVILEGE;
  return isRefused ? new JobRefusedError(error) : error;
}

/** @returns the rows of the statement, of any users. @throws as `Job.step` does. */
export async function runJob(database: Database, statement: BoundStatement): Promise<Rows> {
  const [rows = []] = await database.transaction({ kind: 'admin' }, [statement]).catch((error: unknown) => {
    throw toJobError(error);
  });
  return rows;
}

/** @param statement writes at most `STEP_ROWS` rows, and returns the user of each. */
export function createJob(database: Database, title: string, statement: BoundStatement): Job {
  return {
    title,
    step: async () => {
      const rows = await runJob(database, statement);
      const users = new Set<UserId>();
      for (const [id] of rows) {
        const user = parseUserId(id);
        if (user !== null) users.add(user);
      }
      return { users, isLast: rows.length < STEP_ROWS };
    },
  };
}

/** The jobs on what is kept for retries. */
export const replyJobs = (database: Database): readonly Job[] => [
  createJob(database, 'deleting old idempotency keys', deleteOldReplies({})),
];
