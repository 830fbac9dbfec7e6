import { AppError } from '../core/errors.ts';
import type { Row, Statement, Values } from '../database/database.ts';
import { sqlStateOf } from '../database/errors.ts';
import { OPERATOR_STATEMENTS, type OperatorStatement } from './admin-sql.ts';

/** What backup and restore work with: all users' rows, a page at a time. */
export interface Operator {
  /** Runs the statement called `name` as a transaction of its own. @throws {OperatorError} */
  run(name: OperatorStatement, values: Values): Promise<readonly Row[]>;
  close(): Promise<void>;
}

export class OperatorError extends Error {
  /** The same again may succeed: the database was busy or out of reach, and what was asked may or may not have happened. */
  readonly passing: boolean;

  constructor(message: string, passing: boolean) {
    super(message);
    this.name = 'OperatorError';
    this.passing = passing;
  }
}

/** A database that lets the role `todo_operator` in. */
export interface OperatorAccess {
  /** Runs one statement as one transaction that sees the rows of all users. @throws {AppError} as `asUser` does. */
  asOperator(statement: Statement, values: Values): Promise<readonly Row[]>;
  close(): Promise<void>;
}

/** SQLSTATEs of what a statement itself is to blame for: its values' number, data, constraints, rights, syntax. */
const STATEMENT_AT_FAULT = /^(08P01|21|22|23|42)/;

function operatorError(error: unknown): OperatorError {
  const cause = error instanceof AppError ? error.cause : error;
  const sqlState = sqlStateOf(cause);
  const passing = error instanceof AppError && (sqlState === null || !STATEMENT_AT_FAULT.test(sqlState));
  return new OperatorError(cause instanceof Error ? cause.message : String(cause), passing);
}

/** @returns `access` with the statements of `operator-sql.ts`, and no other. */
export function operate(access: OperatorAccess): Operator {
  return {
    run: async (name, values) => {
      try {
        return await access.asOperator(OPERATOR_STATEMENTS[name], values);
      } catch (error) {
        throw operatorError(error);
      }
    },
    close: () => access.close(),
  };
}
