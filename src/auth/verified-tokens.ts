import type { Principal } from '../core/user.ts';

interface Remembered {
  readonly principal: Principal;
  readonly expiresAtMs: number;
}

const MOST = 5_000;

/**
 * Tokens whose signature has been checked, under the whole token, the least recently used forgotten first.
 * None is remembered past its `exp`.
 */
export class VerifiedTokens {
  readonly #tokens = new Map<string, Remembered>();

  add(token: string, principal: Principal, expiresAtMs: number): void {
    this.#tokens.set(token, { principal, expiresAtMs });
    if (this.#tokens.size <= MOST) return;
    for (const oldest of this.#tokens.keys()) {
      this.#tokens.delete(oldest);
      return;
    }
  }

  find(token: string, nowMs: number): Principal | null {
    const found = this.#tokens.get(token);
    if (found === undefined) return null;
    this.#tokens.delete(token);
    if (nowMs >= found.expiresAtMs) return null;
    this.#tokens.set(token, found);
    return found.principal;
  }
}
