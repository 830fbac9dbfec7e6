import { createReadStream } from 'node:fs';
import { z } from 'zod';
import { TableRow } from './admin-sql.ts';

/*
 * A backup is newline-delimited JSON in UTF-8: a header, each user followed by that user's tasks, and a footer with the
 * totals, without which the file is incomplete. A row has every column that its table had; version 1 had a
 * fixed list of columns.
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
  version: z.literal([1, 2], 'is unknown: the file was made by a newer todo-api'),
});

const User = row({ id });
const Task = row({ user_id: id, id: z.guid() });
const Line = z
  .strictObject({ user: User, task: Task, end: z.strictObject({ users: count, tasks: count }) })
  .partial()
  .refine((line) => Object.keys(line).length === 1, 'is neither a user, a task nor the end');

export interface Totals {
  readonly users: number;
  readonly tasks: number;
}

/** One row of a backup, with the number of its line. */
export interface Entry {
  readonly kind: 'user' | 'task';
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

export const headerLine = (now: Date) =>
  JSON.stringify({ format: 'todo-api backup', version: 2, created_at: now.toISOString() });
export const footerLine = (totals: Totals) => JSON.stringify({ end: totals });
/** @param json the row as the database wrote it. */
export const rowLine = (kind: Entry['kind'], json: string) => `{"${kind}":${json}}`;

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
  readonly #users = new Set<string>();
  #user = '';
  #ids = new Set<string>();
  #tasks = 0;
  readonly #columns = new Map<Entry['kind'], string>();

  get totals(): Totals {
    return { users: this.#users.size, tasks: this.#tasks };
  }

  /** Every row of a kind must have the columns of the first: a missing one would not keep its value or default. */
  addColumns(kind: Entry['kind'], row: TableRow): void {
    const columns = Object.keys(row).sort().join(', ');
    const expected = this.#columns.get(kind) ?? columns;
    if (columns !== expected) throw new TypeError(`has the columns ${columns}, but the first ${kind} has ${expected}`);
    this.#columns.set(kind, columns);
  }

  addUser(userId: string): void {
    if (this.#users.has(userId)) throw new TypeError('is a duplicate of a user');
    this.#users.add(userId);
    this.#user = userId;
    this.#ids = new Set();
  }

  addTask(userId: string, taskId: string): void {
    if (userId !== this.#user) throw new TypeError('is a task that does not follow its user');
    if (this.#ids.has(taskId)) throw new TypeError('is a duplicate of a task');
    this.#ids.add(taskId);
    this.#tasks += 1;
  }

  verify({ users, tasks }: Totals): void {
    const { totals } = this;
    if (users === totals.users && tasks === totals.tasks) return;
    throw new TypeError(
      `counts ${users} users and ${tasks} tasks, but the file has ${totals.users} and ${totals.tasks}`,
    );
  }
}

/**
 * Reads a backup from its first line to its last. Values are not checked: the database does that.
 * @returns the totals, after every entry has been given.
 * @throws {BackupFileError} at the first faulty line, or if the file has no end.
 */
export async function* readBackup(path: string): AsyncGenerator<Entry, Totals> {
  const validator = new BackupValidator();
  let number = 0;
  let ended = false;
  try {
    for await (const bytes of readLines(path)) {
      number += 1;
      if (number === 1) {
        parseLine(Header, bytes);
        continue;
      }
      if (ended) throw new TypeError('is after the end');
      const { user, task, end } = parseLine(Line, bytes);
      if (user !== undefined) {
        validator.addColumns('user', user);
        validator.addUser(user.id);
        yield { kind: 'user', row: user, line: number };
      }
      if (task !== undefined) {
        validator.addColumns('task', task);
        validator.addTask(task.user_id, task.id.toLowerCase());
        yield { kind: 'task', row: task, line: number };
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
