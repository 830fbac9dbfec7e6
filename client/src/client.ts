import type {
  BatchResults,
  Changes,
  DeletedList,
  DeletedTask,
  List,
  ListCreate,
  Lists,
  ListUpdate,
  Task,
  TaskCounts,
  TaskCreate,
  TaskList,
  TaskUpdate,
} from './api-types.ts';
import { Http, type HttpOptions, type SendOptions } from './http.ts';
import { uuidv7 } from './ids.ts';
import { type TaskQuery, taskQuery } from './list-query.ts';
import type { Operation } from './operation.ts';

export interface WriteOptions {
  readonly signal?: AbortSignal;
  /** The version that the task or list must still have; 412 otherwise. */
  readonly ifMatch?: number;
  /** The `Idempotency-Key`, by default a new one. The same key with the same request is executed once. */
  readonly key?: string;
}

export interface ChangesOptions {
  readonly cursor?: string | null;
  /** 1 to 1000. */
  readonly limit?: number;
  /** Seconds to wait for a change, 1 to 25. */
  readonly wait?: number;
  readonly signal?: AbortSignal;
}

export interface BatchOptions {
  readonly signal?: AbortSignal;
  readonly key?: string;
  /** All operations or none. */
  readonly atomic?: boolean;
  /** 412 where a task or list that is named has moved past this version. */
  readonly ifUnchangedSince?: number;
}

/** Calls about the lists of one user. */
export interface ListCalls {
  /** All of them, by position. */
  all(options?: { readonly signal?: AbortSignal }): Promise<readonly List[]>;
  get(id: string, options?: { readonly signal?: AbortSignal }): Promise<List>;
  /** With an `id`, creates the list under that id: 412 if the user has a list with it. */
  create(list: ListCreate & { readonly id?: string }, options?: Omit<WriteOptions, 'ifMatch'>): Promise<List>;
  put(id: string, list: ListUpdate, options?: WriteOptions): Promise<List>;
  patch(id: string, change: ListUpdate, options?: WriteOptions): Promise<List>;
  /** @param options.tasks what becomes of its tasks: they go to the inbox, if nothing else is said. */
  delete(id: string, options?: WriteOptions & { readonly tasks?: 'inbox' | 'delete' }): Promise<DeletedList>;
}

/** Calls of one user. Each rejects with a `TodoApiError`, or with the reason of an aborted signal. */
export interface TodoClient {
  readonly http: Http;
  readonly lists: ListCalls;
  /** The newest tasks, at most 1000. */
  list(options?: { readonly signal?: AbortSignal }): Promise<readonly Task[]>;
  /** A page of the tasks that are asked for: filtered, searched, sorted. `next_cursor` leads to the next. */
  page(query?: TaskQuery, options?: { readonly signal?: AbortSignal }): Promise<TaskList>;
  /** @param options.timeZone IANA time zone of the day; UTC if it is not given. */
  counts(options?: { readonly timeZone?: string; readonly signal?: AbortSignal }): Promise<TaskCounts>;
  /** Deleted tasks that can be restored, newest deletion first. */
  deleted(options?: { readonly signal?: AbortSignal }): Promise<readonly Task[]>;
  get(id: string, options?: { readonly signal?: AbortSignal }): Promise<Task>;
  /** With an `id`, creates the task under that id: 412 if the user has a task with it. */
  create(task: TaskCreate & { readonly id?: string }, options?: Omit<WriteOptions, 'ifMatch'>): Promise<Task>;
  put(id: string, task: TaskUpdate, options?: WriteOptions): Promise<Task>;
  patch(id: string, change: TaskUpdate, options?: WriteOptions): Promise<Task>;
  /** @param options.completedOn the person's day, `YYYY-MM-DD`, on which a recurring task is completed. */
  toggle(id: string, options?: WriteOptions & { readonly completedOn?: string }): Promise<Task>;
  /** @param options.permanent blanks the content at once, so that it cannot be restored. */
  delete(id: string, options?: WriteOptions & { readonly permanent?: boolean }): Promise<DeletedTask>;
  restore(id: string, options?: WriteOptions): Promise<Task>;
  /** At most 100 operations in one transaction; each has its own result. */
  batch(operations: readonly Operation[], options?: BatchOptions): Promise<BatchResults>;
  /** One page of changes; `changes()` follows the pages. */
  changes(options?: ChangesOptions): Promise<Changes>;
}

const MAX_CACHED = 50;

/** Answers of reads by path, to be used again when the service says 304. */
class EtagCache<T> {
  readonly #entries = new Map<string, { readonly etag: string; readonly body: T }>();

