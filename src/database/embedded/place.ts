import type { Stats } from 'node:fs';
import { access, constants, lstat, mkdtemp, readdir, readFile, rmdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DatabaseUnusableError } from '../errors.ts';
import { damagedFiles } from './damage.ts';
import { makeDirectoryDurably } from './durable-files.ts';

/*
 * What a data directory may look like: the table "The data directory" in docs/operations.md. Everything else is refused
 * with a sentence that says what to do.
 */

/** The folder of the database files. */
export const FILES = 'database';
/** A file that is made after the first database, and tells a directory whose database is gone from a new one. */
export const MADE = 'database.made';
/** A start that was interrupted leaves a folder whose name begins so. */
export const UNFINISHED = 'database.new';
export const MADE_BY_0_1: readonly string[] = ['reserve', 'operator.sock'];

/** What may be in a directory that has no database yet: our own files, and what systems and people put in empty ones. */
const NOT_FOREIGN = /^(\..*|lost\+found|jwt-secret(\.\d+)?|lock\.\d+(\..*)?|admin\.sock|database\.new.*)$/;

/** An empty database, made when the service is built: initdb takes seconds. */
export const TEMPLATE = fileURLToPath(new URL('./template/', import.meta.url));

/** Folders without which PostgreSQL starts and fails later; it reports others itself, or makes them. */
const FOLDERS = [
  ['base', 'global', 'pg_multixact', 'pg_notify', 'pg_replslot', 'pg_serial', 'pg_snapshots', 'pg_stat', 'pg_stat_tmp'],
  ['pg_commit_ts', 'pg_dynshmem', 'pg_logical', 'pg_subtrans', 'pg_tblspc', 'pg_twophase', 'pg_wal', 'pg_xact'],
].flat();

/** PostgreSQL's reason for a missing one is not in its log. */
const REQUIRED_FILES = ['postgresql.conf', join('global', 'pg_control')];

const MAX_NAMES = 3;
const NEW_DIRECTORY = 'set DATA_DIR to a new or empty directory';

const codeOf = (error: unknown) => (error instanceof Error && 'code' in error ? error.code : null);
const listOf = (names: readonly string[]) =>
  names.length > MAX_NAMES ? `${names.slice(0, MAX_NAMES).join(', ')}, …` : names.join(', ');

/** Makes `directory`, with its parents, if it is missing. @throws {DatabaseUnusableError} if that is not possible. */
export async function ensureDirectory(directory: string): Promise<void> {
  try {
    await makeDirectoryDurably(directory);
  } catch (error) {
    const code = codeOf(error);
    const isFile = code === 'EEXIST' || code === 'ENOTDIR';
    const fault = isFile ? 'is not a directory' : `cannot be made (${String(code ?? error)})`;
    throw new DatabaseUnusableError(`DATA_DIR ${directory} ${fault}: ${NEW_DIRECTORY} that can be written`, error);
  }
}

/**
 * @returns `whole` if `directory` has a folder of database files, `new` if one may be made there.
 * @throws {DatabaseUnusableError} if it looks like neither.
 */
export async function lookAt(directory: string): Promise<'whole' | 'new'> {
  const names = await readdir(directory).catch((error: unknown) => {
    throw new DatabaseUnusableError(`DATA_DIR ${directory} may not be read (${String(codeOf(error))})`, error);
  });
  await verifyAccess(directory, true);
  if (names.includes('PG_VERSION')) {
    throw new DatabaseUnusableError(
      `DATA_DIR ${directory} has the files of a PostgreSQL server: set DATABASE_URL to connect to that server, ` +
        `or, for the embedded database, ${NEW_DIRECTORY}`,
    );
  }
  if (names.includes(FILES)) return 'whole';
  if (names.includes(MADE)) {
    throw new DatabaseUnusableError(
      `DATA_DIR ${directory} has lost its database: ${MADE} says that one was made, but the folder ${FILES} is gone. ` +
        `Put the folder back; or restore a backup ("Damaged files" in docs/operations.md); or ${NEW_DIRECTORY}`,
    );
  }
  const foreign = names.filter((name) => !NOT_FOREIGN.test(name) && !MADE_BY_0_1.includes(name));
  if (foreign.length > 0) {
    throw new DatabaseUnusableError(
      `DATA_DIR ${directory} has no database, but other files (${listOf(foreign)}), among which none is made: ` +
        NEW_DIRECTORY,
    );
  }
  return 'new';
}

