import { chmod, cp, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { AppError } from '../core/errors.ts';
import { lockDataDirectory } from './data-lock.ts';
import { type Database, defineStatement, type Statement } from './database.ts';
import { DiskRoom, freeBytesOf, isDiskFull } from './disk-room.ts';
import { EmbeddedEngine } from './embedded-engine.ts';
import { type OperatorAccess, operate } from './operator.ts';
import { serveOperator } from './operator-socket.ts';
import { prepareToServe } from './prepare.ts';
import { SharedConnections } from './shared-connections.ts';

export interface EmbeddedOptions {
  /** Where the files are kept; made when it is not there. */
  readonly directory: string;
  /** How much room the disk has, in bytes; asked of the system unless given. */
  readonly freeBytes?: (directory: string) => Promise<number | null>;
  /** How often the tables are vacuumed, in milliseconds; 600,000 when not given. */
  readonly maintainEveryMs?: number;
  /** How often its log is shortened where something was written, in milliseconds; 60,000 when not given. */
  readonly checkpointEveryMs?: number;
  readonly onWarning: (message: string, error?: unknown) => void;
  readonly onUnusable: (error: unknown) => void;
}

/** An empty database, made when the service is built: making one takes seconds. */
const TEMPLATE = new URL('./template/', import.meta.url);
const PIPELINE_DEPTH = 32;
const CONNECT_TIMEOUT_MS = 8_000;

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
  readonly #room: DiskRoom;
  #current: EmbeddedEngine | null = null;

  constructor(files: string, room: DiskRoom) {
    this.#files = files;
    this.#room = room;
  }

  async createClient(): Promise<pg.Client> {
    if (this.#current !== null && !this.#current.usable) {
      await this.#current.stop();
      this.#current = null;
    }
    if (this.#current === null) {
      await this.#room.makeWay();
      this.#current = await EmbeddedEngine.start(this.#files);
    }
    const engine = this.#current;
    return new pg.Client({
      stream: () => engine.openStream(),
      host: 'embedded',
      user: 'postgres',
      database: 'postgres',
      password: '',
      ssl: false,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    });
  }

  async stop(): Promise<void> {
    await this.#current?.stop();
  }
}

/** PGlite has no autovacuum. */
const VACUUM = defineStatement('vacuum', 'write', 'vacuum (analyze) todo.users, todo.tasks');
const MAINTAIN_EVERY_MS = 600_000;
/** PGlite has no checkpointer either: its log would grow for as long as the process runs. */
const CHECKPOINT = defineStatement('checkpoint', 'write', 'checkpoint');
const CHECKPOINT_EVERY_MS = 60_000;

export interface EmbeddedDatabase extends Database, OperatorAccess {
  /** Gives room back and teaches the planner, as it happens by itself from time to time. */
  maintain(): Promise<void>;
}

/** Takes the directory for this process; a disk so full that the lock cannot be written is given the reserve. */
async function takeDirectory({ directory, onUnusable }: EmbeddedOptions, room: DiskRoom) {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const lock = () => lockDataDirectory(directory, onUnusable);
  return lock().catch(async (error: unknown) => {
    if (!isDiskFull(error)) throw error;
    await room.giveReserve();
    return lock();
  });
}

/**
 * Opens the embedded database (PGlite) in `directory` and keeps it for this process alone. While the disk is nearly
 * full, writes are refused (`SERVICE_UNAVAILABLE`) and reads go on.
 * @throws {DataDirectoryInUse} when another living process has it.
 */
export async function openEmbedded(options: EmbeddedOptions): Promise<EmbeddedDatabase> {
  const { directory, onWarning, onUnusable, freeBytes = freeBytesOf } = options;
  const room = new DiskRoom({ directory, freeBytes, onWarning });
  const unlock = await takeDirectory(options, room);
  const engines = new Engines(await ensureFiles(directory), room);
  const connections = new SharedConnections({
    createClient: () => engines.createClient(),
    prepare: prepareToServe,
    connections: 1,
    depth: PIPELINE_DEPTH,
    namedStatements: true,
    onWarning,
    onUnusable,
  });
  await room.watch();
  await connections.open();
  let written = false;
  const maintain = () => connections.asOwner(VACUUM);
  const every = (milliseconds: number, failure: string, work: () => Promise<void>) =>
    setInterval(() => {
      if (!room.isShort) work().catch((error: unknown) => onWarning(failure, error));
    }, milliseconds).unref();
  const chores = [
    every(options.maintainEveryMs ?? MAINTAIN_EVERY_MS, 'The embedded database could not be vacuumed', maintain),
    every(
      options.checkpointEveryMs ?? CHECKPOINT_EVERY_MS,
      "The embedded database's log could not be shortened",
      async () => {
        if (!written) return;
        written = false;
        await connections.asOwner(CHECKPOINT);
      },
    ),
  ];
  /** @throws {AppError} when there is no room for `statement`. */
  const admit = ({ access }: Statement) => {
    if (access === 'read') return;
    if (room.isShort) throw new AppError('SERVICE_UNAVAILABLE', { cause: new Error('The disk is nearly full') });
    written = true;
  };
  const access: Pick<EmbeddedDatabase, 'asUser' | 'asOperator'> = {
    asUser: async (userId, statement, values) => {
      admit(statement);
      return connections.asUser(userId, statement, values);
    },
    asOperator: async (statement, values) => {
      admit(statement);
      return connections.asOperator(statement, values);
    },
  };
  const close = async () => {
    for (const chore of chores) clearInterval(chore);
    room.close();
    await connections.close();
    await engines.stop();
    await unlock();
  };
  const stopOperator = await serveOperator(directory, operate({ asOperator: access.asOperator, close }));
  if (stopOperator === null) {
    onWarning('No socket could be made in the data directory: backup and restore work while the service is stopped');
  }
  return {
    ...access,
    maintain,
    ping: () => connections.ping(),
    close: async () => {
      await stopOperator?.();
      await close();
    },
  };
}
