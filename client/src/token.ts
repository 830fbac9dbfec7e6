import { localError, TodoApiError } from './errors.ts';

export interface TokenOptions {
  /** Gives a token of the user who is signed in, a new one whenever it is called. */
  readonly token: () => string | Promise<string>;
  /** The id of the user whose tokens are accepted; by default that of the first token. */
  readonly user?: string;
  /** The claim with the user's id, `sub` by default (`JWT_USER_CLAIM` of the service). */
  readonly userClaim?: string;
}

export interface Token {
  readonly text: string;
  readonly claims: Readonly<Record<string, unknown>>;
}

const MARGIN_MS = 30_000;

/** The claims of a JWT, not verified; none if it is not a JWT. */
function claimsOf(token: string): Token['claims'] {
  try {
    const binary = atob((token.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/'));
    const text = new TextDecoder().decode(Uint8Array.from(binary, (character) => character.charCodeAt(0)));
    return { ...JSON.parse(text) };
  } catch {
    return {};
  }
}

/**
 * Holds one user's token and asks for another shortly before it expires. "Now" is the service's time, learnt from the
 * `Date` of its answers, or where a browser may not read that, from a new token's `iat`: the clock of the device may
 * be wrong.
 */
export class TokenSource {
  readonly #options: TokenOptions;
  #user: string | null;
  #request: Promise<Token> | null = null;
  #held: Token | null = null;
  #offsetMs: number | null = null;

  constructor(options: TokenOptions) {
    this.#options = options;
    this.#user = options.user ?? null;
  }

  /** The service's time, as far as it is known. */
  now(): number {
    return Date.now() + (this.#offsetMs ?? 0);
  }

  /** Learns the time from an answer. */
  learnTime(date: string | null): void {
    const ms = Date.parse(date ?? '');
    if (!Number.isNaN(ms)) this.#offsetMs = ms + 500 - Date.now();
  }

  /** @throws {TodoApiError} TOKEN, USER_CHANGED. */
  get(): Promise<Token> {
    if (this.#held !== null && this.#expires(this.#held)) this.discard(this.#held);
    this.#request ??= this.#ask();
    return this.#request;
  }

  /** The user's id. @throws {TodoApiError} TOKEN also if the token does not name one and none was configured. */
  async user(): Promise<string> {
    if (this.#user === null) await this.get();
    if (this.#user === null) throw localError('TOKEN', `The token names no user: give the option "user"`);
    return this.#user;
  }

  /** Asks for another token at the next call, unless that has been done since `token` was given out. */
  discard(token: Token): void {
    if (this.#held !== token) return;
    this.#held = null;
    this.#request = null;
  }

  #expires({ claims: { exp, iat } }: Token): boolean {
    if (typeof exp !== 'number' || this.#offsetMs === null) return false;
    const lifetimeMs = typeof iat === 'number' ? (exp - iat) * 1000 : MARGIN_MS * 5;
    return this.now() > exp * 1000 - Math.min(MARGIN_MS, lifetimeMs / 5);
  }

  async #ask(): Promise<Token> {
    try {
      const text = await this.#options.token();
      const token = { text, claims: claimsOf(text) };
      const user = token.claims[this.#options.userClaim ?? 'sub'];
      if (typeof user === 'string') {
        this.#user ??= user;
        if (user !== this.#user) throw localError('USER_CHANGED', 'The token is of another user');
      }
      const { iat } = token.claims;
      if (this.#offsetMs === null && typeof iat === 'number') this.#offsetMs = iat * 1000 - Date.now();
      this.#held = token;
      return token;
    } catch (error) {
      this.#request = null;
      if (error instanceof TodoApiError) throw error;
      throw localError('TOKEN', 'There is no token', error);
    }
  }
}
