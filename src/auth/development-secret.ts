import { randomBytes } from 'node:crypto';
import { chmod, link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SignJWT } from 'jose';

const SECRET_BYTES = 48;
const MIN_SECRET_BYTES = 32;
const TOKEN_LIFETIME = '30d';

/**
 * The development secret: generated at the first start and stored in `directory/jwt-secret` (mode 0600).
 * @returns its base64url text as UTF-8 bytes.
 * @throws {Error} the file system's, if the directory is not writable; or if the file has fewer than 32 bytes.
 */
export async function developmentSecret(directory: string): Promise<Uint8Array> {
  const path = join(directory, 'jwt-secret');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const temporary = `${path}.${process.pid}`;
  await writeFile(temporary, randomBytes(SECRET_BYTES).toString('base64url'), { mode: 0o600, flush: true });
  try {
    await link(temporary, path); // fails with EEXIST, also if two processes start concurrently
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  } finally {
    await rm(temporary, { force: true });
  }
  await chmod(path, 0o600);
  const secret = new Uint8Array(await readFile(path));
  if (secret.length >= MIN_SECRET_BYTES) return secret;
  throw new Error(
    `The development secret ${path} has ${secret.length} bytes, of at least ${MIN_SECRET_BYTES}. Delete that file: ` +
      'the next start generates a new secret, and tokens issued before become invalid. Or set JWT_SECRET.',
  );
}

/** @returns a JWT with `developer` in `userClaim`, valid for 30 days. */
export async function developmentToken(secret: Uint8Array, algorithm: string, userClaim: string): Promise<string> {
  return new SignJWT({ email: 'developer@example.com', [userClaim]: 'developer' })
    .setProtectedHeader({ alg: algorithm, typ: 'JWT' })
    .setIssuedAt()
    .setExpirationTime(TOKEN_LIFETIME)
    .sign(secret);
}
