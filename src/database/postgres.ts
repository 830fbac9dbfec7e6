import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { connectClient } from './client.ts';
import type { Database } from './database.ts';
import { DatabaseUnusableError } from './errors.ts';
import { type Notifications, PostgresNotifications } from './notifications.ts';
import { ConnectionPool, type PoolOptions } from './pool/pool.ts';
import { connectWhenReady } from './schema/ready.ts';
import { migrateAndVerify, migrateOnly } from './schema/verify.ts';

export interface PostgresOptions extends Omit<PoolOptions, 'connect' | 'depth'> {
  /** `postgresql://…`, with `sslmode` and the rest as libpq reads them. */
  readonly url: string;
  /** False limits each connection to one transaction in flight. */
  readonly pipeline: boolean;
  /** Whether requests will be served, or the rows of all users backed up or restored. */
  readonly purpose: 'serve' | 'admin';
  /** Called once if the database must not be used. */
  readonly onFatal: (error: DatabaseUnusableError) => void;
}

const PIPELINE_DEPTH = 16;
/** NAT gateways forget idle connections after minutes. */
const KEEP_ALIVE_DELAY_MS = 30_000;
const NOTIFICATION_TIMEOUT_MS = 5_000;
const FIRST_ATTEMPT_MS = 3_000;

const configOf = (url: string): pg.ClientConfig => ({
  connectionString: url,
  application_name: 'todo-api',
  keepAlive: true,
  keepAliveInitialDelayMillis: KEEP_ALIVE_DELAY_MS,
  enableChannelBinding: true,
});

/** Notifications between the processes that share the database at `url`, which `database` is opened for. */
export function notificationsOf(url: string, database: Database): Notifications {
  const config = { ...configOf(url), query_timeout: NOTIFICATION_TIMEOUT_MS };
  return new PostgresNotifications({ connect: () => connectClient(config), database });
}

/**
 * Opens PostgreSQL 15 or newer. Resolves after the first attempt, or after 3 s: while the server cannot be reached,
 * attempts go on in the background and transactions fail.
 * @throws {DatabaseUnusableError} if a parameter of the URL cannot be used.
 */
export async function openPostgres(options: PostgresOptions): Promise<Database> {
  const config = configOf(options.url);
  try {
    new pg.Client(config); // reads the URL's parameters, and the files they name
  } catch (error) {
    throw new DatabaseUnusableError('DATABASE_URL has a parameter that cannot be used', error);
  }
  const pool = new ConnectionPool({
    ...options,
    connect: connectWhenReady({
      connect: () => connectClient(config),
      prepare: options.purpose === 'serve' ? migrateAndVerify : migrateOnly,
      onFatal: options.onFatal,
    }),
    depth: options.pipeline ? PIPELINE_DEPTH : 1,
  });
  await Promise.race([pool.open(), delay(FIRST_ATTEMPT_MS, undefined, { ref: false })]);
  return pool;
}
