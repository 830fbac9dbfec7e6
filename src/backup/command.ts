import { existsSync } from 'node:fs';
import type { Database } from '../database/database.ts';
import { type AdminAccess, adminAccess, withRetries } from './admin-access.ts';
import { connectAdminSocket } from './admin-socket.ts';
import type { Existing } from './admin-sql.ts';
import { backUp, type Progress } from './backup.ts';
import { formatTotals } from './file.ts';
import { renewEpochs } from './new-epoch.ts';
import { restore } from './restore.ts';

export type BackupCommand =
  | { readonly kind: 'backup'; readonly path: string }
  | { readonly kind: 'restore'; readonly path: string; readonly existing: Existing }
  | { readonly kind: 'new-epoch' };

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

/** @returns a function that prints progress once a second. */
function progressPrinter(print: (line: string) => void): (progress: Progress) => void {
  let last = performance.now();
  return ({ done, total }) => {
    if (performance.now() - last < PROGRESS_INTERVAL_MS) return;
    last = performance.now();
    const share = total === null || total.tasks === 0 ? 1 : Math.min(1, done.tasks / total.tasks);
    print(`${total === null ? 'checked' : `${Math.floor(share * 100)} %`}: ${formatTotals(done)}`);
  };
}

/**
 * Uses the running service's admin socket if it holds the embedded database; otherwise opens the database directly.
 * @throws {Error} if the data directory does not exist, except for a restore.
 */
async function openAccess(command: BackupCommand, options: BackupOptions): Promise<AdminAccess> {
  const { database, openDatabase, print } = options;
  if (database.kind === 'postgres') {
    const { host, pathname } = new URL(database.url);
    print(`Database: PostgreSQL, ${decodeURIComponent(pathname.slice(1))} on ${host}`);
    return adminAccess(await openDatabase());
  }
  if (command.kind !== 'restore' && !existsSync(database.directory)) {
    throw new Error(`There is no data directory ${database.directory}: set DATA_DIR, or DATABASE_URL for PostgreSQL`);
  }
  const service = await connectAdminSocket(database.directory);
  print(`Database: embedded, in ${database.directory}${service === null ? '' : ', through the running service'}`);
  return service ?? adminAccess(await openDatabase());
}

/**
 * Backs up, restores, or gives every user a new epoch.
 * @throws {BackupFileError} if the file is not a complete backup; {AdminError} if a request cannot succeed, or still
 *   fails after a minute of retries.
 */
export async function runBackupCommand(command: BackupCommand, options: BackupOptions): Promise<void> {
  const { print } = options;
  const access = withRetries(await openAccess(command, options), print);
  const onProgress = progressPrinter(print);
  try {
    switch (command.kind) {
      case 'backup': {
        const done = await backUp(access, command.path, onProgress);
        return print(`Backed up to ${command.path}: ${formatTotals(done)}`);
      }
      case 'restore': {
        const { written, existed } = await restore(access, { ...command, onProgress });
        return print(
          `Restored from ${command.path}: ${formatTotals(written)}; existed already: ${formatTotals(existed)}`,
        );
      }
      case 'new-epoch':
        return print(`New epochs: ${await renewEpochs(access)} users`);
    }
  } finally {
    await access.close();
  }
}
