import type pg from 'pg';
import { AppError } from '../../core/errors.ts';
import { connectClient } from '../client.ts';
import type { Database } from '../database.ts';
import type { DatabaseUnusableError } from '../errors.ts';
import { ConnectionPool } from '../pool/pool.ts';
import { connectWhenReady } from '../schema/ready.ts';
import { migrateAndVerify } from '../schema/verify.ts';
import type { BoundStatement } from '../sql.ts';
import { isDamage, Opening } from './damage.ts';
import { acquireDataDirectory } from './data-directory.ts';
import { DiskSpaceGuard, freeBytesOf } from './disk-space.ts';
import { EngineSupervisor } from './engine.ts';
import { Maintenance, type MaintenanceOptions } from './maintenance.ts';
import { ensureDirectory, verifyFiles } from './place.ts';
import { verifyTables } from './table-check.ts';

export interface EmbeddedOptions extends Pick<MaintenanceOptions, 'vacuumEveryMs' | 'checkpointEveryMs' | 'onWarning'> {
  /** Where the files are kept; created if missing. */
  readonly directory: string;
  /** @returns free bytes on the disk of `directory`; statfs(2) if not given. */
  readonly freeBytes?: (directory: string) => Promise<number | null>;
  /** Statement timeout in ms, 10,000 if not given; after that, plus 200 ms, the worker thread is replaced. */
  readonly statementTimeoutMs?: number;
  /** Called if the database must not be used, or another process has taken its directory. */
  readonly onFatal: (error: DatabaseUnusableError | Error) => void;
}

const PIPELINE_DEPTH = 32;

export interface EmbeddedDatabase extends Database {
  /** Runs VACUUM (ANALYZE), which also runs every 10 minutes. */
  vacuum(): Promise<void>;
}

/** How often a damaged file that requests meet is reported, beside the log line of each request. */
const REPORT_DAMAGE_MS = 60_000;

/**
 * Opens the embedded database (PGlite) in `directory` for this process alone. A transaction with a write resolves once
 * it is on the disk. While less than 64 MiB are free there, writes fail with `SERVICE_UNAVAILABLE` and reads go on.
 * @throws {Error} if another live process or another user has it, or if less than 32 MiB are free.
 * @throws {DatabaseUnusableError} if its files, or the directory, must not be used; the message says what to do.
 */
export async function openEmbedded(options: EmbeddedOptions): Promise<EmbeddedDatabase> {
  const { directory, onWarning, onFatal, freeBytes = freeBytesOf } = options;
  await ensureDirectory(directory);
  const diskSpace = new DiskSpaceGuard({ directory, freeBytes, onWarning });
  await diskSpace.verifyRoomToOpen();
  const { files, lock } = await acquireDataDirectory({ directory, onLost: onFatal, onWarning });
  diskSpace.start();
  const engines = new EngineSupervisor({ directory: files, lock: lock.file }, () => verifyFiles(directory));
  let writes = 0; // queued or in flight
  const connect = async () => {
    const engine = await engines.getOrStart();
    const session = { host: 'embedded', user: 'postgres', database: 'postgres', password: '', ssl: false };
    const client = await connectClient({ ...session, stream: () => engine.openStream(() => writes > 0) });
    await client.query('discard all'); // PGlite has one session, with the prepared statements of the client before
    return client;
  };
  const prepare = async (client: pg.Client) => {
    await verifyTables({ client, directory, onWarning });
    await migrateAndVerify(client);
  };
  const opening = new Opening(directory, connectWhenReady({ connect, prepare, onFatal: () => undefined }));
  const pool = new ConnectionPool({
    connect: () => opening.connect(),
    connections: 1,
    depth: PIPELINE_DEPTH,
    namedStatements: true,
    statementTimeoutMs: options.statementTimeoutMs,
    onWarning,
  });
  await pool.open();
  if (opening.fatal !== null) {
    diskSpace.stop();
    await pool.close();
    await engines.abort();
    await lock.release();
    throw opening.fatal;
  }
  opening.onFatal = onFatal;
  let damageReportedAt = Number.NEGATIVE_INFINITY;
  const transaction: Database['transaction'] = (identity, statements) =>
    pool.transaction(identity, statements).catch((error: unknown) => {
      const now = performance.now();
      if (error instanceof AppError && isDamage(error.cause) && now - damageReportedAt > REPORT_DAMAGE_MS) {
        damageReportedAt = now;
        onWarning('Database files in DATA_DIR are damaged: restore a backup', error.cause);
      }
      throw error;
    });
  const run = async (statement: BoundStatement) => void (await transaction({ kind: 'login-role' }, [statement]));
  const maintenance = await Maintenance.start({ ...options, files, diskSpace, run });
  return {
    transaction: async (identity, statements) => {
      if (statements.every(({ statement }) => statement.access === 'read')) return transaction(identity, statements);
      if (identity.kind === 'admin') await diskSpace.check(); // restore writes faster than the guard's interval
      if (diskSpace.isLow) {
        throw new AppError('SERVICE_UNAVAILABLE', { cause: new Error('The disk is nearly full') });
      }
      maintenance.recordWrite();
      writes += 1;
      return transaction(identity, statements).finally(() => {
        writes -= 1;
      });
    },
    vacuum: () => maintenance.vacuum(),
    ping: () => pool.ping(),
    close: async () => {
      maintenance.stop();
      diskSpace.stop();
      await pool.close();
      await engines.stop();
      await lock.release();
    },
  };
}
