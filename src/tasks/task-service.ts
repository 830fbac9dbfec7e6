import type { ByteBudget } from '../core/byte-budget.ts';
import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import { RecentMap } from '../core/recent-map.ts';
import type { Principal, UserId } from '../core/user.ts';
import type { Database } from '../database/database.ts';
import type { BoundStatement, Rows } from '../database/sql.ts';
import type { Effect, Retry } from '../writes/effect.ts';
import type { WriteResult } from '../writes/outcome.ts';
import { type Writer, writeOne } from '../writes/writer.ts';
import { type ListPage, pageOf } from './list-page.ts';
import { type TaskCountsQuery, type TaskListQuery, today } from './list-query.ts';
import { ListReader, type TaskPageResult } from './list-reader.ts';
import { readCounts } from './list-sql.ts';
import { LongLists } from './long-list.ts';
import type { Expected } from './parts-sql.ts';
import type { TaskCreate, TaskId, TaskToggle, TaskUpdate } from './task.ts';
import type { TaskEffects } from './task-effects.ts';
import { getState, getTask, listDeletedTasks, listLongTasks, listShortTasks, listTasks } from './task-sql.ts';

/** A task as the database built it: `json` is text of the schema `Task`, which the REST handlers send unparsed. */
interface TaskResult {
  readonly id: string;
  readonly version: number;
  readonly json: string;
}

/** A list, JSON of the schema `TaskList`; null if the state of what the user has is the one that the caller knows. */
interface TaskListResult {
  /** Changes with every change of the user's. */
  readonly state: string;
  readonly json: string | Buffer | null;
}

/** How a write is guarded. */
interface Guard {
  /** The versions on which it may be made; null for any. */
  readonly expected: Expected;
  readonly retry: Retry | null;
}

/** The use cases: what a user may do with their tasks, through any door. */
export interface TaskService {
  /** The user's newest tasks, newest first, at most 1000. @param known the state of the list that the caller has. */
  list(user: Principal, known: string | null): Promise<TaskListResult>;
  /** The deleted tasks that can be restored, newest deletion first, at most 1000. */
  listDeleted(user: Principal, known: string | null): Promise<TaskListResult>;
  /** What a list with parameters asks for, now. @throws {AppError} `VALIDATION_ERROR` if its cursor is none of it. */
  page(query: TaskListQuery): ListPage;
  /** A page of a list. @param known the state of it that the caller has. */
  listPage(user: Principal, page: ListPage, known: string | null): Promise<TaskPageResult>;
  /** The day of the counts. */
  dayOf(query: TaskCountsQuery): string;
  /** How many tasks there are on a day, JSON of the schema `TaskCounts`. @param known the state that the caller has. */
  count(user: Principal, day: string, known: string | null): Promise<TaskListResult>;
  /** @throws {AppError} `NOT_FOUND` if the user has no such task. */
  get(user: Principal, id: TaskId): Promise<TaskResult>;
  /** Creates a task under an id of the service's. Outcomes: `created`, `limit`. */
  create(user: Principal, task: TaskCreate, retry: Retry | null): Promise<WriteResult>;
  /** Creates a task under the user's id. Outcomes: `created`, `exists`, `taken`, `limit`. */
  createAs(user: Principal, id: TaskId, task: TaskCreate, retry: Retry | null): Promise<WriteResult>;
  /** Changes the given fields and no others. Outcomes: `changed`, `missing`, `stale`, `invalid`, `limit`. */
  update(user: Principal, id: TaskId, changes: TaskUpdate, guard: Guard): Promise<WriteResult>;
  /** Inverts `is_completed`, atomically. Outcomes: `changed`, `missing`, `stale`, `limit`. */
  toggle(user: Principal, id: TaskId, completion: TaskToggle, guard: Guard): Promise<WriteResult>;
  /** Outcomes: `deleted`, `missing`, `stale`. */
  delete(user: Principal, id: TaskId, guard: Guard): Promise<WriteResult>;
  /** Deletes the task, deleted already or not, and its content. Outcomes: `deleted`, `missing`, `stale`. */
  deletePermanently(user: Principal, id: TaskId, guard: Guard): Promise<WriteResult>;
  /** Brings a deleted task back. Outcomes: `changed`, `missing`, `stale`, `limit`. */
  restore(user: Principal, id: TaskId, guard: Guard): Promise<WriteResult>;
}

