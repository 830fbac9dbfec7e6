import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type BoundStatement, sql } from '../sql.ts';
import type { DiskSpaceGuard } from './disk-space.ts';

export interface MaintenanceOptions {
  /** Where PGlite keeps its files. */
  readonly files: string;
  readonly diskSpace: DiskSpaceGuard;
  /** Runs a statement as the login role, which owns the tables. */
  readonly run: (statement: BoundStatement) => Promise<void>;
  /** How often to vacuum, in milliseconds; 600,000 if not given. */
  readonly vacuumEveryMs?: number | undefined;
  /** How often to run a checkpoint if something was written, in milliseconds; 60,000 if not given. */
  readonly checkpointEveryMs?: number | undefined;
  readonly onWarning: (message: string, error?: unknown) => void;
}

const VACUUM = sql(
  'vacuum',
  'write',
  'vacuum (analyze) todo.users, todo.tasks, todo.task_words, todo.lists, todo.replies',
);
const CHECKPOINT = sql('checkpoint', 'write', 'checkpoint');
const VACUUM_EVERY_MS = 600_000;
const CHECKPOINT_EVERY_MS = 60_000;
const CHECK_INTERVAL_MS = 1_000;
const RETRY_AFTER_MS = 10_000;
/** Growth of the WAL, in segments of 16 MiB, at which a checkpoint is run at once; and when free space is low. */
const MAX_WAL_GROWTH = 4;
const MIN_WAL_GROWTH = 2;
/** A checkpoint may need one more segment; PGlite fails permanently if a WAL file cannot be created. */
const CHECKPOINT_BYTES = 17 * 1_048_576;
const WAL_SEGMENT = /^[0-9A-F]{24}$/;

async function countWalSegments(files: string): Promise<number> {
  return (await readdir(join(files, 'pg_wal'))).filter((name) => WAL_SEGMENT.test(name)).length;
}

/** Replaces the background processes that PGlite lacks: autovacuum and checkpointer. */
export class Maintenance {
  readonly #options: MaintenanceOptions;
  readonly #timers: NodeJS.Timeout[];
  readonly #checkpointEveryMs: number;
  /** Number of WAL segments after the last checkpoint. */
  #segments: number;
  #written = false;
  #stopped = false;
  #running = false;
  #dueAt: number;
  #retryAt = 0;

  private constructor(options: MaintenanceOptions, segments: number) {
    this.#options = options;
    this.#segments = segments;
    const { vacuumEveryMs = VACUUM_EVERY_MS, checkpointEveryMs = CHECKPOINT_EVERY_MS, onWarning, diskSpace } = options;
    this.#checkpointEveryMs = checkpointEveryMs;
    this.#dueAt = performance.now() + checkpointEveryMs;
    const vacuum = () => {
      if (diskSpace.isLow) return;
      this.vacuum().catch((error: unknown) => onWarning('VACUUM of the embedded database failed', error));
    };
    this.#timers = [
      setInterval(vacuum, vacuumEveryMs).unref(),
      setInterval(() => void this.#checkpointIfDue(), Math.min(CHECK_INTERVAL_MS, checkpointEveryMs)).unref(),
    ];
  }

  /** Starts the timers; requires that the database is open. */
  static async start(options: MaintenanceOptions): Promise<Maintenance> {
    return new Maintenance(options, await countWalSegments(options.files));
  }

  /** Records that something was written; without writes no checkpoint is run. */
  recordWrite(): void {
    this.#written = true;
  }

  /** Runs VACUUM (ANALYZE). */
  vacuum(): Promise<void> {
    this.#written = true;
    return this.#options.run(VACUUM({}));
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers) clearInterval(timer);
  }

  async #checkpointIfDue(): Promise<void> {
    const now = performance.now();
    if (!this.#written || this.#running || now < this.#retryAt) return;
    this.#running = true;
    try {
      if (!(await this.#isDue(now)) || this.#stopped) return;
      this.#dueAt = now + this.#checkpointEveryMs;
      this.#written = false;
      await this.#options.run(CHECKPOINT({}));
      this.#segments = await countWalSegments(this.#options.files);
    } catch (error) {
      if (this.#stopped) return;
      this.#written = true;
      this.#retryAt = now + RETRY_AFTER_MS;
      this.#options.onWarning('A checkpoint of the embedded database failed', error);
    } finally {
      this.#running = false;
    }
  }

  /** Due by time, by growth of the WAL, or because disk space is low, unless there is no room for it. */
  async #isDue(now: number): Promise<boolean> {
    const { diskSpace, files } = this.#options;
    if (!diskSpace.hasRoomFor(CHECKPOINT_BYTES)) return false;
    const growth = (await countWalSegments(files)) - this.#segments;
    return now >= this.#dueAt || growth >= (diskSpace.isLow ? MIN_WAL_GROWTH : MAX_WAL_GROWTH);
  }
}
