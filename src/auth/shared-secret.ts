import { webcrypto } from 'node:crypto';
import { checkSignature } from './signature-checks.ts';
import type { KeySource } from './token-verifier.ts';

const HASHES = { HS256: 'SHA-256', HS384: 'SHA-384', HS512: 'SHA-512' } as const;

/** Verifies tokens signed with `secret` and exactly this HMAC `algorithm` (RFC 7518, 3.2). */
export async function sharedSecret(secret: Uint8Array, algorithm: keyof typeof HASHES): Promise<KeySource> {
  const hmac = { name: 'HMAC', hash: HASHES[algorithm] };
  const key = await webcrypto.subtle.importKey('raw', secret, hmac, false, ['verify']);
  return {
    algorithms: [algorithm],
    verify: async (token, options) => (await checkSignature(token, key, options)).payload,
    currentKeys: () => key,
  };
}
