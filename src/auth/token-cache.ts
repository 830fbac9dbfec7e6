import type { Principal } from '../core/user.ts';

interface CachedToken {
  readonly principal: Principal;
  readonly expiresAtMs: number;
  /** The keys that verified it, as returned by `KeySource.currentKeys`. */
  readonly keys: object;
}

const MAX_ENTRIES = 5_000;

/** LRU cache of verified tokens, keyed by the whole token. Entries expire with `exp` and when the keys change. */
export class TokenCache {
  readonly #entries = new Map<string, CachedToken>();

  set(token: string, entry: CachedToken): void {
    this.#entries.set(token, entry);
    if (this.#entries.size <= MAX_ENTRIES) return;
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest);
      return;
    }
  }

  get(token: string, nowMs: number, currentKeys: object | null): Principal | null {
    const entry = this.#entries.get(token);
    if (entry === undefined) return null;
    this.#entries.delete(token);
    if (nowMs >= entry.expiresAtMs || entry.keys !== currentKeys) return null;
    this.#entries.set(token, entry);
    return entry.principal;
  }
}
