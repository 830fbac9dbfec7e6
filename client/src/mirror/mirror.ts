import type { List, ListCreate, ListUpdate, Task, TaskCreate, TaskUpdate } from '../api-types.ts';
import type { TodoClient } from '../client.ts';
import { localError, TodoApiError } from '../errors.ts';
import { uuidv7 } from '../ids.ts';
import { storedListFields } from '../list.ts';
import { datedUpdate, storedFields } from '../task.ts';
import { Leader, type OnConflict, type Status } from './leader.ts';
import { LocalCopy } from './local-copy.ts';
import { type Fields, type ItemType, keyOf, type NewWrite, type OpenStorage, type PendingWrite } from './storage.ts';
import { type Message, Windows } from './windows.ts';

export interface MirrorOptions {
  /** Of the user whose tasks and lists are copied. */
  readonly client: TodoClient;
  /** `indexedDbStorage()` or `memoryStorage()`. */
  readonly storage: OpenStorage;
  /** Decides about a write that the service refused: 412 (changed since, with `current`), 404 (gone), 409, 400. */
  readonly onConflict: OnConflict;
}

/** A local copy of one user's tasks and lists that can be read and written without a network. */
export interface Mirror {
  readonly user: string;
  /** `offline`: trying again; `error`: needs somebody, such as a sign-in; `live`: changes arrive by themselves. */
  readonly status: Status;
  /** Of the status `offline` or `error`, else null. */
  readonly error: unknown;
  /** All tasks, newest first, with what is pending applied: the same array until something changes. */
  readonly tasks: () => readonly Task[];
  get(id: string): Task | undefined;
  /** All lists by position, as `tasks`. */
  readonly lists: () => readonly List[];
  /** The writes that the service has not confirmed, in their order. */
  readonly pending: () => readonly PendingWrite[];
  /**
   * Calls `listener` after each change of the tasks or lists, of what is pending or of the status. @returns a function that
   * ends it.
   */
  readonly subscribe: (listener: () => void) => () => void;
  /**
   * Writes resolve when they are stored here. @throws {TodoApiError} STORAGE_FULL, STORAGE, CLOSED; 404 if there is no
   * such task or list.
   */
  create(task: TaskCreate): Promise<Task>;
  update(id: string, change: TaskUpdate): Promise<void>;
  toggle(id: string): Promise<void>;
  delete(id: string): Promise<void>;
  restore(id: string): Promise<void>;
  createList(list: ListCreate): Promise<List>;
  updateList(id: string, change: ListUpdate): Promise<void>;
  /** @param tasks what becomes of its tasks; `inbox` if nothing is said. A list does not come back. */
  deleteList(id: string, tasks?: 'inbox' | 'delete'): Promise<void>;
  /** Connects again now, and asks again about refused writes. */
  sync(): void;
  /** Ends; everything stays stored. */
  close(): Promise<void>;
  /** Ends and deletes everything stored of the user, pending writes too, in all windows. */
  clear(): Promise<void>;
}

/** @throws {TodoApiError} CLOSED if there is none: the mirror was closed meanwhile. */
function created<Item>(item: Item | undefined): Item {
  if (item === undefined) throw localError('CLOSED', 'The mirror is closed');
  return item;
}

class LocalMirror implements Mirror {
  readonly user: string;
  status: Status = 'syncing';
  error: unknown = null;
  readonly #client: TodoClient;
  readonly #end = new AbortController();
  readonly #listeners = new Set<() => void>();
  readonly #onOnline = () => this.sync();
  #leader: Leader | null = null;
  #windows: Windows | null = null;
  #local: LocalCopy | null = null;
  #closeStorage: () => void = () => {};
  #clearStorage: () => Promise<void> = async () => {};
  #running: Promise<void> = Promise.resolve();

  constructor(user: string, client: TodoClient) {
    this.user = user;
    this.#client = client;
  }

