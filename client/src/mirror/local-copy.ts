import type { Task } from '../api-types.ts';
import { changedTask, newTask } from '../task.ts';
import { Contents, NOTHING } from './contents.ts';
import type { MirrorStorage, PendingWrite, StorageChange, Written } from './storage.ts';

/** What a window tells the others of the browser after it has written. */
export interface Announcement {
  readonly change: StorageChange;
  readonly written: Written;
}

/** `task` after a write that the service has not confirmed. @param known what the service last told. */
function withWrite(
  task: Task | undefined,
  write: PendingWrite,
  known: Task | undefined,
  user: string,
): Task | undefined {
  const { kind, id, fields, at } = write;
  if (kind === 'delete') return undefined;
  if (kind === 'restore') return task ?? known;
  if (kind === 'update') return task === undefined ? undefined : changedTask(task, fields, at);
  return newTask(id, user, at, { ...fields, title: fields.title ?? '' });
}

const newestFirst = (a: Task, b: Task) => {
  const [left, right] = a.created_at === b.created_at ? [a.id, b.id] : [a.created_at, b.created_at];
  return left < right ? 1 : -1;
};

/** What is stored, held in memory, and what users see of it: the service's tasks with the pending writes applied. */
export class LocalCopy {
  readonly contents = new Contents();
  readonly #storage: MirrorStorage;
  readonly #user: string;
  readonly #onChange: (announcement: Announcement | null) => void;
  #snapshot: readonly Task[] | null = null;
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
  view(id: string): Task | undefined {
    const known = this.contents.byId.get(id)?.task;
    const writes = this.contents.writes.filter((write) => write.id === id);
    return writes.reduce<Task | undefined>((task, write) => withWrite(task, write, known, this.#user), known);
  }

  /** All tasks, newest first: the same array until something changes. */
  tasks(): readonly Task[] {
    if (this.#snapshot !== null) return this.#snapshot;
    const touched = new Set(this.contents.writes.map(({ id }) => id));
    const untouched = [...this.contents.byId.values()].filter(({ id }) => !touched.has(id)).map(({ task }) => task);
    const seen = [...touched].flatMap((id) => this.view(id) ?? []);
    this.#snapshot = [...untouched, ...seen].sort(newestFirst);
    return this.#snapshot;
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
