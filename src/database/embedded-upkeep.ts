import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { defineStatement, type Statement } from './database.ts';
import type { DiskRoom } from './disk-room.ts';

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
/** Log files of 16 MiB that are too many to wait for the next turn, and those of which some would be given back. */
const MANY_LOG_FILES = 5;
const SOME_LOG_FILES = 3;
/** To shorten the log may take another file of it: without room for that the engine does not survive it. */
const CHECKPOINT_BYTES = 17 * 1_048_576;
const LOG_FILE = /^[0-9A-F]{24}$/;

/** What a server's own helpers would do: PGlite has neither autovacuum nor a checkpointer, and its log would only grow. */
export class Upkeep {
  readonly #options: UpkeepOptions;
  readonly #timers: NodeJS.Timeout[];
  #written = false;
  #working = false;
  #dueAt: number;
  #notBefore = 0;

  constructor(options: UpkeepOptions) {
    this.#options = options;
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
    for (const timer of this.#timers) clearInterval(timer);
  }

  /** Shortens the log when it is time, when it has become long, and when the disk is short of room, which it may be why. */
  async #look(): Promise<void> {
    const now = performance.now();
    if (!this.#written || this.#working || now < this.#notBefore) return;
    this.#working = true;
    try {
      if (!(await this.#isTime(now))) return;
      this.#dueAt = now + this.#options.checkpointEveryMs;
      this.#written = false;
      await this.#options.run(CHECKPOINT);
    } catch (error) {
      this.#written = true;
      this.#notBefore = now + PAUSE_AFTER_FAILURE_MS;
      this.#options.onWarning("The embedded database's log could not be shortened", error);
    } finally {
      this.#working = false;
    }
  }

  async #isTime(now: number): Promise<boolean> {
    const { room } = this.#options;
    if (room.isShort) return (await this.#logFiles()) >= SOME_LOG_FILES && room.canSpare(CHECKPOINT_BYTES);
    return now >= this.#dueAt || (await this.#logFiles()) >= MANY_LOG_FILES;
  }

  async #logFiles(): Promise<number> {
    return (await readdir(join(this.#options.files, 'pg_wal'))).filter((name) => LOG_FILE.test(name)).length;
  }
}
