import type { Operator } from './admin-access.ts';
import { PAGE_ROWS } from './admin-sql.ts';
import type { Progress } from './backup.ts';
import { type BackupTask, type BackupUser, readBackup, type Totals } from './file.ts';

export interface RestoreOptions {
  readonly path: string;
  /** What becomes of a task that is there and differs from the file's. */
  readonly existing: 'keep' | 'replace';
  readonly onProgress: (progress: Progress) => void;
}

export interface Restored {
  /** What the file has. */
  readonly total: Totals;
  /** What was put in; the rest was there already. */
  readonly put: Totals;
}

async function judge(path: string, onProgress: (progress: Progress) => void): Promise<Totals> {
  const seen = { users: 0, tasks: 0 };
  const entries = readBackup(path);
  for (;;) {
    const { done, value } = await entries.next();
    if (done === true) return value;
    seen['user' in value ? 'users' : 'tasks'] += 1;
    onProgress({ done: seen, total: null });
  }
}

/**
 * Puts the users and tasks of a backup into the database, with their ids, owners and times, page by page. The whole file is
 * judged before the first page, so that one with a fault changes nothing; cut short, it may be run again. Users and
 * tasks that the file does not have stay, and so does a user who is there.
 * @throws {BackupFault} when the file is no whole backup.
 */
export async function restore(operator: Operator, { path, existing, onProgress }: RestoreOptions): Promise<Restored> {
  const total = await judge(path, onProgress);
  const done = { users: 0, tasks: 0 };
  const put = { users: 0, tasks: 0 };
  const users: BackupUser[] = [];
  const tasks: BackupTask[] = [];
  const putTasks = existing === 'replace' ? 'put_tasks' : 'put_missing_tasks';
  const flush = async () => {
    if (users.length > 0) put.users += (await operator.run('put_users', [JSON.stringify(users)])).length;
    if (tasks.length > 0) put.tasks += (await operator.run(putTasks, [JSON.stringify(tasks)])).length;
    done.users += users.splice(0).length;
    done.tasks += tasks.splice(0).length;
    onProgress({ done, total });
  };
  for await (const entry of readBackup(path)) {
    if ('user' in entry) users.push(entry.user);
    else tasks.push(entry.task);
    if (users.length >= PAGE_ROWS || tasks.length >= PAGE_ROWS) await flush();
  }
  await flush();
  return { total, put };
}
