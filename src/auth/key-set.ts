import {
  createLocalJWKSet,
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
  readonly onWarning: (message: string, error?: unknown) => void;
}

/** The accepted JWS algorithms (RFC 7518; EdDSA: RFC 8037): asymmetric ones only. */
const ALGORITHMS = ['EdDSA', 'ES256', 'RS256'];
const FETCH_TIMEOUT_MS = 3_000;
const MAX_BYTES = 65_536;
/** At most two fetches in any 30 s, at least the cooldown apart. */
const RATE_WINDOW_MS = 30_000;
const COOLDOWN_MS = 5_000;
/** An older key set is reloaded in the background. */
const CACHE_MAX_AGE_MS = 600_000;
const STALE_IF_ERROR_MS = 86_400_000;

async function fetchKeySet(url: URL): Promise<JWTVerifyGetKey> {
  const signal = AbortSignal.timeout(FETCH_TIMEOUT_MS);
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
  const text = Buffer.concat(chunks).toString('utf8');
  let keySet: JSONWebKeySet;
  try {
    keySet = JSON.parse(text);
  } catch {
    throw new Error('The key set response is not JSON'); // JSON.parse's own message quotes the text
  }
  return createLocalJWKSet(keySet); // throws unless it is a JWK Set
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
export function remoteKeySet({ url, clock, onWarning }: KeySetOptions): KeySource {
  let keys: JWTVerifyGetKey | null = null;
  let fetchedAt = Number.NEGATIVE_INFINITY;
  let attempts: readonly number[] = [];
  let reloading: Promise<void> | null = null;

  function mayReload(): boolean {
    const now = clock();
    attempts = attempts.filter((at) => Math.abs(now - at) < RATE_WINDOW_MS); // the clock can be set back
    return attempts.length < 2 && attempts.every((at) => now - at >= COOLDOWN_MS);
  }

  async function load(): Promise<void> {
    attempts = [...attempts, clock()];
    try {
      keys = await fetchKeySet(url);
      fetchedAt = clock();
    } catch (error) {
      onWarning('The key set could not be fetched', error);
    }
    reloading = null;
  }

  /** Fetches the key set unless the rate limit forbids it. Concurrent calls share one fetch. */
  async function reload(): Promise<void> {
    if (reloading === null && mayReload()) reloading = load();
    await reloading;
  }

  /** Reloads stale keys in the background. */
  function currentKeys(): JWTVerifyGetKey | null {
    const age = clock() - fetchedAt;
    if (Math.abs(age) > CACHE_MAX_AGE_MS) void reload();
    return age < STALE_IF_ERROR_MS ? keys : null;
  }

  async function verify(token: string, options: JWTVerifyOptions): Promise<JWTPayload> {
    if (currentKeys() === null) await reload();
    try {
      return await verifyWith(currentKeys(), token, options);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      await reload();
      return verifyWith(currentKeys(), token, options);
    }
  }

  void reload();
  return { algorithms: ALGORITHMS, verify, currentKeys };
}
