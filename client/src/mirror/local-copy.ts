import type { List, Task } from '../api-types.ts';
import { isList, newList } from '../list.ts';
import { changedTask, newTask } from '../task.ts';
import { Contents, NOTHING } from './contents.ts';
import { keyOf, type MirrorStorage, type PendingWrite, type StorageChange, type Written } from './storage.ts';

/** What a window tells the others of the browser after it has written. */
export interface Announcement {
  readonly change: StorageChange;
  readonly written: Written;
}

/** `item` after a write that the service has not confirmed. @param known what the service last told. */
function withWrite(
  item: Task | List | undefined,
  { type, kind, id, fields, at }: PendingWrite,
  known: Task | List | undefined,
  user: string,
): Task | List | undefined {
  if (kind === 'delete') return undefined;
  if (kind === 'restore') return item ?? known;
  if (kind === 'create') {
    return type === 'list'
      ? newList(id, user, at, { ...fields, name: fields.name ?? '' })
      : newTask(id, user, at, { ...fields, title: fields.title ?? '' });
  }
  if (item === undefined) return undefined;
  return isList(item) ? { ...item, ...fields, updated_at: at } : changedTask(item, fields, at);
}

/** `task` after the deletions of lists that the service has not confirmed. */
function withoutLists(task: Task, deletions: readonly PendingWrite[]): Task | undefined {
  const deletion = deletions.find(({ id }) => id === task.list_id);
  if (deletion === undefined) return task;
  return deletion.fields.tasks === 'delete' ? undefined : { ...task, list_id: null };
}

const newestFirst = (a: Task, b: Task) => {
  const [left, right] = a.created_at === b.created_at ? [a.id, b.id] : [a.created_at, b.created_at];
  return left < right ? 1 : -1;
};

const byPosition = (a: List, b: List) => {
  const [left, right] = a.position === b.position ? [a.id, b.id] : [a.position, b.position];
  return left < right ? -1 : 1;
};

interface Snapshot {
  readonly tasks: readonly Task[];
  readonly lists: readonly List[];
}

/**
 * What is stored, held in memory, and what users see of it: the service's tasks and lists with the pending
 * writes applied.
 */
export class LocalCopy {
  readonly contents = new Contents();
  readonly #storage: MirrorStorage;
  readonly #user: string;
  readonly #onChange: (announcement: Announcement | null) => void;
  #snapshot: Snapshot | null = null;
  #queue: Promise<unknown> = Promise.resolve();

  /** @param onChange called after each change; with an announcement to the other windows if this one made it. */
  constructor(storage: MirrorStorage, user: string, onChange: (announcement: Announcement | null) => void) {
    this.#storage = storage;
    this.#user = user;
    this.#onChange = onChange;
  }

  async load(): Promise<void> {
    this.contents.replaceWith(await this.#storage.load());
    this.#snapshot = null;
  }

  /**
   * Stores what `make` gives for the contents as they are when its turn has come, all of it or nothing.
   * @throws what `make` throws; {TodoApiError} STORAGE_FULL, STORAGE, CLOSED.
   */
  commit(make: (contents: Contents) => StorageChange): Promise<void> {
    return this.#next(async () => {
      const change = make(this.contents);
      if (Object.keys(change).length === 0) return;
      const written = await this.#storage.write(change);
      await this.#take({ change, written });
      this.#onChange({ change, written });
    });
  }

  /** Drops what is held in memory. */
  forget(): void {
    this.contents.replaceWith(NOTHING);
    this.#snapshot = null;
  }

  /** Follows what another window has written. */
  follow(announcement: Announcement): Promise<void> {
    return this.#next(async () => {
      if (announcement.written.revision <= this.contents.revision) return;
      await this.#take(announcement);
      this.#onChange(null);
    });
  }

  /** The task as the user sees it. */
  task(id: string): Task | undefined {
    const item = this.#view(keyOf({ type: 'task', id }));
    return item === undefined || isList(item) ? undefined : withoutLists(item, this.#deletions);
  }

  /** The list as the user sees it. */
  list(id: string): List | undefined {
    const item = this.#view(keyOf({ type: 'list', id }));
    return item !== undefined && isList(item) ? item : undefined;
  }

  /** All tasks, newest first, and all lists, by position: the same arrays until something changes. */
  all(): Snapshot {
    if (this.#snapshot !== null) return this.#snapshot;
    const touched = new Set(this.contents.writes.map(keyOf));
    const untouched = this.contents.items.filter(({ key }) => !touched.has(key)).map(({ item }) => item);
    const seen = [...untouched, ...[...touched].flatMap((key) => this.#view(key) ?? [])];
    const deletions = this.#deletions;
    this.#snapshot = {
      tasks: seen.flatMap((item) => (isList(item) ? [] : (withoutLists(item, deletions) ?? []))).sort(newestFirst),
      lists: seen.filter(isList).sort(byPosition),
    };
    return this.#snapshot;
  }

  get #deletions(): readonly PendingWrite[] {
    return this.contents.writes.filter(({ type, kind }) => type === 'list' && kind === 'delete');
  }

  #view(key: string): Task | List | undefined {
    const known = this.contents.byKey.get(key)?.item;
    const writes = this.contents.writes.filter((write) => keyOf(write) === key);
    return writes.reduce<Task | List | undefined>((item, write) => withWrite(item, write, known, this.#user), known);
  }

  /** Applies what was written; if other windows have written before, reads everything again. */
  async #take({ change, written }: Announcement): Promise<void> {
    if (written.revision === this.contents.revision + 1) this.contents.apply(change, written);
    else this.contents.replaceWith(await this.#storage.load());
    this.#snapshot = null;
  }

  #next(work: () => Promise<void>): Promise<void> {
    const done = this.#queue.then(work);
    this.#queue = done.catch(() => undefined);
    return done;
  }
}
