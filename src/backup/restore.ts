import { type AdminAccess, AdminError } from './admin-access.ts';
import { PAGE_ROWS } from './admin-sql.ts';
import type { Progress } from './backup.ts';
import { BackupFileError, type Entry, readBackup, type Totals } from './file.ts';

export interface RestoreOptions {
  readonly path: string;
  /** What happens to a task that exists and differs from the file's. */
  readonly existing: 'keep' | 'replace';
  readonly onProgress: (progress: Progress) => void;
}

export interface Restored {
  /** What the file contains. */
  readonly total: Totals;
  /** What was inserted or replaced; the rest existed already. */
  readonly written: Totals;
}

/** Consecutive entries that can be inserted by themselves: the first is a user, repeated if on the page before. */
type Page = readonly Entry[];

const rowsOf = (page: Page, kind: Entry['kind']) =>
  page.filter((entry) => entry.kind === kind).map((entry) => entry.row);

/** @returns the totals of the file, after every page has been given. */
async function* pagesOf(path: string): AsyncGenerator<Page, Totals> {
  const entries = readBackup(path);
  let user: Entry | null = null;
  let page: Entry[] = [];
  for (;;) {
    const { done, value } = await entries.next();
    if (done !== true) {
      if (value.kind === 'user') user = value;
      else if (page.length === 0 && user !== null) page.push(user);
      page.push(value);
      if (page.length < PAGE_ROWS) continue;
    }
    if (page.length > 0) yield page;
    page = [];
    if (done === true) return value;
  }
}

type Existing = RestoreOptions['existing'];

const send = (access: AdminAccess, kind: 'put' | 'check', page: Page, existing: Existing) =>
  access.run({ kind, users: rowsOf(page, 'user'), tasks: rowsOf(page, 'task'), existing });

/** @returns the first line of `page` whose check fails, with the error; null if there is none. */
async function firstFault(access: AdminAccess, page: Page, existing: Existing): Promise<string | null> {
  let user: Page = [];
  for (const entry of page) {
    if (entry.kind === 'user') user = [entry];
    try {
      await send(access, 'check', entry.kind === 'user' ? user : [...user, entry], existing);
    } catch (error) {
      if (!(error instanceof AdminError) || error.retryable) throw error;
      return `Line ${entry.line}: ${error.message}`;
    }
  }
  return null;
}

/** Inserts the page and rolls back. @throws {BackupFileError} naming the first line whose check fails. */
async function check(access: AdminAccess, page: Page, { path, existing }: RestoreOptions): Promise<void> {
  try {
    await send(access, 'check', page, existing);
  } catch (error) {
    if (!(error instanceof AdminError) || error.retryable) throw error;
    throw new BackupFileError(
      `${path} cannot be restored. ${(await firstFault(access, page, existing)) ?? error.message}`,
    );
  }
}

/** @returns a function that counts the entries of pages so far; a repeated user is counted once. */
function createCounter(): (page: Page) => Totals {
  const totals = { users: 0, tasks: 0 };
  let counted = 0;
  return (page) => {
    for (const { kind, line } of page) {
      if (line > counted) totals[kind === 'user' ? 'users' : 'tasks'] += 1;
      counted = Math.max(counted, line);
    }
    return totals;
  };
}

/**
 * Inserts the users and tasks of a backup, whole rows with their ids, owners and times, page by page. The whole file is
 * checked first, by the database itself in transactions that are rolled back, so that a faulty file changes nothing.
 * Idempotent: after an interruption it may be run again. Users who exist, and tasks not in the file, are kept.
 * @throws {BackupFileError} if the file is not a complete backup that fits this database.
 */
export async function restore(access: AdminAccess, options: RestoreOptions): Promise<Restored> {
  const { path, existing, onProgress } = options;
  const checked = createCounter();
  const checks = pagesOf(path);
  let next = await checks.next();
  for (; next.done !== true; next = await checks.next()) {
    await check(access, next.value, options);
    onProgress({ done: checked(next.value), total: null });
  }
  const total = next.value;
  const restored = createCounter();
  const written = { users: 0, tasks: 0 };
  for await (const page of pagesOf(path)) {
    const [users = [], tasks = []] = await send(access, 'put', page, existing);
    written.users += users.length;
    written.tasks += tasks.length;
    onProgress({ done: restored(page), total });
  }
  return { total, written };
}
