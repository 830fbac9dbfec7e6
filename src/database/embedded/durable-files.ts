import { mkdir, open, readdir, rename } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { syncDirectory } from '../../core/sync-directory.ts';

/** Files flushed at the same time, which file systems combine. */
const CONCURRENT_FLUSHES = 32;

async function flushFile(path: string): Promise<void> {
  const handle = await open(path, 'r+');
  await handle.sync().finally(() => handle.close());
}

/** Creates `directory`, mode 0700, and its parents, as far as they are missing; all are on the disk when it resolves. */
export async function makeDirectoryDurably(directory: string): Promise<void> {
  const created = await mkdir(directory, { recursive: true, mode: 0o700 });
  const above = dirname(resolve(created ?? directory));
  for (let path = resolve(directory); path !== above; path = dirname(path)) syncDirectory(path);
  syncDirectory(above);
}

/** Flushes `directory` with everything in it. */
export async function flushTree(directory: string): Promise<void> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  while (files.length > 0) await Promise.all(files.splice(0, CONCURRENT_FLUSHES).map(flushFile));
  for (const entry of entries) if (entry.isDirectory()) syncDirectory(join(entry.parentPath, entry.name));
  syncDirectory(directory);
}

/**
 * Renames the directory `from` to `to`, once everything in it is on the disk; the rename is too when this resolves.
 * After a power failure there is a complete `to`, or none.
 */
export async function renameDurably(from: string, to: string): Promise<void> {
  await flushTree(from);
  await rename(from, to);
  syncDirectory(dirname(to));
}
