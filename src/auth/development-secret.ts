import { randomBytes } from 'node:crypto';
import { chmod, link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SignJWT } from 'jose';
import type { HmacAlgorithm } from './shared-secret.ts';

const SECRET_BYTES = 48;
const TOKEN_LIFETIME = '30d';

/**
 * The secret of a development machine: made once, kept in `directory/jwt-secret` (mode 0600), read ever after.
 * @throws what the file system says when the directory cannot be written.
 */
export async function developmentSecret(directory: string): Promise<Uint8Array> {
  const path = join(directory, 'jwt-secret');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const draft = `${path}.${process.pid}`;
  await writeFile(draft, randomBytes(SECRET_BYTES).toString('base64url'), { mode: 0o600 });
  try {
    await link(draft, path); // fails where there is one already, also when two processes start at once
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  } finally {
    await rm(draft, { force: true });
  }
  await chmod(path, 0o600);
  return new TextEncoder().encode(await readFile(path, 'utf8'));
}

/** A token to try the service with, as user `developer`, good for 30 days. */
export async function developmentToken(secret: Uint8Array, algorithm: HmacAlgorithm): Promise<string> {
  return new SignJWT({ email: 'developer@example.com' })
    .setProtectedHeader({ alg: algorithm, typ: 'JWT' })
    .setSubject('developer')
    .setIssuedAt()
    .setExpirationTime(TOKEN_LIFETIME)
    .sign(secret);
}
