import type { AdminAccess } from './admin-access.ts';
import { TABLES, type Table } from './admin-sql.ts';
import { AtomicFile } from './atomic-file.ts';
import { footerLine, headerLine, noRows, rowLine, type Totals } from './file.ts';

export interface Progress {
  readonly done: Totals;
  /** The totals, as counted at the start; null while a file is being checked. */
  readonly total: Totals | null;
}

interface Row {
  readonly userId: string;
  readonly json: string;
}

/** All rows of `table` in the order of its key, the user's id first, read page by page. */
async function* rowsOf(access: AdminAccess, table: Table): AsyncGenerator<Row> {
  let after: readonly string[] = TABLES[table].first;
  for (;;) {
    const [page = []] = await access.run({ kind: 'page', table, after: [...after] });
    if (page.length === 0) return;
    for (const columns of page) {
      after = columns.slice(0, -1).map((column) => column ?? '');
      yield { userId: after[0] ?? '', json: columns.at(-1) ?? '' };
    }
  }
}

const isBefore = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b)) < 0;

/** @returns a function that gives the rows of `table` up to those of a user, to be called with each user in order. */
function rowsByUser(access: AdminAccess, table: Table): (userId: string) => AsyncGenerator<string> {
  const rows = rowsOf(access, table);
  let next: IteratorResult<Row, unknown> | null = null;
  return async function* (userId) {
    next ??= await rows.next();
    while (next.done !== true && !isBefore(userId, next.value.userId)) {
      if (next.value.userId === userId) yield next.value.json;
      next = await rows.next();
    }
  };
}

/** Each user followed by their lists, tasks and replies. A user created meanwhile, with what is theirs, may be left out. */
async function* entriesOf(access: AdminAccess): AsyncGenerator<{ table: Table; json: string }> {
  const of = (table: Table) => ({ table, rowsOf: rowsByUser(access, table) });
  const owned = [of('lists'), of('tasks'), of('replies')];
  for await (const { userId, json } of rowsOf(access, 'users')) {
    yield { table: 'users', json };
    for (const { table, rowsOf: rows } of owned) for await (const row of rows(userId)) yield { table, json: row };
  }
}

/** @returns the number of rows of each table that a backup would have. */
export async function countRows(access: AdminAccess): Promise<Totals> {
  const [[[users = '0', lists = '0', tasks = '0', replies = '0'] = []] = []] = await access.run({ kind: 'count' });
  return { users: Number(users), lists: Number(lists), tasks: Number(tasks), replies: Number(replies) };
}

/**
 * Writes all users, lists, tasks and replies to `path`, atomically: the file appears complete and on the disk, or not at all. The
 * service may serve meanwhile: of a task or list that is changed at the same time, the state before or after is in the file.
 * @returns how many were written.
 */
export async function backUp(
  access: AdminAccess,
  path: string,
  onProgress: (progress: Progress) => void,
): Promise<Totals> {
  const total = await countRows(access);
  const done = noRows();
  const file = await AtomicFile.create(path);
  try {
    await file.writeLine(headerLine(new Date()));
    for await (const { table, json } of entriesOf(access)) {
      await file.writeLine(rowLine(table, json));
      done[table] += 1;
      onProgress({ done, total });
    }
    await file.writeLine(footerLine(done));
    await file.finish();
  } catch (error) {
    await file.discard();
    throw error;
  }
  return done;
}
