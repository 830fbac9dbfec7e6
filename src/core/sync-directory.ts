import { closeSync, fsyncSync, openSync } from 'node:fs';

/** errno values meaning that fsync of a directory is unsupported or not permitted. */
const CANNOT_SYNC: readonly unknown[] = ['EACCES', 'EPERM', 'EISDIR', 'EINVAL', 'EBADF', 'ENOTSUP'];

/**
 * Flushes the entries of `directory` to the disk, if the system allows it: what was created, renamed or removed in it
 * is then so after a power failure too. Blocks until then. @throws the error of open(2) or fsync(2).
 */
export function syncDirectory(directory: string): void {
  try {
    const descriptor = openSync(directory, 'r');
    try {
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && CANNOT_SYNC.includes(error.code))) throw error;
  }
}
