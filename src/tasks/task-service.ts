import { v7 as uuidv7 } from 'uuid';
import { AppError } from '../core/errors.ts';
import { RecentMap } from '../core/recent-map.ts';
import type { Principal, UserId } from '../core/user.ts';
import type { Database } from '../database/database.ts';
import { TransactionAbortedError } from '../database/errors.ts';
import type { BoundStatement, Rows } from '../database/sql.ts';
import { LongLists } from './long-list.ts';
import type { TaskCreate, TaskId, TaskUpdate } from './task.ts';
import { TaskQuota } from './task-quota.ts';
import {
  countTasks,
  deleteTask,
  getTask,
  insertTask,
  LIMIT_REACHED,
  LONG_LIST_COLUMNS,
  listLongTasks,
  listShortTasks,
  listTasks,
  lockTaskCount,
  toggleTask,
  updateTask,
} from './task-sql.ts';

/** A task as the database built it: `json` is text of the schema `Task`, which the REST handlers send unparsed. */
interface TaskResult {
  readonly id: string;
  readonly json: string;
}

/** The use cases: what a user may do with their tasks, through any door. */
export interface TaskService {
  /** @returns JSON of the schema `TaskList`: the user's newest tasks, newest first, at most 1000. */
  list(user: Principal): Promise<{ readonly json: string | Buffer }>;
  /** @throws {AppError} `NOT_FOUND` if the user has no such task, as do the other methods that take an id. */
  get(user: Principal, id: TaskId): Promise<TaskResult>;
  /**
   * Creates a task, and the user's row if that is missing.
   * @throws {AppError} `LIMIT_REACHED` if the user has as many tasks as they may.
   */
  create(user: Principal, task: TaskCreate): Promise<TaskResult>;
  /** Changes the given fields and no others. */
  update(user: Principal, id: TaskId, changes: TaskUpdate): Promise<TaskResult>;
  /** Inverts `is_completed`, atomically. */
  toggle(user: Principal, id: TaskId): Promise<TaskResult>;
  /** @returns the id of the deleted task. */
  delete(user: Principal, id: TaskId): Promise<{ readonly id: string }>;
}

/** How many users' lists are remembered to be short or long. */
const MAX_USERS = 10_000;
/** In characters of JSON: a longer one is built here, not by the database. */
const MAX_SHORT_LIST = 1_048_576;
/** In UTF-16 code units: 1000 tasks with such texts make no long list. */
const SHORT_TEXT = 100;

function toTask(rows: Rows): TaskResult {
  const [[id, json] = []] = rows;
  if (typeof id !== 'string' || typeof json !== 'string') throw new AppError('NOT_FOUND');
  return { id, json };
}

function limitError(limit: number, cause: unknown): unknown {
  if (!(cause instanceof TransactionAbortedError) || cause.code !== LIMIT_REACHED) return cause;
  return new AppError('LIMIT_REACHED', { message: `The limit of ${limit} tasks is reached` });
}

/** @param maxTasksPerUser beyond which creates fail; 0 is no limit. */
export function createTaskService(database: Database, maxTasksPerUser: number): TaskService {
  const quota = new TaskQuota(maxTasksPerUser);
  const longLists = new LongLists();
  const lists = new RecentMap<UserId, 'short' | 'long'>(MAX_USERS);

  const remember = (owner: UserId, json: string | Buffer) => {
    lists.set(owner, json.length > MAX_SHORT_LIST ? 'long' : 'short');
    return { json };
  };

  /** Of a user who has written a long text it is no longer known that their list is short. */
  const forgetIfLong = ({ userId }: Principal, { title = '', description }: TaskUpdate) => {
    if (title.length + (description?.length ?? 0) > SHORT_TEXT) lists.delete(userId);
  };

  /** @returns the rows of the last statement. */
  const run = async (user: Principal, statement: BoundStatement): Promise<Rows> =>
    (await database.transaction({ kind: 'user', userId: user.userId }, [statement])).at(-1) ?? [];

  const runForTask = async (user: Principal, statement: BoundStatement): Promise<TaskResult> =>
    toTask(await run(user, statement));

  const countAndInsert = async ({ userId }: Principal, insert: BoundStatement) => {
    const statements = [
      lockTaskCount({ owner: userId }),
      countTasks({ owner: userId, limit: maxTasksPerUser }),
      insert,
    ];
    try {
      const [, [[stored] = []] = [], inserted = []] = await database.transaction({ kind: 'user', userId }, statements);
      return { stored: Number(stored), result: toTask(inserted) };
    } catch (error) {
      throw limitError(maxTasksPerUser, error);
    }
  };

  return {
    list: async (user) => {
      const { userId: owner } = user;
      const known = lists.get(owner);
      if (known !== 'long') {
        const [[json] = []] = await run(user, known === 'short' ? listTasks({ owner }) : listShortTasks({ owner }));
        if (typeof json === 'string') return remember(owner, json);
      }
      return remember(owner, await longLists.build(LONG_LIST_COLUMNS, () => run(user, listLongTasks({ owner }))));
    },
    get: (user, id) => runForTask(user, getTask({ owner: user.userId, id })),
    // UUIDv7: newest first even within one microsecond, if one process created them.
    create: (user, task) => {
      forgetIfLong(user, task);
      const insert = insertTask(user, uuidv7(), task);
      return quota.create(
        user.userId,
        () => runForTask(user, insert),
        () => countAndInsert(user, insert),
      );
    },
    update: (user, id, changes) => {
      forgetIfLong(user, changes);
      return runForTask(user, updateTask(user.userId, id, changes));
    },
    toggle: (user, id) => runForTask(user, toggleTask({ owner: user.userId, id })),
    delete: async (user, id) => {
      const [[deleted] = []] = await run(user, deleteTask({ owner: user.userId, id }));
      if (typeof deleted !== 'string') throw new AppError('NOT_FOUND');
      return { id: deleted };
    },
  };
}
