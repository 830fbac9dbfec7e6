import { appendFile, chmod, copyFile, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { renameDurably } from './durable-files.ts';
import { type DirectoryLock, type LockOptions, lockDataDirectory } from './lock.ts';
import { FILES, lookAt, MADE, MADE_BY_0_1, TEMPLATE, UNFINISHED, verifyFiles } from './place.ts';

/** Copies a folder; the modes are those that PostgreSQL gives, since those of a read-only installation would remain. */
async function copyFolder(from: string, to: string): Promise<void> {
  await mkdir(to, { mode: 0o700 });
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const source = join(from, entry.name);
    const target = join(to, entry.name);
    if (entry.isDirectory()) {
      await copyFolder(source, target);
    } else {
      await copyFile(source, target);
      await chmod(target, 0o600);
    }
  }
}

/** Makes an empty database atomically: a start that is interrupted leaves all of its files or none. */
async function makeDatabase(directory: string): Promise<void> {
  const temporaryPath = join(directory, `${UNFINISHED}.${process.pid}`);
  await copyFolder(TEMPLATE, temporaryPath);
  await renameDurably(temporaryPath, join(directory, FILES));
}

/** Removes what interrupted starts and version 0.1 left. */
async function removeRemains(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const isObsolete = name.startsWith(UNFINISHED) || MADE_BY_0_1.includes(name);
    if (isObsolete) await rm(join(directory, name), { recursive: true, force: true });
  }
}

/** A data directory that only this process uses. */
export interface DataDirectory {
  /** Where the database's files are. */
  readonly files: string;
  readonly lock: DirectoryLock;
}

/**
 * Locks an existing directory for this process, and makes a database there if there is none.
 * @throws {Error} if another live process holds it.
 * @throws {DatabaseUnusableError} if it does not look as docs/operations.md says; it is then left as it is.
 */
export async function acquireDataDirectory(options: LockOptions): Promise<DataDirectory> {
  const { directory } = options;
  await lookAt(directory);
  const lock = await lockDataDirectory(options);
  try {
    if ((await lookAt(directory)) === 'new') {
      await removeRemains(directory);
      await makeDatabase(directory);
    } else {
      await verifyFiles(directory);
      await removeRemains(directory);
    }
    await appendFile(join(directory, MADE), '');
    return { files: join(directory, FILES), lock };
  } catch (error) {
    await lock.release();
    throw error;
  }
}
