import { existsSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { createApp } from './app.ts';
import { developmentSecret, developmentToken } from './auth/development-secret.ts';
import { type Operator, operate } from './backup/admin-access.ts';
import { connectOperator } from './backup/admin-socket.ts';
import { type Command, parseCommand, runCommand, USAGE } from './backup/command.ts';
import { type Config, loadConfig, type TokenKeys } from './config.ts';
import type { Database } from './database/database.ts';
import { openEmbedded } from './database/embedded/embedded.ts';
import { openPostgres } from './database/postgres.ts';
import { createLogger } from './log.ts';

/** Lines leave together, a tenth of a second late at most; the end of the process flushes them. */
const LOG_BUFFER_BYTES = 4_096;
const LOG_FLUSH_MS = 100;
const STOP_WITHIN_MS = 9_500;

/** Ends the process with one message for people; what is under way is lost. */
function die(error: unknown): never {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}

function readSettings(): Config {
  if (existsSync('.env')) process.loadEnvFile('.env');
  return loadConfig(process.env);
}

function openDatabase(config: Config, onWarning: (message: string, error?: unknown) => void): Promise<Database> {
  const place = config.database;
  const watch = { onWarning, onUnusable: die };
  return place.kind === 'embedded'
    ? openEmbedded({ ...place, ...watch })
    : openPostgres({ ...place, purpose: 'serve', ...watch });
}

/** Goes through the service where that holds the embedded database, and opens the database itself where nobody does. */
async function openOperator(place: Config['database'], say: (line: string) => void): Promise<Operator> {
  const watch = { onWarning: say, onUnusable: die };
  if (place.kind === 'postgres') {
    const { host, pathname } = new URL(place.url);
    say(`The database is PostgreSQL's ${decodeURIComponent(pathname.slice(1))} on ${host}`);
    return operate(await openPostgres({ ...place, connections: 1, purpose: 'operate', ...watch }));
  }
  const serving = await connectOperator(place.directory);
  say(
    `The database is the embedded one in ${place.directory}${serving === null ? '' : ', by way of the running service'}`,
  );
  return serving ?? operate(await openEmbedded({ ...place, ...watch }));
}

async function work(command: Extract<Command, { path: string }>): Promise<void> {
  const say = (line: string) => void process.stderr.write(`${line}\n`);
  const { database: place } = readSettings();
  if (command.kind === 'backup' && place.kind === 'embedded' && !existsSync(place.directory)) {
    throw new Error(`There is no data directory ${place.directory}: set DATA_DIR, or DATABASE_URL for PostgreSQL`);
  }
  const operator = await openOperator(place, say);
  await runCommand(command, operator, say);
  await operator.close();
}

interface ResolvedTokenKeys {
  readonly tokenKeys: Exclude<TokenKeys, { kind: 'development' }>;
  /** A token to paste, where this process made the secret itself. */
  readonly token: string | null;
}

async function resolveTokenKeys({ tokenKeys }: Config): Promise<ResolvedTokenKeys> {
  if (tokenKeys.kind !== 'development') return { tokenKeys, token: null };
  const { directory, algorithm } = tokenKeys;
  const secret = await developmentSecret(directory);
  return { tokenKeys: { kind: 'secret', secret, algorithm }, token: await developmentToken(secret, algorithm) };
}

function greet({ address, family, port }: AddressInfo, token: string | null): void {
  const local = address === '0.0.0.0' || address === '::' ? 'localhost' : family === 'IPv6' ? `[${address}]` : address;
  const origin = `http://${local}:${port}`;
  const lines = ['', `  todo-api listens at  ${origin}`, `  its reference is at  ${origin}/docs`];
  if (token !== null) {
    lines.push('', '  A token for user "developer", good for 30 days:', '', `  ${token}`, '', '  Try it:', '');
    lines.push(
      `  curl -X POST ${origin}/api/tasks -H 'Content-Type: application/json' -d '{"title":"Buy oat milk"}' -H 'Authorization: Bearer ${token}'`,
    );
  }
  process.stderr.write(`${lines.join('\n')}\n\n`);
}

async function serve(): Promise<void> {
  const config = readSettings();
  const logger = createLogger(
    config.logLevel,
    pino.destination({ dest: 1, sync: false, minLength: LOG_BUFFER_BYTES, periodicFlush: LOG_FLUSH_MS }),
  );
  const fail = (error: unknown): never => {
    logger.fatal({ err: error }, 'stopped by a fault');
    process.exit(1);
  };
  process.on('uncaughtException', fail);
  process.on('unhandledRejection', fail);

  const signals = ['SIGINT', 'SIGTERM'] as const;
  for (const signal of signals) process.once(signal, () => process.exit(0)); // nothing is being served yet
  const { tokenKeys, token } = await resolveTokenKeys(config);
  const database = await openDatabase(config, (message, err) => logger.warn({ err }, message));
  const app = await createApp({ config: { ...config, tokenKeys }, database, logger });

  let stopping = false;
  const stop = async (signal: string): Promise<void> => {
    if (stopping) return;
    stopping = true;
    logger.info({ signal }, 'stopping');
    setTimeout(() => process.exit(0), STOP_WITHIN_MS).unref();
    await app.close();
    await database.close();
    process.exit(0);
  };
  for (const signal of signals) process.removeAllListeners(signal).on(signal, (name) => void stop(name));

  await app.listen({ host: config.host, port: config.port });
  const address = app.server.address();
  if (address === null || typeof address === 'string') throw new Error('The server has no TCP port');
  logger.info({ host: address.address, port: address.port, database: config.database.kind }, 'listening');
  if (config.environment === 'development') greet(address, token);
}

async function main(): Promise<void> {
  const command = parseCommand(process.argv.slice(2));
  if (command.kind === 'serve') return serve();
  if (command.kind === 'help') process.stdout.write(USAGE);
  else await work(command);
}

main().catch(die);
