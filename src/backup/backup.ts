import type { AdminAccess } from './admin-access.ts';
import { TABLES, type Table } from './admin-sql.ts';
import { AtomicFile } from './atomic-file.ts';
import { footerLine, headerLine, rowLine, type Totals } from './file.ts';

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

/** Each user followed by their tasks. A user created meanwhile, with their tasks, may be left out. */
async function* entriesOf(access: AdminAccess): AsyncGenerator<{ kind: 'user' | 'task'; json: string }> {
  const tasks = rowsOf(access, 'tasks');
  let task = await tasks.next();
  for await (const { userId, json } of rowsOf(access, 'users')) {
    yield { kind: 'user', json };
    while (task.done !== true && !isBefore(userId, task.value.userId)) {
      if (task.value.userId === userId) yield { kind: 'task', json: task.value.json };
      task = await tasks.next();
    }
  }
}

async function countRows(access: AdminAccess): Promise<Totals> {
  const [[[users = '0', tasks = '0'] = []] = []] = await access.run({ kind: 'count' });
  return { users: Number(users), tasks: Number(tasks) };
}

/**
 * Writes all users and tasks to `path`, atomically: the file appears complete and on the disk, or not at all. The
 * service may serve meanwhile: of a task that is changed at the same time, the state before or after is in the file.
 * @returns how many were written.
 */
export async function backUp(
  access: AdminAccess,
  path: string,
  onProgress: (progress: Progress) => void,
): Promise<Totals> {
  const total = await countRows(access);
  const done = { users: 0, tasks: 0 };
  const file = await AtomicFile.create(path);
  try {
    await file.writeLine(headerLine(new Date()));
    for await (const { kind, json } of entriesOf(access)) {
      await file.writeLine(rowLine(kind, json));
      done[kind === 'user' ? 'users' : 'tasks'] += 1;
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
