import { webcrypto } from 'node:crypto';
import { jwtVerify } from 'jose';
import type { KeySource } from './token-verifier.ts';

const HASHES = { HS256: 'SHA-256', HS384: 'SHA-384', HS512: 'SHA-512' } as const;

export type HmacAlgorithm = keyof typeof HASHES;

/** Trusts tokens signed with `secret` by exactly `algorithm` (RFC 7518, 3.2). */
export async function sharedSecret(secret: Uint8Array, algorithm: HmacAlgorithm): Promise<KeySource> {
  const hmac = { name: 'HMAC', hash: HASHES[algorithm] };
  const key = await webcrypto.subtle.importKey('raw', secret, hmac, false, ['verify']);
  return {
    algorithms: [algorithm],
    verify: async (token, options) => (await jwtVerify(token, key, options)).payload,
    trusted: () => key,
  };
}
