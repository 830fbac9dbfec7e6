import { createReadStream } from 'node:fs';
import { z } from 'zod';
import { TABLES, type Table, TableRow } from './admin-sql.ts';

/*
 * A backup is newline-delimited JSON in UTF-8: a header, each user followed by that user's lists, tasks and replies to
 * retries, and a footer with the totals, without which the file is incomplete. A row has every column that its table had;
 * version 1 had a fixed list of columns, version 2 neither versions nor replies, version 3 no lists.
 */

const count = z.int().nonnegative();
const id = z.string();

/** PostgreSQL keeps timestamps to the microsecond, and would round finer ones. */
const hasSubMicrosecondTime = (columns: TableRow) =>
  Object.entries(columns).some(([name, value]) => name.endsWith('_at') && /\.\d{7}/.test(`${value}`));

const row = <Key extends z.ZodRawShape>(key: Key) =>
  TableRow.pipe(z.looseObject(key)) // z.intersection would drop the error of a column name
    .refine((columns) => !hasSubMicrosecondTime(columns), 'has a timestamp with more than 6 fractional digits');

const Header = z.looseObject({
  format: z.literal('todo-api backup'),
  version: z.literal([1, 2, 3, 4], 'is unknown: the file was made by a newer todo-api'),
});

const User = row({ id });
const Item = row({ user_id: id, id: z.guid() });
const Reply = row({ user_id: id, key: z.string(), part: z.int() });
const End = z.strictObject({ users: count, lists: count.default(0), tasks: count, replies: count.default(0) });
const Line = z
  .strictObject({ user: User, list: Item, task: Item, reply: Reply, end: End })
  .partial()
  .refine((line) => Object.keys(line).length === 1, 'is neither a user, a list, a task, a reply nor the end');

/** The number of rows of each table. */
export type Totals = Readonly<Record<Table, number>>;

const number = new Intl.NumberFormat('en');

export const formatTotals = (totals: Totals) =>
  Object.entries(totals)
    .map(([table, rows]) => `${number.format(rows)} ${table}`)
    .join(', ');

export const noRows = (): Record<Table, number> => ({ users: 0, lists: 0, tasks: 0, replies: 0 });

/** One row of a backup, with the number of its line. */
export interface Entry {
  readonly table: Table;
  readonly row: TableRow;
  readonly line: number;
}

/** The file is not a complete backup; `message` names the line and its fault. */
export class BackupFileError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'BackupFileError';
  }
}

/** The version that is written. */
const VERSION = 4;
/** The first with versions of tasks. */
export const OLDEST_MOVABLE = 3;

export const headerLine = (now: Date) =>
  JSON.stringify({ format: 'todo-api backup', version: VERSION, created_at: now.toISOString() });
export const footerLine = (totals: Totals) => JSON.stringify({ end: totals });
/** @param json the row as the database wrote it. */
export const rowLine = (table: Table, json: string) => `{"${TABLES[table].entry}":${json}}`;

const NEWLINE = 0x0a;
const MAX_LINE_BYTES = 1_048_576;

/** The lines of the file, separated by U+000A alone: a title may contain other line separators. */
async function* readLines(path: string): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of createReadStream(path)) {
    rest = Buffer.concat([rest, chunk]);
    for (let at = rest.indexOf(NEWLINE); at !== -1; at = rest.indexOf(NEWLINE)) {
      yield rest.subarray(0, at);
      rest = rest.subarray(at + 1);
    }
    if (rest.length > MAX_LINE_BYTES) break;
  }
  if (rest.length > 0) yield rest;
}

function parseLine<Schema extends z.ZodType>(schema: Schema, bytes: Buffer): z.output<Schema> {
  if (bytes.length > MAX_LINE_BYTES) throw new TypeError('is too long');
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw new TypeError(error instanceof SyntaxError ? 'is not JSON' : 'is not UTF-8');
  }
  const { data, error } = schema.safeParse(value);
  if (error === undefined) return data;
  throw new TypeError(error.issues.map(({ path, message }) => `${path.join('.')} ${message}`.trim()).join('; '));
}

/** Checks each line against those before it. */
class BackupValidator {
  readonly totals = noRows();
  readonly #users = new Set<string>();
  #user = '';
  /** The keys of the rows of `#user`. */
  #keys = new Set<string>();
  readonly #columns = new Map<Table, string>();

  addUser(row: z.output<typeof User>): void {
    this.#addRow('users', row);
    if (this.#users.has(row.id)) throw new TypeError('is a duplicate of a user');
    this.#users.add(row.id);
    this.#user = row.id;
    this.#keys = new Set();
  }

  addItem(table: 'tasks' | 'lists', row: z.output<typeof Item>): void {
    this.#addRow(table, row);
    this.#addKey(TABLES[table].entry, row.user_id, row.id.toLowerCase());
  }

  addReply(row: z.output<typeof Reply>): void {
    this.#addRow('replies', row);
    this.#addKey('reply', row.user_id, `${row.part} ${row.key}`);
  }

  verify(end: Totals): void {
    if (JSON.stringify(end) === JSON.stringify(this.totals)) return;
    throw new TypeError(`counts ${formatTotals(end)}, but the file has ${formatTotals(this.totals)}`);
  }

  /** Every row of a table must have the columns of the first: a missing one would not keep its value or default. */
  #addRow(table: Table, row: TableRow): void {
    const columns = Object.keys(row).sort().join(', ');
    const expected = this.#columns.get(table) ?? columns;
    if (columns !== expected) {
      throw new TypeError(`has the columns ${columns}, but the first ${TABLES[table].entry} has ${expected}`);
    }
    this.#columns.set(table, columns);
    this.totals[table] += 1;
  }

  #addKey(entry: string, userId: string, key: string): void {
    if (userId !== this.#user) throw new TypeError(`is a ${entry} that does not follow its user`);
    if (this.#keys.has(`${entry} ${key}`)) throw new TypeError(`is a duplicate of a ${entry}`);
    this.#keys.add(`${entry} ${key}`);
  }
}

/**
 * Reads a backup from its first line to its last. Values are not checked: the database does that.
 * @param oldest the oldest version of the format that will do.
 * @returns the totals, after every entry has been given.
 * @throws {BackupFileError} at the first faulty line, or if the file has no end.
 */
export async function* readBackup(path: string, oldest: number): AsyncGenerator<Entry, Totals> {
  const validator = new BackupValidator();
  let number = 0;
  let ended = false;
  try {
    for await (const bytes of readLines(path)) {
      number += 1;
      if (number === 1) {
        const { version } = parseLine(Header, bytes);
        if (version < oldest) throw new TypeError(`has version ${version}: such a file has no versions to keep`);
        continue;
      }
      if (ended) throw new TypeError('is after the end');
      const { user, list, task, reply, end } = parseLine(Line, bytes);
      if (user !== undefined) {
        validator.addUser(user);
        yield { table: 'users', row: user, line: number };
      }
      if (list !== undefined) {
        validator.addItem('lists', list);
        yield { table: 'lists', row: list, line: number };
      }
      if (task !== undefined) {
        validator.addItem('tasks', task);
        yield { table: 'tasks', row: task, line: number };
      }
      if (reply !== undefined) {
        validator.addReply(reply);
        yield { table: 'replies', row: reply, line: number };
      }
      if (end !== undefined) {
        validator.verify(end);
        ended = true;
      }
    }
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new BackupFileError(`Line ${number} of ${path} ${error.message}`);
  }
  if (!ended) throw new BackupFileError(`${path} is incomplete: it ends after line ${number}, without its totals`);
  return validator.totals;
}