async function verifyAccess(path: string, isFolder: boolean): Promise<void> {
  const { R_OK, W_OK, X_OK } = constants;
  try {
    await access(path, isFolder ? R_OK | W_OK | X_OK : R_OK | W_OK);
  } catch (error) {
    const isReadOnly = codeOf(error) === 'EROFS';
    const help = isReadOnly ? 'its file system is read-only' : 'change owner or mode (chmod -R u+rwX DATA_DIR)';
    throw new DatabaseUnusableError(`${path} may not be read and written by this process: ${help}`, error);
  }
}

/**
 * The user id of files that this process makes in `directory`. Not the process's: some file systems give every file the
 * same owner.
 */
async function ownerOfNewFiles(directory: string): Promise<number> {
  const sample = await mkdtemp(join(directory, `${UNFINISHED}.`));
  const { uid } = await stat(sample);
  await rmdir(sample);
  return uid;
}

/** @throws {DatabaseUnusableError} unless `path` is a file or folder, belongs to `uid`, and may be read and written. */
async function verifyEntry(directory: string, path: string, uid: number): Promise<Stats> {
  const entry = await lstat(path);
  if (entry.isSymbolicLink()) {
    throw new DatabaseUnusableError(
      `${path} is a symbolic link, which is not followed: put there what it points to, or set DATA_DIR to where that is`,
    );
  }
  if (!entry.isDirectory() && !entry.isFile()) throw damagedFiles(directory, `${path} is no file or folder`);
  if (entry.uid !== uid) {
    throw new DatabaseUnusableError(
      `The database in ${directory} is owned by uid ${entry.uid}, not by the user of this process (${path}). ` +
        `Run it as that user (sudo -u '#${entry.uid}' …), or change the owner (chown -R).`,
    );
  }
  await verifyAccess(path, entry.isDirectory());
  return entry;
}

/**
 * Verifies the folder of database files in `directory`: its version, that required files and folders are there, and that
 * each is a file or folder of the owner of new files, who may read and write it. PostgreSQL verifies contents.
 * @throws {DatabaseUnusableError} otherwise.
 */
export async function verifyFiles(directory: string): Promise<void> {
  const files = join(directory, FILES);
  const uid = await ownerOfNewFiles(directory);
  const verify = async (path: string): Promise<void> => {
    const entry = await verifyEntry(directory, path, uid);
    if (!entry.isDirectory()) return;
    const names = await readdir(path);
    await Promise.all(names.map((name) => verify(join(path, name))));
  };
  const top = await verifyEntry(directory, files, uid);
  if (top.isFile()) throw damagedFiles(directory, `${files} is a file, not a folder`);
  await verifyVersion(directory, files);
  await verify(files);
  const kindOf = async (name: string) => {
    const entry = await lstat(join(files, name)).catch(() => null);
    return entry?.isDirectory() === true ? 'folder' : entry?.isFile() === true ? 'file' : 'nothing';
  };
  const required = [...FOLDERS.map((name) => [name, 'folder']), ...REQUIRED_FILES.map((name) => [name, 'file'])];
  for (const [name = '', kind] of required) {
    if ((await kindOf(name)) !== kind) throw damagedFiles(directory, `${join(files, name)} is missing, or no ${kind}`);
  }
}

/** @returns the version in `PG_VERSION` of `files`; '' if it is missing, empty, or no file. */
async function versionOf(files: string): Promise<string> {
  const path = join(files, 'PG_VERSION');
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    if (codeOf(error) === 'EACCES') await verifyAccess(path, false);
    return '';
  }
}

async function verifyVersion(directory: string, files: string): Promise<void> {
  const version = await versionOf(files);
  const expected = await versionOf(TEMPLATE);
  if (version === expected) return;
  const names = await readdir(files);
  if (!names.includes('base') && !names.includes('global')) {
    throw new DatabaseUnusableError(
      `DATA_DIR ${directory} has a folder "${FILES}" that is no database (${listOf(names) || 'empty'}): ` +
        `remove it if it is not needed, or ${NEW_DIRECTORY}`,
    );
  }
  if (/^(9\.\d|[1-9]\d)$/.test(version)) {
    throw new DatabaseUnusableError(
      `The database in DATA_DIR ${directory} is of PostgreSQL ${version}; this todo-api has PostgreSQL ${expected}: ` +
        `back it up with the todo-api that made it, then ${NEW_DIRECTORY} and restore the backup there`,
    );
  }
  throw damagedFiles(
    directory,
    `${join(files, 'PG_VERSION')} ${version === '' ? 'is missing or empty' : 'has no version'}`,
  );
}
