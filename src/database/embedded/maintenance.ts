import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { defineStatement, type Statement } from '../database.ts';
import type { DiskRoom } from './disk-space.ts';

export interface UpkeepOptions {
  /** Where PGlite keeps its files. */
  readonly files: string;
  readonly room: DiskRoom;
  /** Runs a statement as the role that owns the tables. */
  readonly run: (statement: Statement) => Promise<void>;
  /** How often the tables are vacuumed, in milliseconds. */
  readonly maintainEveryMs: number;
  /** How often its log is shortened where something was written, in milliseconds. */
  readonly checkpointEveryMs: number;
  readonly onWarning: (message: string, error?: unknown) => void;
}

const VACUUM = defineStatement('vacuum', 'write', 'vacuum (analyze) todo.users, todo.tasks');
const CHECKPOINT = defineStatement('checkpoint', 'write', 'checkpoint');
const LOOK_EVERY_MS = 1_000;
const PAUSE_AFTER_FAILURE_MS = 10_000;
/** So many files of 16 MiB more than after the last time are too many to wait for the next, or worth having back. */
const MANY_LOG_FILES = 4;
const SOME_LOG_FILES = 2;
/** To shorten the log may take another file of it: without room for that the engine does not survive it. */
const CHECKPOINT_BYTES = 17 * 1_048_576;
const LOG_FILE = /^[0-9A-F]{24}$/;

async function countLogFiles(files: string): Promise<number> {
  return (await readdir(join(files, 'pg_wal'))).filter((name) => LOG_FILE.test(name)).length;
}

/** What a server's own helpers would do: PGlite has neither autovacuum nor a checkpointer, and its log would only grow. */
export class Upkeep {
  readonly #options: UpkeepOptions;
  readonly #timers: NodeJS.Timeout[];
  /** Log files there were when it had last been shortened. */
  #logFilesLeft: number;
  #written = false;
  #stopped = false;
  #working = false;
  #dueAt: number;
  #notBefore = 0;

  private constructor(options: UpkeepOptions, logFilesLeft: number) {
    this.#options = options;
    this.#logFilesLeft = logFilesLeft;
    const { maintainEveryMs, checkpointEveryMs, onWarning, room } = options;
    this.#dueAt = performance.now() + checkpointEveryMs;
    const vacuum = () => {
      if (room.isShort) return;
      this.maintain().catch((error: unknown) => onWarning('The embedded database could not be vacuumed', error));
    };
    this.#timers = [
      setInterval(vacuum, maintainEveryMs).unref(),
      setInterval(() => void this.#look(), Math.min(LOOK_EVERY_MS, checkpointEveryMs)).unref(),
    ];
  }

  /** To be called once the database is open. */
  static async start(options: UpkeepOptions): Promise<Upkeep> {
    return new Upkeep(options, await countLogFiles(options.files));
  }

  /** To be told of every write: there is nothing to shorten before the first. */
  noteWrite(): void {
    this.#written = true;
  }

  /** Gives the room of what was deleted back to the tables and teaches the planner. */
  maintain(): Promise<void> {
    this.#written = true;
    return this.#options.run(VACUUM);
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers) clearInterval(timer);
  }

  /** Shortens the log when it is time, when it has become long, and when the disk is short of room, which it may be why. */
  async #look(): Promise<void> {
    const now = performance.now();
    if (!this.#written || this.#working || now < this.#notBefore) return;
    this.#working = true;
    try {
      if (!(await this.#isTime(now)) || this.#stopped) return;
      this.#dueAt = now + this.#options.checkpointEveryMs;
      this.#written = false;
      await this.#options.run(CHECKPOINT);
      this.#logFilesLeft = await countLogFiles(this.#options.files);
    } catch (error) {
      if (this.#stopped) return;
      this.#written = true;
      this.#notBefore = now + PAUSE_AFTER_FAILURE_MS;
      this.#options.onWarning("The embedded database's log could not be shortened", error);
    } finally {
      this.#working = false;
    }
  }

  async #isTime(now: number): Promise<boolean> {
    const { room, files } = this.#options;
    const more = (await countLogFiles(files)) - this.#logFilesLeft;
    if (room.isShort) return more >= SOME_LOG_FILES && room.canSpare(CHECKPOINT_BYTES);
    return now >= this.#dueAt || more >= MANY_LOG_FILES;
  }
}
