import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { type Logger, pino } from 'pino';
import { createApp } from './app.ts';
import { developmentSecret, developmentToken } from './auth/development-secret.ts';
import { adminAccess } from './backup/admin-access.ts';
import { serveAdminSocket } from './backup/admin-socket.ts';
import type { Config, TokenKeys } from './config.ts';
import type { Database } from './database/database.ts';
import { openEmbedded } from './database/embedded/embedded.ts';
import { openPostgres } from './database/postgres.ts';
import { createLogger } from './log.ts';

/** Log lines are buffered, and flushed every 100 ms and on exit. */
const LOG_BUFFER_BYTES = 8_192;
const LOG_FLUSH_MS = 100;
/** After a signal the process exits within this time, answered or not. */
const STOP_TIMEOUT_MS = 9_500;

interface DatabaseEvents {
  readonly onWarning: (message: string, error?: unknown) => void;
  /** Called if the database must not be used. */
  readonly onFatal: (error: unknown) => void;
}

/** @param purpose whether requests will be served, or the rows of all users backed up or restored. */
export function openDatabase(
  config: Config['database'],
  purpose: 'serve' | 'admin',
  events: DatabaseEvents,
): Promise<Database> {
  if (config.kind === 'embedded') return openEmbedded({ ...config, ...events });
  const connections = purpose === 'admin' ? 1 : config.connections;
  return openPostgres({ ...config, connections, purpose, ...events });
}

/** @returns a function that closes the socket through which backup and restore reach an embedded database. */
async function openAdminSocket(config: Config, database: Database, logger: Logger): Promise<() => Promise<void>> {
  const noop = async () => undefined;
  if (config.database.kind !== 'embedded') return noop;
  const close = await serveAdminSocket(config.database.directory, adminAccess(database));
  if (close !== null) return close;
  logger.warn('No socket can be created in DATA_DIR: backup and restore need the service to be stopped');
  return noop;
}

interface ResolvedTokenKeys {
  readonly tokenKeys: Exclude<TokenKeys, { kind: 'development' }>;
  /** A token for the development user; null if a secret or key set is configured. */
  readonly token: string | null;
}

async function resolveTokenKeys({ tokenKeys }: Config): Promise<ResolvedTokenKeys> {
  if (tokenKeys.kind !== 'development') return { tokenKeys, token: null };
  const { directory, algorithm } = tokenKeys;
  const secret = await developmentSecret(directory);
  return { tokenKeys: { kind: 'secret', secret, algorithm }, token: await developmentToken(secret, algorithm) };
}

function printBanner({ address, family, port }: AddressInfo, token: string | null): void {
  const local = address === '0.0.0.0' || address === '::' ? 'localhost' : family === 'IPv6' ? `[${address}]` : address;
  const origin = `http://${local}:${port}`;
  const lines = ['', `  todo-api listens at  ${origin}`, `  its reference is at  ${origin}/docs`];
  if (token !== null) {
    lines.push('', '  A token for user "developer", valid for 30 days:', '', `  ${token}`, '', '  Try it:', '');
    lines.push(
      `  curl -X POST ${origin}/api/tasks -H 'Content-Type: application/json' -d '{"title":"Buy oat milk"}' -H 'Authorization: Bearer ${token}'`,
    );
  }
  process.stderr.write(`${lines.join('\n')}\n\n`);
}

function createProcessLogger(level: Config['logLevel']): Logger {
  const destination = { dest: 1, sync: false, minLength: LOG_BUFFER_BYTES, periodicFlush: LOG_FLUSH_MS };
  const logger = createLogger(level, pino.destination(destination));
  const fail = (error: unknown): never => {
    logger.fatal({ err: error }, 'uncaught error');
    process.exit(1);
  };
  process.on('uncaughtException', fail);
  process.on('unhandledRejection', fail);
  return logger;
}

/**
 * Serves the API until SIGINT or SIGTERM: opens, listens, drains, closes and exits.
 * @param onFatal called if the database must not be used.
 */
export async function serve(config: Config, onFatal: (error: unknown) => never): Promise<void> {
  const logger = createProcessLogger(config.logLevel);
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM']) process.on(name, () => stop.abort(name));
  const exitAtOnce = () => process.exit(0);
  stop.signal.addEventListener('abort', exitAtOnce); // before the server listens there is nothing to drain

  const onWarning = (message: string, err?: unknown) => logger.warn({ err }, message);
  const fail = (err: unknown): never => {
    logger.fatal({ err }, 'the database cannot be used');
    return onFatal(err);
  };
  const database = await openDatabase(config.database, 'serve', { onWarning, onFatal: fail }).catch(fail);
  const { tokenKeys, token } = await resolveTokenKeys(config); // writes to DATA_DIR, which may have been refused
  const closeAdminSocket = await openAdminSocket(config, database, logger);
  const app = await createApp({ config: { ...config, tokenKeys }, database, logger });

  stop.signal.removeEventListener('abort', exitAtOnce);
  await app.listen({ host: config.host, port: config.port });
  const address = app.server.address();
  if (address === null || typeof address === 'string') throw new Error('The server has no TCP port');
  logger.info({ host: address.address, port: address.port, database: config.database.kind }, 'listening');
  if (config.environment === 'development') printBanner(address, token);

  if (!stop.signal.aborted) await once(stop.signal, 'abort');
  logger.info({ signal: stop.signal.reason }, 'stopping');
  setTimeout(() => process.exit(0), STOP_TIMEOUT_MS).unref();
  await app.close();
  await closeAdminSocket();
  await database.close();
  process.exit(0);
}
