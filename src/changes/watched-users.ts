import type { UserId } from '../core/user.ts';
import { keyOf } from '../database/notifications.ts';
import type { WatchedUser } from './watched-user.ts';

/** Those whose changes somebody waits for. */
export class WatchedUsers {
  readonly #byId = new Map<string, WatchedUser>();
  readonly #byKey = new Map<string, WatchedUser>();

  get size(): number {
    return this.#byId.size;
  }

  get(id: string): WatchedUser | undefined {
    return this.#byId.get(id);
  }

  /** @param key of the user in notifications. */
  withKey(key: string): WatchedUser | undefined {
    return this.#byKey.get(key);
  }

  add(id: UserId, user: WatchedUser): void {
    if (this.#byId.has(id)) return;
    this.#byId.set(id, user);
    this.#byKey.set(keyOf(id), user);
  }

  delete(id: UserId): void {
    this.#byId.delete(id);
    this.#byKey.delete(keyOf(id));
  }

  entries(): Iterable<readonly [string, WatchedUser]> {
    return this.#byId;
  }
}
