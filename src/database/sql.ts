import { createHash } from 'node:crypto';

/** A parameter's value. An array is sent as JSON text, for parameters of type `json`. */
export type SqlValue = string | number | boolean | null | readonly unknown[];

/** One SQL statement with `$1`, `$2`…; `name` is that of its prepared statement, and differs whenever the text does. */
export interface Statement {
  readonly name: string;
  readonly text: string;
  readonly access: 'read' | 'write';
  /** Whether it is one of too many to be kept prepared. */
  readonly isOnce?: boolean;
}

/** A statement with the values of its parameters, in PostgreSQL's text format. */
export interface BoundStatement {
  readonly statement: Statement;
  readonly values: readonly (string | null)[];
}

/** One row in PostgreSQL's text format. */
export type Row = readonly (string | null)[];

/** The rows of one statement. */
export type Rows = readonly Row[];

function encode(name: string, value: SqlValue | undefined): string | null {
  if (value === undefined) throw new TypeError(`The SQL parameter $${name} has no value`);
  if (value === null || typeof value === 'string') return value;
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/**
 * Defines a statement with named parameters: `$owner` in `text` stands for the parameter `owner`, wherever it occurs.
 * @param access whether it only reads; a read is sent again if its connection is lost.
 * @returns a function that binds values to the parameters.
 */
export function sql<Parameters extends Readonly<Record<string, SqlValue>>>(
  name: string,
  access: Statement['access'],
  text: string,
): (parameters: Parameters) => BoundStatement {
  return define<Parameters>(name, access, text, {});
}

/** As `sql`, for a statement that is put together for one request: it is planned for its values, and not kept prepared. */
export function sqlOnce(
  name: string,
  access: Statement['access'],
  text: string,
): (parameters: Readonly<Record<string, SqlValue>>) => BoundStatement {
  return define(name, access, text, { isOnce: true });
}

function define<Parameters extends Readonly<Record<string, SqlValue>>>(
  name: string,
  access: Statement['access'],
  text: string,
  once: Pick<Statement, 'isOnce'>,
): (parameters: Parameters) => BoundStatement {
  const names = [...new Set([...text.matchAll(/\$([a-z]\w*)/g)].map(([, parameter = '']) => parameter))];
  const numbered = text.replace(/\$([a-z]\w*)/g, (_, parameter: string) => `$${names.indexOf(parameter) + 1}`);
  const digest = createHash('sha256').update(numbered).digest('hex').slice(0, 8);
  const statement: Statement = { name: `${name}_${digest}`, text: numbered, access, ...once };
  return (parameters) => ({ statement, values: names.map((parameter) => encode(parameter, parameters[parameter])) });
}

/** @returns SQL for the `timestamptz` column `name` as RFC 3339 text in UTC, to the microsecond. */
export const utcText = (name: string) =>
  `to_char(${name} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as ${name}`;
