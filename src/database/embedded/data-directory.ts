import { chmod, cp, mkdtemp, readdir, rm, rmdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { renameDurably } from './durable-files.ts';
import { lockDataDirectory } from './lock.ts';

const MADE_BY_0_1 = ['reserve', 'operator.sock'];

/** An empty database, made when the service is built: initdb takes seconds. */
const TEMPLATE = new URL('./template/', import.meta.url);

/**
 * Files made by this process must belong to the owner of `files`. Compared with a new file, not with the process's uid:
 * some file systems give every file the same owner.
 * @throws {Error} if they do not.
 */
async function verifyOwner(directory: string, files: string): Promise<void> {
  const sample = await mkdtemp(join(directory, 'database.new.'));
  const { uid: ownUid } = await stat(sample);
  await rmdir(sample);
  const { uid } = await stat(files);
  if (uid === ownUid) return;
  const fault = `The database in ${directory} is owned by uid ${uid}, not by the user of this process.`;
  throw new Error(`${fault} Run it as that user (sudo -u '#${uid}' …).`);
}

/** Creates the files of an empty database atomically: a start that is interrupted leaves all of them or none. */
async function ensureFiles(directory: string): Promise<string> {
  const files = join(directory, 'database');
  const entries = await readdir(directory);
  if (entries.includes('database')) await verifyOwner(directory, files);
  for (const entry of entries) {
    const isObsolete = entry.startsWith('database.new') || MADE_BY_0_1.includes(entry);
    if (isObsolete) await rm(join(directory, entry), { recursive: true, force: true });
  }
  if (!entries.includes('database')) {
    const temporaryPath = join(directory, `database.new.${process.pid}`);
    await cp(TEMPLATE, temporaryPath, { recursive: true });
    await chmod(temporaryPath, 0o700);
    await renameDurably(temporaryPath, files);
  }
  return files;
}

/** A data directory that only this process uses. */
export interface DataDirectory {
  /** Where the database's files are. */
  readonly files: string;
  /** Removes the lock. */
  readonly unlock: () => Promise<void>;
}

/**
 * Locks `directory`, which must exist, for this process, and creates what is missing in it.
 * @param onLost called if another process has taken the directory.
 * @throws {Error} if another live process holds it, or its files are another user's.
 */
export async function acquireDataDirectory(directory: string, onLost: (error: Error) => void): Promise<DataDirectory> {
  const unlock = await lockDataDirectory(directory, onLost);
  try {
    return { files: await ensureFiles(directory), unlock };
  } catch (error) {
    await unlock();
    throw error;
  }
}
