import { type AdminAccess, AdminError } from './admin-access.ts';
import { type Existing, PAGE_ROWS, Table } from './admin-sql.ts';
import { countRows, type Progress } from './backup.ts';
import { BackupFileError, type Entry, formatTotals, noRows, OLDEST_MOVABLE, readBackup, type Totals } from './file.ts';

export interface RestoreOptions {
  readonly path: string;
  /** What happens to what exists, and to versions. */
  readonly existing: Existing;
  readonly onProgress: (progress: Progress) => void;
}

export interface Restored {
  /** What was inserted or replaced. */
  readonly written: Totals;
  readonly existed: Totals;
}

/** Consecutive entries that can be inserted by themselves: the first is a user, repeated if on the page before. */
type Page = readonly Entry[];

const rowsOf = (page: Page, table: Table) => page.filter((entry) => entry.table === table).map(({ row }) => row);

/** @returns the totals of the file, after every page has been given. */
async function* pagesOf({ path, existing }: RestoreOptions): AsyncGenerator<Page, Totals> {
  const entries = readBackup(path, existing === 'move' ? OLDEST_MOVABLE : 1);
  let user: Entry | null = null;
  let page: Entry[] = [];
  for (;;) {
    const { done, value } = await entries.next();
    if (done !== true) {
      if (value.table === 'users') user = value;
      else if (page.length === 0 && user !== null) page.push(user);
      page.push(value);
      if (page.length < PAGE_ROWS) continue;
    }
    if (page.length > 0) yield page;
    page = [];
    if (done === true) return value;
  }
}

function send(access: AdminAccess, kind: 'put' | 'check', page: Page, existing: Existing) {
  const rows = {
    users: rowsOf(page, 'users'),
    lists: rowsOf(page, 'lists'),
    tasks: rowsOf(page, 'tasks'),
    replies: rowsOf(page, 'replies'),
  };
  return access.run({ kind, rows, existing });
}

/** @returns the first line of `page` whose check fails, with the error; null if there is none. */
async function firstFault(access: AdminAccess, page: Page, existing: Existing): Promise<string | null> {
  let user: Page = [];
  for (const entry of page) {
    if (entry.table === 'users') user = [entry];
    try {
      await send(access, 'check', entry.table === 'users' ? user : [...user, entry], existing);
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
  const totals = noRows();
  let counted = 0;
  return (page) => {
    for (const { table, line } of page) {
      if (line > counted) totals[table] += 1;
      counted = Math.max(counted, line);
    }
    return totals;
  };
}

/**
 * Inserts the users, lists, tasks and replies of a backup, whole rows with their ids, owners and times, page by page. The whole
 * file is checked first, by the database itself in transactions that are rolled back, so that a faulty file changes
 * nothing. Users who exist, and tasks and lists not in the file, are kept. After an interruption it may be run again, but for a
 * move, which needs an empty database.
 * @throws {BackupFileError} if the file is not a complete backup that fits this database.
 * @throws {AdminError} if the database is not empty, and must be.
 */
export async function restore(access: AdminAccess, options: RestoreOptions): Promise<Restored> {
  const { existing, onProgress } = options;
  const present = await countRows(access);
  if (existing === 'move' && present.users > 0) {
    const advice = '--move needs an empty one, also after a move that was interrupted';
    throw new AdminError(`The database has ${formatTotals(present)}: ${advice}`, false);
  }
  const checked = createCounter();
  const checks = pagesOf(options);
  let next = await checks.next();
  for (; next.done !== true; next = await checks.next()) {
    await check(access, next.value, options);
    onProgress({ done: checked(next.value), total: null });
  }
  const total = next.value;
  const restored = createCounter();
  const written = noRows();
  for await (const page of pagesOf(options)) {
    const results = await send(access, 'put', page, existing);
    for (const [name] of results.flat()) {
      const table = Table.safeParse(name).data;
      if (table !== undefined) written[table] += 1;
    }
    onProgress({ done: restored(page), total });
  }
  const { users, lists, tasks, replies } = written;
  const existed = {
    users: total.users - users,
    lists: total.lists - lists,
    tasks: total.tasks - tasks,
    replies: total.replies - replies,
  };
  return { written, existed };
}
