import { chmod, cp, mkdir, mkdtemp, readdir, rename, rm, rmdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type DiskRoom, isDiskFull } from './disk-space.ts';
import { lockDataDirectory } from './lock.ts';

/** An empty database, made when the service is built: making one takes seconds. */
const TEMPLATE = new URL('../template/', import.meta.url);

/** The files of the database belong to another user of the system, who could not work with what this process writes. */
class DataDirectoryOfAnother extends Error {
  constructor(directory: string, uid: number) {
    super(
      `The database in ${directory} belongs to the user with id ${uid}, for whom this process would spoil it. ` +
        `Run it as that user (sudo -u '#${uid}' …).`,
    );
    this.name = 'DataDirectoryOfAnother';
  }
}

/**
 * What this process makes must belong to whom `files` belong to. Some file systems give every file one owner, whoever makes
 * it, so a file is made to see.
 * @throws {DataDirectoryOfAnother}
 */
async function checkOwner(directory: string, files: string): Promise<void> {
  const sample = await mkdtemp(join(directory, 'database.new.'));
  const mine = await stat(sample);
  await rmdir(sample);
  const { uid } = await stat(files);
  if (uid !== mine.uid) throw new DataDirectoryOfAnother(directory, uid);
}

/** Makes the files of an empty database in one step, so that a start that is cut short leaves none or all of them. */
async function ensureFiles(directory: string): Promise<string> {
  const files = join(directory, 'database');
  const entries = await readdir(directory);
  if (entries.includes('database')) await checkOwner(directory, files);
  for (const entry of entries) {
    if (entry.startsWith('database.new')) await rm(join(directory, entry), { recursive: true, force: true });
  }
  if (!entries.includes('database')) {
    const draft = join(directory, `database.new.${process.pid}`);
    await cp(TEMPLATE, draft, { recursive: true });
    await chmod(draft, 0o700);
    await rename(draft, files);
  }
  return files;
}

/** Does `work`, once more with the reserve given away where the disk is so full that it cannot be done. */
function withReserve<Result>(room: DiskRoom, work: () => Promise<Result>): Promise<Result> {
  return work().catch(async (error: unknown) => {
    if (!isDiskFull(error)) throw error;
    await room.giveReserve();
    return work();
  });
}

/** A data directory that this process has to itself. */
export interface DataDirectory {
  /** Where the database's files are. */
  readonly files: string;
  /** Gives the directory back. */
  readonly unlock: () => Promise<void>;
}

/**
 * Takes `directory` for this process, and makes what is not there.
 * @param onLost told when another process has taken it nevertheless.
 * @throws {DataDirectoryInUse | DataDirectoryOfAnother} when another living process has it, or another user.
 */
export async function takeDataDirectory(
  directory: string,
  room: DiskRoom,
  onLost: (error: Error) => void,
): Promise<DataDirectory> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const unlock = await withReserve(room, () => lockDataDirectory(directory, onLost));
  try {
    return { files: await withReserve(room, () => ensureFiles(directory)), unlock };
  } catch (error) {
    await unlock();
    throw error;
  }
}
