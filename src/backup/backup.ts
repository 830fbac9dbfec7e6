import type { Operator } from './admin-access.ts';
import { DraftFile } from './atomic-file.ts';
import { endLine, entryLine, headLine, type Totals } from './file.ts';

export interface Progress {
  readonly done: Totals;
  /** What there is to do, as far as it was known when the work began; null while a file is only being judged. */
  readonly total: Totals | null;
}

const BEFORE_EVERY_TASK = '00000000-0000-0000-0000-000000000000';

interface Row {
  readonly userId: string;
  readonly json: string;
}

/** All users in the order of their ids' bytes, page by page. */
async function* usersOf(operator: Operator): AsyncGenerator<Row> {
  for (let after = ''; ; ) {
    const page = await operator.run('users_after', [after]);
    if (page.length === 0) return;
    for (const [id, json] of page) {
      after = id ?? '';
      yield { userId: after, json: json ?? '' };
    }
  }
}

/** All tasks in the order of their users' ids' bytes, page by page. */
async function* tasksOf(operator: Operator): AsyncGenerator<Row> {
  let after: [string, string] = ['', BEFORE_EVERY_TASK];
  for (;;) {
    const page = await operator.run('tasks_after', after);
    if (page.length === 0) return;
    for (const [userId, id, json] of page) {
      after = [userId ?? '', id ?? ''];
      yield { userId: after[0], json: json ?? '' };
    }
  }
}

const isBefore = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b)) < 0;

/** Each user followed by their tasks. A user who came while this was under way, and their tasks, may be left out. */
async function* entriesOf(operator: Operator): AsyncGenerator<{ kind: 'user' | 'task'; json: string }> {
  const tasks = tasksOf(operator);
  let task = await tasks.next();
  for await (const { userId, json } of usersOf(operator)) {
    yield { kind: 'user', json };
    while (task.done !== true && !isBefore(userId, task.value.userId)) {
      if (task.value.userId === userId) yield { kind: 'task', json: task.value.json };
      task = await tasks.next();
    }
  }
}

async function countRows(operator: Operator): Promise<Totals> {
  const [users = '0', tasks = '0'] = (await operator.run('count', []))[0] ?? [];
  return { users: Number(users), tasks: Number(tasks) };
}

/**
 * Writes all users and tasks to `path`, which has its name only once it is whole and on the disk; a file of that name is
 * replaced. The service may go on meanwhile: of a task that is created, changed or deleted at the same time, the state
 * before or after is in the file, and every other task is in it as it is.
 * @returns how many there are in it.
 */
export async function backUp(
  operator: Operator,
  path: string,
  onProgress: (progress: Progress) => void,
): Promise<Totals> {
  const total = await countRows(operator);
  const done = { users: 0, tasks: 0 };
  const file = await DraftFile.create(path);
  try {
    await file.writeLine(headLine(new Date()));
    for await (const { kind, json } of entriesOf(operator)) {
      await file.writeLine(entryLine(kind, json));
      done[kind === 'user' ? 'users' : 'tasks'] += 1;
      onProgress({ done, total });
    }
    await file.writeLine(endLine(done));
    await file.finish();
  } catch (error) {
    await file.discard();
    throw error;
  }
  return done;
}