  async open({ storage: openStorage, onConflict }: MirrorOptions): Promise<void> {
    const client = this.#client;
    const storage = await openStorage(`todo-api ${client.http.origin} ${this.user}`, () => {
      void this.close().then(() => this.#forget()); // another window has cleared it
    });
    this.#closeStorage = () => storage.close();
    this.#clearStorage = () => storage.clear();
    const windows = new Windows(storage.name, (message) => this.#receive(message));
    const local = new LocalCopy(storage, this.user, (announcement) => {
      if (announcement !== null) windows.tell({ type: 'written', announcement });
      this.#changed();
    });
    this.#windows = windows;
    this.#local = local;
    await local.load();
    const { signal } = this.#end;
    this.#running = windows
      .elect(signal, async () => {
        await local.load();
        const onStatus = (status: Status, error: unknown) => this.#setStatus(status, error);
        this.#leader = new Leader({ client, local, onConflict, onStatus, signal });
        await this.#leader.run();
      })
      .catch((error: unknown) => this.#setStatus('error', error));
    windows.tell({ type: 'hello' });
    if (typeof addEventListener === 'function') addEventListener('online', this.#onOnline);
  }

  readonly tasks = () => this.#copy.all().tasks;

  readonly lists = () => this.#copy.all().lists;

  readonly pending = () => this.#copy.contents.writes;

  readonly subscribe = (listener: () => void) => {
    const own = () => listener();
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  };

  get(id: string): Task | undefined {
    return this.#copy.task(id);
  }

  async create(task: TaskCreate): Promise<Task> {
    const id = uuidv7(this.#client.http.token.now());
    await this.#write('task', 'create', id, storedFields(task));
    return created(this.get(id));
  }

  update(id: string, change: TaskUpdate): Promise<void> {
    return this.#write('task', 'update', id, () => datedUpdate(storedFields(change), this.get(id), this.#now()));
  }

  toggle(id: string): Promise<void> {
    return this.#write('task', 'update', id, () => {
      const task = this.get(id);
      return datedUpdate({ is_completed: task?.is_completed !== true }, task, this.#now());
    });
  }

  delete(id: string): Promise<void> {
    return this.#write('task', 'delete', id, {});
  }

  restore(id: string): Promise<void> {
    return this.#write('task', 'restore', id, {});
  }

  async createList(list: ListCreate): Promise<List> {
    const id = uuidv7(this.#client.http.token.now());
    await this.#write('list', 'create', id, storedListFields(list));
    return created(this.#copy.list(id));
  }

  updateList(id: string, change: ListUpdate): Promise<void> {
    return this.#write('list', 'update', id, storedListFields(change));
  }

  deleteList(id: string, tasks?: 'inbox' | 'delete'): Promise<void> {
    return this.#write('list', 'delete', id, tasks === undefined ? {} : { tasks });
  }

  sync(): void {
    this.#leader?.retry();
    this.#windows?.tell({ type: 'retry' });
  }

  async close(): Promise<void> {
    this.#end.abort();
    if (typeof removeEventListener === 'function') removeEventListener('online', this.#onOnline);
    await this.#running;
    this.#closeStorage();
    this.#windows?.close();
    this.status = 'closed';
    this.#changed();
  }

  async clear(): Promise<void> {
    await this.close();
    await this.#clearStorage();
    this.#forget();
  }

  #forget(): void {
    this.#local?.forget();
    this.#changed();
  }

  get #copy(): LocalCopy {
    if (this.#local === null) throw localError('CLOSED', 'The mirror is not open');
    return this.#local;
  }

  async #write(type: ItemType, kind: NewWrite['kind'], id: string, fields: Fields | (() => Fields)): Promise<void> {
    const copy = this.#copy;
    await copy.commit(({ byKey, writes }) => {
      const item = type === 'list' ? copy.list(id) : copy.task(id);
      if (item === undefined && (kind === 'update' || kind === 'delete')) {
        throw new TodoApiError(404, { error: `${type === 'list' ? 'List' : 'Task'} not found`, code: 'NOT_FOUND' });
      }
      const key = keyOf({ type, id });
      const isFirst = writes.every((write) => keyOf(write) !== key);
      const base = isFirst ? (byKey.get(key)?.item.version ?? null) : null;
      const at = this.#time(kind === 'create' && type === 'task' ? copy.all().tasks[0]?.created_at : undefined);
      const given = typeof fields === 'function' ? fields() : fields;
      return { add: [{ type, kind, id, fields: given, base, at, refusal: null }] };
    });
    this.#leader?.drain();
  }

  #now(): Date {
    return new Date(this.#client.http.token.now());
  }

  /**
   * The service's time, as far as it is known, and later than `before`, so that a new task is the first of the list.
   */
  #time(before = ''): string {
    const ms = Math.max(this.#client.http.token.now(), (Date.parse(before) || 0) + 1);
    return new Date(ms).toISOString().replace('Z', '000Z');
  }

  #receive(message: Message): void {
    if (message.type === 'written') {
      void this.#copy.follow(message.announcement).then(
        () => this.#leader?.drain(),
        () => undefined, // closed meanwhile
      );
    }
    if (message.type === 'retry') this.#leader?.retry();
    if (message.type === 'hello' && this.#leader !== null) this.#tellStatus();
    if (message.type === 'status' && this.#leader === null) {
      this.status = message.status;
      this.error = message.error === null ? null : new TodoApiError(message.error.status, message.error);
      this.#changed();
    }
  }

  #setStatus(status: Status, error: unknown): void {
    if (status === this.status && error === this.error) return;
    this.status = status;
    this.error = error;
    this.#tellStatus();
    this.#changed();
  }

  #tellStatus(): void {
    const { status, error } = this;
    const body = (known: TodoApiError) => ({ status: known.status, code: known.code, error: known.message });
    const plain =
      error instanceof TodoApiError ? body(error) : error === null ? null : { status: 0, error: String(error) };
    this.#windows?.tell({ type: 'status', status, error: plain });
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}

/**
 * Opens the local copy of the client's user and keeps it current until it is closed.
 * @throws {TodoApiError} STORAGE; TOKEN if the client has no option `user` and there is no token either.
 */
export async function mirror(options: MirrorOptions): Promise<Mirror> {
  const opened = new LocalMirror(await options.client.http.token.user(), options.client);
  await opened.open(options).catch(async (error: unknown) => {
    await opened.close();
    throw error;
  });
  return opened;
}