  async read(http: Http, path: string, options: SendOptions): Promise<T> {
    const known = this.#entries.get(path);
    const headers = known === undefined ? {} : { 'If-None-Match': known.etag };
    const answer = await http.send<T>({ method: 'GET', path, headers }, options);
    const etag = answer.headers.get('ETag');
    const body = answer.status === 304 && known !== undefined ? structuredClone(known.body) : answer.body;
    this.#entries.delete(path);
    if (etag !== null) this.#entries.set(path, { etag, body });
    for (const [oldest] of this.#entries) {
      if (this.#entries.size <= MAX_CACHED) break;
      this.#entries.delete(oldest);
    }
    return body;
  }
}

/** @param entries of which those that are undefined or null are left out. */
export function query(entries: Readonly<Record<string, string | number | null | undefined>>): string {
  const given = Object.entries(entries).flatMap(([name, value]) =>
    value === undefined || value === null ? [] : [`${name}=${encodeURIComponent(value)}`],
  );
  return given.length === 0 ? '' : `?${given.join('&')}`;
}

/** The path of a task. */
export const taskPath = (id: string) => `/api/tasks/${encodeURIComponent(id)}`;

/** The path of a list. */
export const listPath = (id: string) => `/api/lists/${encodeURIComponent(id)}`;

/** A client of the service for one user: tokens of another are refused with `USER_CHANGED`. */
export function createClient(options: HttpOptions): TodoClient {
  const http = new Http(options);
  const taskLists = new EtagCache<TaskList>();
  const tasks = new EtagCache<Task>();
  const allCounts = new EtagCache<TaskCounts>();
  const allLists = new EtagCache<Lists>();
  const lists = new EtagCache<List>();

  async function write<T>(
    method: string,
    path: string,
    body: object | null,
    { key = uuidv7(), ifMatch, signal }: WriteOptions,
    conditions: Readonly<Record<string, string>> = {},
  ): Promise<T> {
    const headers = {
      'Idempotency-Key': key,
      ...(ifMatch === undefined ? {} : { 'If-Match': `"${ifMatch}"` }),
      ...conditions,
    };
    const request = { method, path, headers, body: body === null ? null : JSON.stringify(body) };
    return (await http.send<T>(request, signal === undefined ? {} : { signal })).body;
  }

  const list = async (path: string, options: SendOptions = {}) => (await taskLists.read(http, path, options)).tasks;

  /** Under an id of the client's, if there is one. */
  const create = <T>(
    path: string,
    pathOf: (id: string) => string,
    { id, ...fields }: { readonly id?: string },
    options: WriteOptions = {},
  ) =>
    id === undefined
      ? write<T>('POST', path, fields, options)
      : write<T>('PUT', pathOf(id), fields, options, { 'If-None-Match': '*' });

  return {
    http,
    lists: {
      all: async (options = {}) => (await allLists.read(http, '/api/lists', options)).lists,
      get: (id, options = {}) => lists.read(http, listPath(id), options),
      create: (list, options) => create('/api/lists', listPath, list, options),
      put: (id, list, options = {}) => write('PUT', listPath(id), list, options),
      patch: (id, change, options = {}) => write('PATCH', listPath(id), change, options),
      delete: (id, { tasks, ...options } = {}) => write('DELETE', listPath(id) + query({ tasks }), null, options),
    },
    list: (options) => list('/api/tasks', options),
    page: (asked = {}, options = {}) => taskLists.read(http, `/api/tasks${taskQuery(asked)}`, options),
    counts: ({ timeZone, ...options } = {}) =>
      allCounts.read(http, `/api/tasks/counts${query({ time_zone: timeZone })}`, options),
    deleted: (options) => list('/api/tasks?deleted=true', options),
    get: (id, options = {}) => tasks.read(http, taskPath(id), options),
    create: (task, options) => create('/api/tasks', taskPath, task, options),
    put: (id, task, options = {}) => write('PUT', taskPath(id), task, options),
    patch: (id, change, options = {}) => write('PATCH', taskPath(id), change, options),
    toggle: (id, { completedOn, ...options } = {}) =>
      write(
        'POST',
        `${taskPath(id)}/toggle`,
        completedOn === undefined ? null : { completed_on: completedOn },
        options,
      ),
    delete: (id, { permanent = false, ...options } = {}) =>
      write('DELETE', taskPath(id) + query({ permanent: permanent ? 'true' : null }), null, options),
    restore: (id, options = {}) => write('POST', `${taskPath(id)}/restore`, null, options),
    batch: (operations, { atomic, ifUnchangedSince, ...options } = {}) =>
      write('POST', '/api/batch', { operations, atomic, if_unchanged_since: ifUnchangedSince }, options),
    changes: async ({ cursor, limit, wait, signal } = {}) => {
      const request = { method: 'GET', path: `/api/changes${query({ cursor, limit, wait })}` };
      const timing = wait === undefined ? {} : { timeoutMs: (wait + 15) * 1000, attempts: 1 };
      return (await http.send<Changes>(request, { ...timing, ...(signal === undefined ? {} : { signal }) })).body;
    },
  };
}
