import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import type { OperatorAccess } from '../backup/admin-access.ts';
import type { Database } from './database.ts';
import { UnusableDatabase } from './pool/connector.ts';
import { SharedConnections } from './pool/pool.ts';
import { prepareToOperate, prepareToServe } from './schema/verify.ts';

export interface PostgresOptions {
  /** `postgresql://…`, with `sslmode` and the rest as libpq reads them. */
  readonly url: string;
  /** Connections that all requests share. */
  readonly connections: number;
  /** False gives each connection one transaction at a time. */
  readonly pipeline: boolean;
  readonly namedStatements: boolean;
  /** Whether requests will be served, or all users' rows backed up and restored. */
  readonly purpose: 'serve' | 'operate';
  readonly onWarning: (message: string, error?: unknown) => void;
  readonly onUnusable: (error: unknown) => void;
}

const PIPELINE_DEPTH = 16;

const FIRST_ATTEMPT_MS = 3_000;
/** Neon may take 5 s to wake. */
const CONNECT_TIMEOUT_MS = 8_000;

/**
 * Opens PostgreSQL 15 or newer. Settles after the first attempt, or 3 s: while the server is out of reach, attempts go on
 * behind the scenes and requests are answered with errors.
 */
export async function openPostgres(options: PostgresOptions): Promise<Database & OperatorAccess> {
  const createClient = () =>
    new pg.Client({
      connectionString: options.url,
      application_name: 'todo-api',
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      keepAlive: true,
      enableChannelBinding: true,
    });
  try {
    createClient(); // reads the URL's parameters, and the files they name
  } catch (error) {
    options.onUnusable(new UnusableDatabase('DATABASE_URL has a parameter that cannot be used', error));
  }
  const database = new SharedConnections({
    createClient,
    prepare: options.purpose === 'serve' ? prepareToServe : prepareToOperate,
    connections: options.connections,
    depth: options.pipeline ? PIPELINE_DEPTH : 1,
    namedStatements: options.namedStatements,
    onWarning: options.onWarning,
    onUnusable: options.onUnusable,
  });
  // A server that is slow or silent is waited for behind the scenes.
  await Promise.race([database.open(), delay(FIRST_ATTEMPT_MS, undefined, { ref: false })]);
  return database;
}
