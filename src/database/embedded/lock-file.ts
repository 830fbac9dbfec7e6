import { readFileSync } from 'node:fs';

/** The lock file of a holder. */
export interface LockFile {
  readonly path: string;
  /** A random id in the file, which tells it from another holder's file of the same name. */
  readonly id: string;
}

/**
 * Whether the lock file is there and has the holder's id. Synchronous, so that nothing happens between the answer and
 * what follows. A file that cannot be read for a passing reason (EMFILE, EIO) counts as held.
 */
export function isHeld({ path, id }: LockFile): boolean {
  try {
    return readFileSync(path, 'utf8').includes(id);
  } catch (error) {
    return !(error instanceof Error && 'code' in error && error.code === 'ENOENT');
  }
}
