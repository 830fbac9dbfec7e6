import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey, jwtVerify } from 'jose';
import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import type { KeySource } from './token-verifier.ts';

export interface KeySetOptions {
  readonly url: URL;
  readonly clock: Clock;
  readonly onWarning: (message: string, error?: unknown) => void;
}

const ALGORITHMS = ['EdDSA', 'ES256', 'RS256'];
const FETCH_TIMEOUT_MS = 3_000;
const MAX_BYTES = 65_536;
/** At most two fetches in any half minute, and these some seconds apart, whatever the requests ask for. */
const WINDOW_MS = 30_000;
const APART_MS = 5_000;
/** A set older than this is fetched again behind the scenes. */
const FRESH_MS = 600_000;
/** A set that cannot be fetched again goes on being trusted for this long. */
const TRUSTED_MS = 86_400_000;

async function readLimited(response: Response): Promise<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let text = '';
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > MAX_BYTES) throw new Error('The key set is larger than 64 KiB');
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

function isKeySet(value: unknown): value is JSONWebKeySet {
  return typeof value === 'object' && value !== null && 'keys' in value && Array.isArray(value.keys);
}

/** @throws {Error} that shows nothing of `text`, unlike what `JSON.parse` throws. */
function parseKeySet(text: string): JSONWebKeySet {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error('The answer is not JSON');
  }
  if (!isKeySet(value)) throw new Error('The answer is no key set');
  return value;
}

async function fetchKeySet(url: URL): Promise<JWTVerifyGetKey> {
  const response = await fetch(url, {
    headers: { accept: 'application/json' },
    redirect: 'error',
    signal: AbortSignal.timeout(FETCH_TIMEOUT_MS),
  });
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new Error(`The key set was answered with status ${response.status}`);
  }
  return createLocalJWKSet(parseKeySet(await readLimited(response)));
}

/**
 * The keys an issuer publishes (RFC 7517), fetched when they are needed and no oftener than the limits above: neither an
 * issuer that is down nor a flood of unknown key ids causes a flood of fetches, and known keys outlive an outage.
 */
class RemoteKeySet implements KeySource {
  readonly algorithms = ALGORITHMS;
  readonly #options: KeySetOptions;
  #keys: JWTVerifyGetKey | null = null;
  #fetchedAt = Number.NEGATIVE_INFINITY;
  #attempts: readonly number[] = [];
  #fetching: Promise<void> | null = null;

  constructor(options: KeySetOptions) {
    this.#options = options;
  }

  currentKeys(): object | null {
    if (Math.abs(this.#age()) > FRESH_MS) void this.refresh();
    return this.#trustedKeys();
  }

  async verify(...[token, options]: Parameters<KeySource['verify']>): ReturnType<KeySource['verify']> {
    if (this.currentKeys() === null) await this.refresh();
    try {
      return await this.#verifyWith(this.#keysOrThrow(), token, options);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey) || !this.#mayFetch()) throw error;
      await this.refresh();
      return this.#verifyWith(this.#keysOrThrow(), token, options);
    }
  }

  /** Fetches the set, unless the limits forbid it or a fetch is under way. Never throws. */
  refresh(): Promise<void> {
    if (this.#fetching !== null) return this.#fetching;
    if (!this.#mayFetch()) return Promise.resolve();
    this.#attempts = [...this.#recentAttempts(), this.#options.clock()];
    this.#fetching = fetchKeySet(this.#options.url)
      .then(
        (keys) => {
          this.#keys = keys;
          this.#fetchedAt = this.#options.clock();
        },
        (error: unknown) => this.#options.onWarning('The key set could not be fetched', error),
      )
      .finally(() => {
        this.#fetching = null;
      });
    return this.#fetching;
  }

  async #verifyWith(keys: JWTVerifyGetKey, ...[token, options]: Parameters<KeySource['verify']>) {
    try {
      return (await jwtVerify(token, keys, options)).payload;
    } catch (error) {
      if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
      for await (const key of error) {
        const payload = await jwtVerify(token, key, options).then(
          (result) => result.payload,
          (cause: unknown) => {
            if (cause instanceof errors.JWSSignatureVerificationFailed) return null;
            throw cause;
          },
        );
        if (payload !== null) return payload;
      }
      throw new errors.JWSSignatureVerificationFailed();
    }
  }

  #age(): number {
    return this.#options.clock() - this.#fetchedAt;
  }

  #trustedKeys(): JWTVerifyGetKey | null {
    return this.#age() < TRUSTED_MS ? this.#keys : null;
  }

  #keysOrThrow(): JWTVerifyGetKey {
    const keys = this.#trustedKeys();
    if (keys === null) throw new AppError('SERVICE_UNAVAILABLE', { cause: new Error('No key set has been fetched') });
    return keys;
  }

  /** A fetch under way may be joined at any time. */
  #mayFetch(): boolean {
    if (this.#fetching !== null) return true;
    const now = this.#options.clock();
    const recent = this.#recentAttempts();
    return recent.length < 2 && recent.every((attempt) => now - attempt >= APART_MS);
  }

  /** Attempts that seem to lie in the future were made before the clock was set back. */
  #recentAttempts(): readonly number[] {
    const now = this.#options.clock();
    return this.#attempts.filter((attempt) => Math.abs(now - attempt) < WINDOW_MS);
  }
}

/** Trusts the keys published at `url`; the first fetch is under way when this returns. */
export function remoteKeySet(options: KeySetOptions): KeySource {
  const keys = new RemoteKeySet(options);
  void keys.refresh();
  return keys;
}
