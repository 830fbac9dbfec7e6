import { createReadStream } from 'node:fs';
import { z } from 'zod';
import { codePointLength, isStorableText } from '../core/text.ts';
import { MAX_USER_ID_LENGTH } from '../core/user.ts';
import { MAX_DESCRIPTION_LENGTH, MAX_TITLE_LENGTH } from '../tasks/task.ts';

/*
 * A backup is newline-delimited JSON in UTF-8: a line that says so, each user followed by that user's tasks, and a line with
 * the totals, without which the file is not whole.
 */

const text = (least: number, most: number) =>
  z
    .string()
    .refine((value) => isStorableText(value), 'has characters that cannot be stored')
    .refine((value) => codePointLength(value) >= least, 'is empty')
    .refine((value) => codePointLength(value) <= most, `is longer than ${most} characters`);

/** RFC 3339 in UTC, to the microsecond as PostgreSQL keeps it; PostgreSQL has no year 0. */
const timestamp = z.iso
  .datetime()
  .refine((value) => !value.startsWith('0000'), 'has a year 0')
  .refine((value) => !/\.\d{7}/.test(value), 'is finer than a microsecond');

/** Far more than the service takes: what a database has, its backup must be able to bring back. */
const MAX_EMAIL_LENGTH = 10_000;
const count = z.int().nonnegative();

const User = z.strictObject({
  id: text(1, MAX_USER_ID_LENGTH),
  email: text(0, MAX_EMAIL_LENGTH).nullable(),
  created_at: timestamp,
});

const Task = z.strictObject({
  id: z.guid().transform((id) => id.toLowerCase()),
  user_id: text(1, MAX_USER_ID_LENGTH),
  title: text(1, MAX_TITLE_LENGTH),
  description: text(1, MAX_DESCRIPTION_LENGTH).nullable(),
  is_completed: z.boolean(),
  created_at: timestamp,
  updated_at: timestamp,
});

const Head = z.strictObject({
  format: z.literal('todo-api backup'),
  version: z.literal(1, 'is of a version that this program does not know'),
  created_at: timestamp,
});

const Line = z.union([
  z.strictObject({ user: User }),
  z.strictObject({ task: Task }),
  z.strictObject({ end: z.strictObject({ users: count, tasks: count }) }),
]);

export type BackupUser = z.output<typeof User>;
export type BackupTask = z.output<typeof Task>;
export type Entry = Exclude<z.output<typeof Line>, { end: unknown }>;

export interface Totals {
  readonly users: number;
  readonly tasks: number;
}

/** The file is no whole backup; `message` names the line and what is wrong with it. */
class BackupFault extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'BackupFault';
  }
}

/** The lines that stand before and after all others. */
export const headLine = (now: Date) =>
  JSON.stringify({ format: 'todo-api backup', version: 1, created_at: now.toISOString() });
export const endLine = (totals: Totals) => JSON.stringify({ end: totals });
/** `json` is the row as the database wrote it. */
export const entryLine = (kind: 'user' | 'task', json: string) => `{"${kind}":${json}}`;

const NEWLINE = 0x0a;
const MAX_LINE_BYTES = 1_048_576;

/** The lines of the file, cut at U+000A alone: a title may hold other line separators. */
async function* linesOf(path: string): AsyncGenerator<Buffer> {
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

function decode(line: Buffer): string {
  if (line.length > MAX_LINE_BYTES) throw new TypeError('is too long');
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(line);
  } catch {
    throw new TypeError('is not UTF-8');
  }
}

function parseLine<Schema extends z.ZodType>(schema: Schema, line: string): z.output<Schema> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new TypeError('is not JSON');
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.flatMap((issue) =>
    issue.code === 'invalid_union' ? (issue.errors.at(closest(value)) ?? []) : [issue],
  );
  throw new TypeError(issues.map(({ path, message }) => `${path.join('.')} ${message}`.trim()).join('; '));
}

/** Which member of `Line` a value that is none was probably meant for. */
function closest(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  return Math.max(
    0,
    ['user', 'task', 'end'].findIndex((key) => key in value),
  );
}

/** Sees to it that what each line says fits what the lines before it said. */
class Bookkeeping {
  readonly #users = new Set<string>();
  #current = '';
  #ids = new Set<string>();
  #tasks = 0;

  get totals(): Totals {
    return { users: this.#users.size, tasks: this.#tasks };
  }

  enter(entry: Entry): void {
    if ('user' in entry) {
      const { id } = entry.user;
      if (this.#users.has(id)) throw new TypeError('names a user for the second time');
      this.#users.add(id);
      this.#current = id;
      this.#ids = new Set();
    } else {
      const { id, user_id } = entry.task;
      if (user_id !== this.#current) throw new TypeError('is a task that does not follow its user');
      if (this.#ids.has(id)) throw new TypeError('names a task for the second time');
      this.#ids.add(id);
      this.#tasks += 1;
    }
  }

  finish({ users, tasks }: Totals): void {
    const { totals } = this;
    if (users === totals.users && tasks === totals.tasks) return;
    throw new TypeError(
      `promises ${users} users and ${tasks} tasks, and the file has ${totals.users} and ${totals.tasks}`,
    );
  }
}

/**
 * Reads a backup from its first line to its last, each entry as soon as it has been judged.
 * @returns the totals, once every entry has been given.
 * @throws {BackupFault} at the first line that is wrong, or when the file has no end.
 */
export async function* readBackup(path: string): AsyncGenerator<Entry, Totals> {
  const books = new Bookkeeping();
  let number = 0;
  let ended = false;
  try {
    for await (const bytes of linesOf(path)) {
      number += 1;
      const line = decode(bytes);
      if (ended) throw new TypeError('stands behind the end');
      if (number === 1) {
        parseLine(Head, line);
        continue;
      }
      const entry = parseLine(Line, line);
      if ('end' in entry) {
        books.finish(entry.end);
        ended = true;
      } else {
        books.enter(entry);
        yield entry;
      }
    }
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new BackupFault(`Line ${number} of ${path} ${error.message}`);
  }
  if (!ended) throw new BackupFault(`${path} is not whole: it stops after line ${number}, without its end`);
  return books.totals;
}