/** How many users' lists are remembered by their length. */
const MAX_USERS = 10_000;
/** In characters of JSON: a longer one is built here, not by the database. */
const MAX_SHORT_LIST = 1_048_576;

export interface TaskServiceOptions {
  readonly database: Database;
  readonly writer: Writer;
  readonly effects: TaskEffects;
  /** Of the responses that the kernel has not yet taken. */
  readonly unsent: ByteBudget;
  readonly clock: Clock;
}

export function createTaskService({ database, writer, effects, unsent, clock }: TaskServiceOptions): TaskService {
  const longLists = new LongLists(unsent);
  const pages = new ListReader(database, longLists);
  const lengths = new RecentMap<UserId, number>(MAX_USERS);

  /** @returns the rows of the statement. */
  const read = async ({ userId }: Principal, statement: BoundStatement): Promise<Rows> =>
    (await database.transaction({ kind: 'user', userId }, [statement])).at(-1) ?? [];

  const remember = (owner: UserId, json: string | Buffer) => {
    lengths.set(owner, json.length);
    return json;
  };

  /** The state is read before the rows, and so never newer than they are. */
  const buildList = async (
    user: Principal,
    known: string | null,
    statement: BoundStatement,
    expectedBytes = () => 0,
  ) => {
    const [[state] = []] = await read(user, getState({ owner: user.userId }));
    if (typeof state !== 'string') throw new TypeError('The database returned no state');
    if (state === known) return { state, json: null };
    return { state, json: await longLists.build(() => read(user, statement), expectedBytes) };
  };

  const write = (user: Principal, effect: Effect, retry: Retry | null, after: readonly BoundStatement[] = []) =>
    writeOne(writer, user, { effect, retry, after });

  return {
    list: async (user, known) => {
      const { userId: owner } = user;
      const length = lengths.get(owner);
      if (length === undefined || length <= MAX_SHORT_LIST) {
        const statement = length === undefined ? listShortTasks : listTasks;
        const [[state, json = null] = []] = await read(user, statement({ owner, known }));
        if (typeof state !== 'string') throw new TypeError('The database returned no state');
        if (state === known) return { state, json: null };
        if (json !== null) return { state, json: remember(owner, json) };
      }
      const { state, json } = await buildList(user, known, listLongTasks({ owner }), () => lengths.get(owner) ?? 0);
      return { state, json: json && remember(owner, json) };
    },
    listDeleted: (user, known) => buildList(user, known, listDeletedTasks({ owner: user.userId })),
    page: (query) => pageOf(query, clock()),
    listPage: ({ userId }, page, known) => pages.read(userId, page, known),
    dayOf: ({ time_zone }) => today(time_zone, clock()),
    count: async (user, day, known) => {
      const [[state, json = null] = []] = await read(user, readCounts({ owner: user.userId, day, known }));
      if (typeof state !== 'string') throw new TypeError('The database returned no state');
      return { state, json };
    },
    get: async (user, id) => {
      const [[found, version, json] = []] = await read(user, getTask({ owner: user.userId, id }));
      if (typeof found !== 'string' || typeof json !== 'string') throw new AppError('NOT_FOUND');
      return { id: found, version: Number(version), json };
    },
    create: (user, task, retry) => write(user, effects.create(user, null, task), retry),
    createAs: (user, id, task, retry) => write(user, effects.create(user, id, task), retry),
    update: (user, id, changes, { expected, retry }) => write(user, effects.update(user, id, changes, expected), retry),
    toggle: (user, id, completion, { expected, retry }) =>
      write(user, effects.toggle(user, id, completion, expected), retry),
    delete: (user, id, { expected, retry }) => {
      const deletion = effects.delete(user, id, { isPermanent: false, absent: 'missing' }, expected);
      return write(user, deletion, retry, effects.afterDeletions(user));
    },
    deletePermanently: (user, id, { expected, retry }) =>
      write(user, effects.delete(user, id, { isPermanent: true, absent: 'missing' }, expected), retry),
    restore: (user, id, { expected, retry }) => write(user, effects.restore(user, id, expected), retry),
  };
}
