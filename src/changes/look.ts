import { AppError } from '../core/errors.ts';
import type { Database } from '../database/database.ts';
import { sqlStateOf } from '../database/errors.ts';
import type { Notifications } from '../database/notifications.ts';
import { changedUsers } from './change-sql.ts';
import type { WatchedUsers } from './watched-users.ts';

/** How long after the last look. */
const INTERVAL_MS = 400;
/** While notifications come. */
const RARE_INTERVAL_MS = 5_000;
/** How often everybody is woken while looks are not allowed. */
const WAKE_ALL_MS = 10_000;

export type OnWarning = (message: string, error?: unknown) => void;

/** Whether the database has refused a statement, and is not just out of reach. */
const isRefused = (error: unknown) => error instanceof AppError && sqlStateOf(error.cause) === '42501';

interface LookOptions {
  readonly database: Database;
  readonly notifications: Notifications | null;
  readonly users: WatchedUsers;
  readonly onWarning: OnWarning;
}

/** Looks for changes made by other processes: at the counters of all watched users at once, while there are any. */
export class Look {
  readonly #database: Database;
  readonly #notifications: Notifications | null;
  readonly #users: WatchedUsers;
  readonly #onWarning: OnWarning;
  #isRunning = false;
  #isWarned = false;

  constructor({ database, notifications, users, onWarning }: LookOptions) {
    this.#database = database;
    this.#notifications = notifications;
    this.#users = users;
    this.#onWarning = onWarning;
  }

  /** To be called when there is a watched user. */
  start(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#notifications?.listen((key) => this.#users.withKey(key)?.wake(null));
    this.#schedule(INTERVAL_MS);
  }

  #schedule(ms: number): void {
    setTimeout(() => {
      if (this.#users.size === 0) this.#stop();
      else void this.#look().then((next) => this.#schedule(next));
    }, ms).unref();
  }

  #stop(): void {
    this.#isRunning = false;
    this.#notifications?.stop();
  }

  /** @returns when to look again. */
  async #look(): Promise<number> {
    const known = [...this.#users.entries()].flatMap(([id, { counter }]) =>
      counter === null ? [] : [{ id, version: counter }],
    );
    try {
      const [changed = []] = await this.#database.transaction({ kind: 'watcher' }, [changedUsers({ known })]);
      for (const [id, version] of changed) this.#users.get(id ?? '')?.wake(Number(version));
      return this.#notifications?.test() === true ? RARE_INTERVAL_MS : INTERVAL_MS;
    } catch (error) {
      if (!isRefused(error)) return INTERVAL_MS;
      if (!this.#isWarned) this.#onWarning('The database role may not become todo_watcher: streams are slow', error);
      this.#isWarned = true;
      for (const [, user] of this.#users.entries()) user.wake(null);
      return WAKE_ALL_MS;
    }
  }
}
