import {
  createLocalJWKSet,
  decodeProtectedHeader,
  errors,
  type JSONWebKeySet,
  type JWTPayload,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
} from 'jose';
import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import { checkSignature } from './signature-checks.ts';
import type { KeySource } from './token-verifier.ts';

export interface KeySetOptions {
  readonly url: URL;
  readonly clock: Clock;
  /** Of one fetch, in milliseconds. */
  readonly timeoutMs: number;
  readonly onWarning: (message: string, error?: unknown) => void;
}

/** The accepted JWS algorithms (RFC 7518; EdDSA: RFC 8037): asymmetric ones only, each of one key type and curve. */
const ALGORITHMS = ['EdDSA', 'ES256', 'ES384', 'ES512', 'PS256', 'RS256'];
const MAX_BYTES = 65_536;
/** From the start of a fetch to that of the next one, by whether it succeeded. */
const INTERVAL_MS = 1_000;
const RETRY_INTERVAL_MS = 5_000;
/** Requests that wait for a fetch; more are answered from the keys at hand. */
const MAX_WAITING = 1_000;
/** An older key set is reloaded in the background. */
const CACHE_MAX_AGE_MS = 600_000;
const STALE_IF_ERROR_MS = 86_400_000;

/** @returns the text of the response. @throws {Error} if it is no success, too long or too late. */
async function fetchText(url: URL, timeoutMs: number): Promise<string> {
  const signal = AbortSignal.timeout(timeoutMs);
  const response = await fetch(url, { headers: { accept: 'application/json' }, redirect: 'error', signal });
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new Error(`The key set response has status ${response.status}`);
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength;
    if (size > MAX_BYTES) throw new Error('The key set response exceeds 64 KiB');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** @throws {Error} unless `text` is a JWK Set (RFC 7517, section 5). */
function parseKeySet(text: string): JWTVerifyGetKey {
  let keySet: JSONWebKeySet;
  try {
    keySet = JSON.parse(text);
  } catch {
    throw new Error('The key set response is not JSON'); // JSON.parse's own message quotes the text
  }
  return createLocalJWKSet(keySet);
}

/** Whether `error` may be due to a key that is not in the set: no key has the token's `kid`, or it names none. */
function isUnknownKey(error: unknown, token: string): boolean {
  if (error instanceof errors.JWKSNoMatchingKey) return true;
  return error instanceof errors.JWSSignatureVerificationFailed && decodeProtectedHeader(token).kid === undefined;
}

async function verifyWith(keys: JWTVerifyGetKey | null, token: string, options: JWTVerifyOptions): Promise<JWTPayload> {
  if (keys === null) throw new AppError('SERVICE_UNAVAILABLE', { cause: new Error('No key set younger than 24 h') });
  try {
    return (await checkSignature(token, keys, options)).payload;
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
    for await (const key of error) {
      try {
        return (await checkSignature(token, key, options)).payload;
      } catch (cause) {
        if (!(cause instanceof errors.JWSSignatureVerificationFailed)) throw cause;
      }
    }
    throw new errors.JWSSignatureVerificationFailed();
  }
}

/**
 * Verifies tokens with the key set that an issuer publishes at `url` (RFC 7517); starts the first fetch. Unlike jose's
 * createRemoteJWKSet it limits the rate of failing fetches and the size of a response, and serves stale keys on error.
 */
export function remoteKeySet({ url, clock, timeoutMs, onWarning }: KeySetOptions): KeySource {
  let keys: JWTVerifyGetKey | null = null;
  let text = '';
  let fetchedAt = Number.NEGATIVE_INFINITY;
  let startedAt = Number.NEGATIVE_INFINITY;
  let interval = INTERVAL_MS;
  let reloading: Promise<void> | null = null;
  let waiting = 0;

  async function load(): Promise<void> {
    startedAt = clock();
    try {
      const fetched = await fetchText(url, timeoutMs);
      if (keys === null || fetched !== text) keys = parseKeySet(fetched); // else cached tokens stay valid
      text = fetched;
      fetchedAt = clock();
      interval = INTERVAL_MS;
    } catch (error) {
      interval = RETRY_INTERVAL_MS;
      onWarning('The key set could not be fetched', error);
    }
    reloading = null;
  }

  /** Starts a fetch unless one is in flight or the last one is too recent; the clock can be set back. */
  function startReload(): void {
    if (reloading === null && Math.abs(clock() - startedAt) >= interval) reloading = load();
  }

  /** Waits for the fetch in flight, if any, or for a new one. */
  async function reload(): Promise<void> {
    startReload();
    if (waiting >= MAX_WAITING) return;
    waiting += 1;
    await reloading;
    waiting -= 1;
  }

  /** Reloads stale keys in the background. */
  function currentKeys(): JWTVerifyGetKey | null {
    const age = clock() - fetchedAt;
    if (Math.abs(age) > CACHE_MAX_AGE_MS) startReload();
    return age < STALE_IF_ERROR_MS ? keys : null;
  }

  async function verify(token: string, options: JWTVerifyOptions): Promise<JWTPayload> {
    if (currentKeys() === null) await reload();
    const known = currentKeys();
    try {
      return await verifyWith(known, token, options);
    } catch (error) {
      if (!isUnknownKey(error, token)) throw error;
      await reload();
      if (currentKeys() === known) throw error;
      return verifyWith(currentKeys(), token, options);
    }
  }

  startReload();
  return { algorithms: ALGORITHMS, verify, currentKeys };
}
