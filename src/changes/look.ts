import type { Database } from '../database/database.ts';
import { changedUsers } from './change-sql.ts';
import type { WatchedUser } from './watched-user.ts';

/** How long after the last look; a change is seen within a second of it. */
const INTERVAL_MS = 400;

/** Looks for changes made by other processes: at the counters of all watched users at once, while there are any. */
export class Look {
  readonly #database: Database;
  readonly #users: ReadonlyMap<string, WatchedUser>;
  #isRunning = false;

  constructor(database: Database, users: ReadonlyMap<string, WatchedUser>) {
    this.#database = database;
    this.#users = users;
  }

  /** To be called when there is a watched user. */
  start(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#schedule();
  }

  #schedule(): void {
    setTimeout(() => {
      if (this.#users.size === 0) this.#isRunning = false;
      else void this.#look().finally(() => this.#schedule());
    }, INTERVAL_MS).unref();
  }

  async #look(): Promise<void> {
    const known = JSON.stringify(
      [...this.#users].flatMap(([id, { counter }]) => (counter === null ? [] : [{ id, version: counter }])),
    );
    const [changed = []] = await this.#database
      .transaction({ kind: 'watcher' }, [changedUsers({ known })])
      .catch(() => [[]]);
    for (const [id, version] of changed) this.#users.get(id ?? '')?.wake(Number(version));
  }
}
