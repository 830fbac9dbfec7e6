import { chmod, cp, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { lockDataDirectory } from './data-lock.ts';
import { type Database, defineStatement } from './database.ts';
import { EmbeddedEngine } from './embedded-engine.ts';
import { type OperatorAccess, operate } from './operator.ts';
import { serveOperator } from './operator-socket.ts';
import { prepareDatabase } from './prepare.ts';
import { SharedConnections } from './shared-connections.ts';

export interface EmbeddedOptions {
  /** Where the files are kept; made when it is not there. */
  readonly directory: string;
  /** How often the tables are vacuumed, in milliseconds; 600,000 when not given. */
  readonly maintainEveryMs?: number;
  readonly onWarning: (message: string, error?: unknown) => void;
  readonly onUnusable: (error: unknown) => void;
}

/** An empty database, made when the service is built: making one takes seconds. */
const TEMPLATE = new URL('./template/', import.meta.url);
const PIPELINE_DEPTH = 32;

/** Makes the files of an empty database in one step, so that a start that is cut short leaves none or all of them. */
async function ensureFiles(directory: string): Promise<string> {
  const files = join(directory, 'database');
  const entries = await readdir(directory);
  for (const entry of entries) {
    if (entry.startsWith('database.new')) await rm(join(directory, entry), { recursive: true, force: true });
  }
  if (!entries.includes('database')) {
    const draft = join(directory, `database.new.${process.pid}`);
    await cp(TEMPLATE, draft, { recursive: true });
    await chmod(draft, 0o700);
    await rename(draft, files);
  }
  return files;
}

/** Keeps an engine running: a new one is started once the last has been found broken. */
class Engines {
  readonly #files: string;
  #current: EmbeddedEngine | null = null;

  constructor(files: string) {
    this.#files = files;
  }

  async createClient(): Promise<pg.Client> {
    if (this.#current !== null && !this.#current.usable) {
      await this.#current.stop();
      this.#current = null;
    }
    this.#current ??= await EmbeddedEngine.start(this.#files);
    const engine = this.#current;
    return new pg.Client({
      stream: () => engine.openStream(),
      host: 'embedded',
      user: 'postgres',
      database: 'postgres',
      password: '',
      ssl: false,
    });
  }

  async stop(): Promise<void> {
    await this.#current?.stop();
  }
}

/** PGlite has no autovacuum. */
const MAINTENANCE = defineStatement('maintenance', 'write', 'vacuum (analyze) todo.users, todo.tasks');
const MAINTAIN_EVERY_MS = 600_000;

export interface EmbeddedDatabase extends Database, OperatorAccess {
  /** Gives room back and teaches the planner, as it happens by itself from time to time. */
  maintain(): Promise<void>;
}

/**
 * Opens the embedded database (PGlite) in `directory` and keeps it for this process alone.
 * @throws {DataDirectoryInUse} when another living process has it.
 */
export async function openEmbedded(options: EmbeddedOptions): Promise<EmbeddedDatabase> {
  await mkdir(options.directory, { recursive: true, mode: 0o700 });
  const unlock = await lockDataDirectory(options.directory, options.onUnusable);
  const engines = new Engines(await ensureFiles(options.directory));
  const connections = new SharedConnections({
    createClient: () => engines.createClient(),
    prepare: prepareDatabase,
    connections: 1,
    depth: PIPELINE_DEPTH,
    namedStatements: true,
    onWarning: options.onWarning,
    onUnusable: options.onUnusable,
  });
  await connections.open();
  const maintain = () => connections.asOwner(MAINTENANCE);
  const maintenance = setInterval(() => {
    maintain().catch((error: unknown) => options.onWarning('The embedded database could not be vacuumed', error));
  }, options.maintainEveryMs ?? MAINTAIN_EVERY_MS);
  maintenance.unref();
  const stopOperator = await serveOperator(options.directory, operate(connections));
  if (stopOperator === null) {
    options.onWarning(
      'No socket could be made in the data directory: backup and restore work while the service is stopped',
    );
  }
  return {
    maintain,
    asOperator: (statement, values) => connections.asOperator(statement, values),
    asUser: (userId, statement, values) => connections.asUser(userId, statement, values),
    ping: () => connections.ping(),
    close: async () => {
      clearInterval(maintenance);
      await stopOperator?.();
      await connections.close();
      await engines.stop();
      await unlock();
    },
  };
}
