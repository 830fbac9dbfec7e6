import { AppError } from '../../core/errors.ts';
import { connectClient } from '../client.ts';
import type { Database } from '../database.ts';
import type { DatabaseUnusableError } from '../errors.ts';
import { ConnectionPool } from '../pool/pool.ts';
import { connectWhenReady } from '../schema/ready.ts';
import { migrateAndVerify } from '../schema/verify.ts';
import type { BoundStatement } from '../sql.ts';
import { acquireDataDirectory } from './data-directory.ts';
import { DiskSpaceGuard, freeBytesOf } from './disk-space.ts';
import { ensureDirectory } from './durable-files.ts';
import { EngineSupervisor } from './engine.ts';
import { Maintenance, type MaintenanceOptions } from './maintenance.ts';

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

/**
 * Opens the embedded database (PGlite) in `directory` for this process alone. A transaction with a write resolves once
 * it is on the disk. While less than 64 MiB are free there, writes fail with `SERVICE_UNAVAILABLE` and reads go on.
 * @throws {Error} if another live process or another user has it, or if less than 32 MiB are free.
 */
export async function openEmbedded(options: EmbeddedOptions): Promise<EmbeddedDatabase> {
  const { directory, onWarning, onFatal, freeBytes = freeBytesOf } = options;
  await ensureDirectory(directory);
  const diskSpace = new DiskSpaceGuard({ directory, freeBytes, onWarning });
  await diskSpace.verifyRoomToOpen();
  const { files, unlock } = await acquireDataDirectory(directory, onFatal);
  diskSpace.start();
  const engines = new EngineSupervisor(files);
  let writes = 0; // queued or in flight
  const connect = async () => {
    const engine = await engines.getOrStart();
    const session = { host: 'embedded', user: 'postgres', database: 'postgres', password: '', ssl: false };
    const client = await connectClient({ ...session, stream: () => engine.openStream(() => writes > 0) });
    await client.query('discard all'); // PGlite has one session, with the prepared statements of the client before
    return client;
  };
  const pool = new ConnectionPool({
    connect: connectWhenReady({ connect, prepare: migrateAndVerify, onFatal }),
    connections: 1,
    depth: PIPELINE_DEPTH,
    namedStatements: true,
    statementTimeoutMs: options.statementTimeoutMs,
    onWarning,
  });
  await pool.open();
  const run = async (statement: BoundStatement) => void (await pool.transaction({ kind: 'login-role' }, [statement]));
  const maintenance = await Maintenance.start({ ...options, files, diskSpace, run });
  return {
    transaction: async (identity, statements) => {
      if (statements.every(({ statement }) => statement.access === 'read'))
        return pool.transaction(identity, statements);
      if (identity.kind === 'admin') await diskSpace.check(); // restore writes faster than the guard's interval
      if (diskSpace.isLow) {
        throw new AppError('SERVICE_UNAVAILABLE', { cause: new Error('The disk is nearly full') });
      }
      maintenance.recordWrite();
      writes += 1;
      return pool.transaction(identity, statements).finally(() => {
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
      await unlock();
    },
  };
}
