import { existsSync } from 'node:fs';
import type { Database } from '../database/database.ts';
import { type AdminAccess, adminAccess, withRetries } from './admin-access.ts';
import { connectAdminSocket } from './admin-socket.ts';
import { backUp, type Progress } from './backup.ts';
import type { Totals } from './file.ts';
import { restore } from './restore.ts';

export type BackupCommand =
  | { readonly kind: 'backup'; readonly path: string }
  | { readonly kind: 'restore'; readonly path: string; readonly existing: 'keep' | 'replace' };

export interface BackupOptions {
  /** The data directory of the embedded database, or the URL of a PostgreSQL database. */
  readonly database:
    | { readonly kind: 'embedded'; readonly directory: string }
    | { readonly kind: 'postgres'; readonly url: string };
  /** Opens that database in this process. */
  readonly openDatabase: () => Promise<Database>;
  /** Prints a line of progress. */
  readonly print: (line: string) => void;
}

const PROGRESS_INTERVAL_MS = 1_000;
const number = new Intl.NumberFormat('en');
const format = ({ users, tasks }: Totals) => `${number.format(users)} users, ${number.format(tasks)} tasks`;

/** @returns a function that prints progress once a second. */
function progressPrinter(print: (line: string) => void): (progress: Progress) => void {
  let last = performance.now();
  return ({ done, total }) => {
    if (performance.now() - last < PROGRESS_INTERVAL_MS) return;
    last = performance.now();
    const share = total === null || total.tasks === 0 ? 1 : Math.min(1, done.tasks / total.tasks);
    print(`${total === null ? 'checked' : `${Math.floor(share * 100)} %`}: ${format(done)}`);
  };
}

/**
 * Uses the running service's admin socket if it holds the embedded database; otherwise opens the database directly.
 * @throws {Error} for a backup of a data directory that does not exist.
 */
async function openAccess(command: BackupCommand, options: BackupOptions): Promise<AdminAccess> {
  const { database, openDatabase, print } = options;
  if (database.kind === 'postgres') {
    const { host, pathname } = new URL(database.url);
    print(`Database: PostgreSQL, ${decodeURIComponent(pathname.slice(1))} on ${host}`);
    return adminAccess(await openDatabase());
  }
  if (command.kind === 'backup' && !existsSync(database.directory)) {
    throw new Error(`There is no data directory ${database.directory}: set DATA_DIR, or DATABASE_URL for PostgreSQL`);
  }
  const service = await connectAdminSocket(database.directory);
  print(`Database: embedded, in ${database.directory}${service === null ? '' : ', through the running service'}`);
  return service ?? adminAccess(await openDatabase());
}

/**
 * Backs up or restores.
 * @throws {BackupFileError} if the file is not a complete backup; {AdminError} if a request cannot succeed, or still
 *   fails after a minute of retries.
 */
export async function runBackupCommand(command: BackupCommand, options: BackupOptions): Promise<void> {
  const { print } = options;
  const access = withRetries(await openAccess(command, options), print);
  const { path } = command;
  const onProgress = progressPrinter(print);
  try {
    if (command.kind === 'backup') {
      print(`Backed up to ${path}: ${format(await backUp(access, path, onProgress))}`);
    } else {
      const { total, written } = await restore(access, { path, existing: command.existing, onProgress });
      const existed = { users: total.users - written.users, tasks: total.tasks - written.tasks };
      print(`Restored from ${path}: ${format(written)}; existed already: ${format(existed)}`);
    }
  } finally {
    await access.close();
  }
}
