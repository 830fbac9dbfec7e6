import { once } from 'node:events';
import { access, constants, mkdir } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { createApp } from './app.ts';
import { developmentSecret, developmentToken } from './auth/development-secret.ts';
import { adminAccess } from './backup/admin-access.ts';
import { serveAdminSocket } from './backup/admin-socket.ts';
import type { Config, TokenKeys } from './config.ts';
import type { Database } from './database/database.ts';
import { openEmbedded } from './database/embedded/embedded.ts';
import { notificationsOf, openPostgres } from './database/postgres.ts';
import { createLogger, openLogOutput } from './log.ts';

/** After a signal the process exits within this time, answered or not. */
const STOP_TIMEOUT_MS = 9_500;

interface DatabaseEvents {
  readonly onWarning: (message: string, error?: unknown) => void;
  /** Called if the database must not be used. */
  readonly onFatal: (error: unknown) => void;
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));
const codeOf = (error: unknown) => (error instanceof Error && 'code' in error ? error.code : null);

/** Creates `directory` if it is missing. @throws {Error} naming DATA_DIR, if this process may not write to it. */
async function ensureDataDirectory(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await access(directory, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    const advice = 'Set DATA_DIR to a directory that the user of this process may write to.';
    throw new Error(`DATA_DIR ${directory} cannot be used: ${messageOf(error)}. ${advice}`, { cause: error });
  }
}

/** @param purpose whether requests will be served, or the rows of all users backed up or restored. */
export async function openDatabase(
  config: Config['database'],
  purpose: 'serve' | 'admin',
  events: DatabaseEvents,
): Promise<Database> {
  if (config.kind === 'embedded') {
    await ensureDataDirectory(config.directory);
    return openEmbedded({ ...config, ...events });
  }
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

async function resolveTokenKeys({ tokenKeys, userClaim }: Config): Promise<ResolvedTokenKeys> {
  if (tokenKeys.kind !== 'development') return { tokenKeys, token: null };
  const { directory, algorithm } = tokenKeys;
  await ensureDataDirectory(directory);
  const secret = await developmentSecret(directory);
  const token = await developmentToken(secret, algorithm, userClaim);
  return { tokenKeys: { kind: 'secret', secret, algorithm }, token };
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

/** Starts the log of this process, which ends with a line if an error is caught nowhere. */
function openLog(level: Config['logLevel']): Logger {
  const output = openLogOutput();
  const logger = createLogger(level, output.destination);
  output.reportDropped(logger);
  process.once('exit', output.flush);
  const fail = (error: unknown): never => {
    logger.fatal({ err: error }, 'uncaught error');
    process.exit(1);
  };
  process.on('uncaughtException', fail);
  process.on('unhandledRejection', fail);
  return logger;
}

/** @returns what the operator can do about an error of listen(2) or of resolving the host, by the name of the setting. */
function describeListenError(error: unknown, { host, port }: Pick<Config, 'host' | 'port'>): string {
  switch (codeOf(error)) {
    case 'EADDRINUSE':
      return `PORT ${port} of HOST ${host} is in use: stop the process that listens there, or set another PORT`;
    case 'EACCES':
      return `PORT ${port} needs privileges that this process lacks: set a PORT above 1023`;
    case 'EADDRNOTAVAIL':
      return `HOST ${host} is no address of this machine: set HOST to one that is, or to 0.0.0.0 for all of them`;
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `HOST ${host} cannot be resolved: set HOST to an address of this machine, or to 0.0.0.0 for all of them`;
    default:
      return `HOST ${host} and PORT ${port} cannot be listened on: ${messageOf(error)}`;
  }
}

async function listen(app: FastifyInstance, { host, port }: Pick<Config, 'host' | 'port'>): Promise<AddressInfo> {
  await app.listen({ host, port }).catch((error: unknown) => {
    throw new Error(describeListenError(error, { host, port }), { cause: error });
  });
  const address = app.server.address();
  if (address === null || typeof address === 'string') throw new Error('The server has no TCP port');
  return address;
}

/** What has been opened, to be closed in reverse order. */
class Opened {
  readonly #closers: (() => Promise<unknown>)[] = [];

  add(close: () => Promise<unknown>): void {
    this.#closers.unshift(close);
  }

  async close(): Promise<void> {
    for (const close of this.#closers.splice(0)) await close();
  }
}

/**
 * Serves the API until SIGINT or SIGTERM: opens, listens, drains, closes and exits.
 * @param onFatal called if the database must not be used.
 * @throws {Error} if the start fails, after closing what it had opened.
 */
export async function serve(config: Config, onFatal: (error: unknown) => never): Promise<void> {
  const logger = openLog(config.logLevel);
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM']) process.on(name, () => stop.abort(name));
  const exitAtOnce = () => process.exit(0);
  stop.signal.addEventListener('abort', exitAtOnce); // before the server listens there is nothing to drain

  const opened = new Opened();
  try {
    const onWarning = (message: string, err?: unknown) => logger.warn({ err }, message);
    const fail = (err: unknown): never => {
      logger.fatal({ err }, 'the database cannot be used');
      return onFatal(err);
    };
    const database = await openDatabase(config.database, 'serve', { onWarning, onFatal: fail }).catch(fail);
    opened.add(() => database.close());
    const { tokenKeys, token } = await resolveTokenKeys(config); // writes to DATA_DIR, which may have been refused
    opened.add(await openAdminSocket(config, database, logger));
    const notifications = config.database.kind === 'embedded' ? null : notificationsOf(config.database.url, database);
    opened.add(async () => notifications?.close());
    const app = await createApp({ config: { ...config, tokenKeys }, database, notifications, logger });
    opened.add(() => app.close());

    stop.signal.removeEventListener('abort', exitAtOnce);
    const address = await listen(app, config);
    logger.info({ host: address.address, port: address.port, database: config.database.kind }, 'listening');
    if (config.environment === 'development') printBanner(address, token);
  } catch (error) {
    await Promise.race([opened.close(), delay(STOP_TIMEOUT_MS, undefined, { ref: false })]).catch(() => undefined);
    throw error;
  }

  if (!stop.signal.aborted) await once(stop.signal, 'abort');
  logger.info({ signal: stop.signal.reason }, 'stopping');
  setTimeout(() => process.exit(0), STOP_TIMEOUT_MS).unref();
  await opened.close();
  process.exit(0);
}
