import type { Principal } from '../core/user.ts';

interface Remembered {
  readonly principal: Principal;
  readonly expiresAtMs: number;
  /** The keys that proved it, as `KeySource.trusted` gives them. */
  readonly provenBy: object;
}

const MOST = 5_000;

/**
 * Tokens whose signature has been checked, under the whole token, the least recently used forgotten first.
 * None is remembered past its `exp`, nor when the keys that proved it are no longer the trusted ones.
 */
export class VerifiedTokens {
  readonly #tokens = new Map<string, Remembered>();

  add(token: string, proof: Remembered): void {
    this.#tokens.set(token, proof);
    if (this.#tokens.size <= MOST) return;
    for (const oldest of this.#tokens.keys()) {
      this.#tokens.delete(oldest);
      return;
    }
  }

  find(token: string, nowMs: number, trusted: object | null): Principal | null {
    const found = this.#tokens.get(token);
    if (found === undefined) return null;
    this.#tokens.delete(token);
    if (nowMs >= found.expiresAtMs || found.provenBy !== trusted) return null;
    this.#tokens.set(token, found);
    return found.principal;
  }
}
