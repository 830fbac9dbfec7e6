import { chmod, cp, mkdtemp, readdir, rename, rm, rmdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { lockDataDirectory } from './lock.ts';

/** An empty database, made when the service is built: initdb takes seconds. */
const TEMPLATE = new URL('./template/', import.meta.url);

/** The database files belong to another user of the system. */
class DataDirectoryOwnerError extends Error {
  constructor(directory: string, uid: number) {
    super(
      `The database in ${directory} belongs to the user with id ${uid}, who could not read files written by this one. ` +
        `Run it as that user (sudo -u '#${uid}' …).`,
    );
    this.name = 'DataDirectoryOwnerError';
  }
}

/**
 * Files made by this process must belong to the owner of `files`. Compared with a new file, not with the process's uid:
 * some file systems give every file the same owner.
 * @throws {DataDirectoryOwnerError}
 */
async function verifyOwner(directory: string, files: string): Promise<void> {
  const sample = await mkdtemp(join(directory, 'database.new.'));
  const { uid: ownUid } = await stat(sample);
  await rmdir(sample);
  const { uid } = await stat(files);
  if (uid !== ownUid) throw new DataDirectoryOwnerError(directory, uid);
}

/** Creates the files of an empty database atomically: a start that is interrupted leaves all of them or none. */
async function ensureFiles(directory: string): Promise<string> {
  const files = join(directory, 'database');
  const entries = await readdir(directory);
  if (entries.includes('database')) await verifyOwner(directory, files);
  for (const entry of entries) {
    const isObsolete = entry.startsWith('database.new') || entry === 'reserve'; // `reserve`: made by earlier versions
    if (isObsolete) await rm(join(directory, entry), { recursive: true, force: true });
  }
  if (!entries.includes('database')) {
    const draft = join(directory, `database.new.${process.pid}`);
    await cp(TEMPLATE, draft, { recursive: true });
    await chmod(draft, 0o700);
    await rename(draft, files);
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
 * @param onLost called if another process has taken the directory nevertheless.
 * @throws {DataDirectoryInUseError} if another live process holds it; {DataDirectoryOwnerError} if it is another user's.
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
