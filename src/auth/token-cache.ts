import type { Principal } from '../core/user.ts';

interface CachedToken {
  readonly principal: Principal;
  readonly expiresAtMs: number;
  /** The keys that verified it, as returned by `KeySource.currentKeys`. */
  readonly keys: object;
}

const MAX_ENTRIES = 5_000;

/**
 * Cache of verified tokens, keyed by the whole token. Entries expire with `exp` and when the keys change. Approximately
 * LRU: of two generations, the older is discarded when the younger is full.
 */
export class TokenCache {
  #young = new Map<string, CachedToken>();
  #old = new Map<string, CachedToken>();

  set(token: string, entry: CachedToken): void {
    if (this.#young.size >= MAX_ENTRIES / 2) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(token, entry);
  }

  get(token: string, nowMs: number, currentKeys: object | null): Principal | null {
    let entry = this.#young.get(token);
    if (entry === undefined) {
      entry = this.#old.get(token);
      if (entry === undefined) return null;
      this.set(token, entry);
    }
    return nowMs < entry.expiresAtMs && entry.keys === currentKeys ? entry.principal : null;
  }
}
