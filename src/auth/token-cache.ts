import { RecentMap } from '../core/recent-map.ts';
import type { Principal } from '../core/user.ts';

/** What a valid token says. */
export interface VerifiedToken {
  readonly principal: Principal;
  /** Its `exp`, in milliseconds since the Unix epoch. */
  readonly expiresAtMs: number;
}

interface CachedToken extends VerifiedToken {
  /** The keys that verified it, as returned by `KeySource.currentKeys`. */
  readonly keys: object;
}

const MAX_ENTRIES = 5_000;

/** Cache of verified tokens, keyed by the whole token. Entries expire with `exp` and when the keys change. */
export class TokenCache {
  readonly #entries = new RecentMap<string, CachedToken>(MAX_ENTRIES);

  set(token: string, entry: CachedToken): void {
    this.#entries.set(token, entry);
  }

  get(token: string, nowMs: number, currentKeys: object | null): VerifiedToken | null {
    const entry = this.#entries.get(token);
    if (entry === undefined) return null;
    return nowMs < entry.expiresAtMs && entry.keys === currentKeys ? entry : null;
  }
}
