import pg from 'pg';
import { type OperatorAccess, operate } from '../../backup/admin-access.ts';
import { serveOperator } from '../../backup/admin-socket.ts';
import { PAGE_ROWS } from '../../backup/admin-sql.ts';
import { AppError } from '../../core/errors.ts';
import type { Database, Statement, Values } from '../database.ts';
import { SharedConnections } from '../pool/pool.ts';
import { prepareToServe } from '../schema/verify.ts';
import { takeDataDirectory } from './data-directory.ts';
import { DiskRoom, freeBytesOf } from './disk-space.ts';
import { EmbeddedEngine } from './engine.ts';
import { Upkeep } from './maintenance.ts';

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

const PIPELINE_DEPTH = 32;
const CONNECT_TIMEOUT_MS = 8_000;

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

const MAINTAIN_EVERY_MS = 600_000;
const CHECKPOINT_EVERY_MS = 60_000;
/** What a row of a page of `restore` has at least. */
const LEAST_ROW_BYTES = 64;

export interface EmbeddedDatabase extends Database, OperatorAccess {
  /** Gives room back and teaches the planner, as it happens by itself from time to time. */
  maintain(): Promise<void>;
}

/**
 * Opens the embedded database (PGlite) in `directory` and keeps it for this process alone. While the disk is nearly
 * full, writes are refused (`SERVICE_UNAVAILABLE`) and reads go on.
 * @throws {DataDirectoryInUse | DataDirectoryOfAnother} when another living process has it, or another user.
 */
export async function openEmbedded(options: EmbeddedOptions): Promise<EmbeddedDatabase> {
  const { directory, onWarning, onUnusable, freeBytes = freeBytesOf } = options;
  const room = new DiskRoom({ directory, freeBytes, onWarning });
  const { files, unlock } = await takeDataDirectory(directory, room, onUnusable);
  const engines = new Engines(files, room);
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
  const upkeep = await Upkeep.start({
    files,
    room,
    run: (statement) => connections.asOwner(statement),
    maintainEveryMs: options.maintainEveryMs ?? MAINTAIN_EVERY_MS,
    checkpointEveryMs: options.checkpointEveryMs ?? CHECKPOINT_EVERY_MS,
    onWarning,
  });
  /** @throws {AppError} when there is no room for `statement`. */
  const admit = ({ access }: Statement, values: Values) => {
    if (access === 'read') return;
    const bytes = values.reduce((sum, value) => sum + Buffer.byteLength(value ?? ''), 0);
    if (!room.admits(bytes, Math.min(PAGE_ROWS, 1 + Math.floor(bytes / LEAST_ROW_BYTES)))) {
      throw new AppError('SERVICE_UNAVAILABLE', { cause: new Error('The disk is nearly full') });
    }
    upkeep.noteWrite();
  };
  const access: Pick<EmbeddedDatabase, 'asUser' | 'asOperator'> = {
    asUser: async (userId, statement, values) => {
      admit(statement, values);
      return connections.asUser(userId, statement, values);
    },
    asOperator: async (statement, values) => {
      admit(statement, values);
      return connections.asOperator(statement, values);
    },
  };
  const close = async () => {
    upkeep.stop();
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
    maintain: () => upkeep.maintain(),
    ping: () => connections.ping(),
    close: async () => {
      await stopOperator?.();
      await close();
    },
  };
}
