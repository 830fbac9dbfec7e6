import { open, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';

const MIB = 1_048_576;
/** More than a segment (16 MiB) of PostgreSQL's log: without room for the next one the engine cannot go on. */
const LEAST_BYTES = 24 * MIB;
/** Given away so that the database can be opened, which may take a segment too. */
const RESERVE_BYTES = 24 * MIB;
const CHECK_EVERY_MS = 500;
/** What a written byte may take on the disk: in a row, in the log, in what PostgreSQL keeps of long values. */
const GROWTH = 3;
/** What a written row may take beside its values: the pages it lies on are logged whole once after each checkpoint. */
const PAGES_BYTES = 16_384;

export interface DiskRoomOptions {
  /** Where the embedded database keeps its files. */
  readonly directory: string;
  /** Bytes that may still be written there, or null where the system does not say. */
  readonly freeBytes: (directory: string) => Promise<number | null>;
  readonly onWarning: (message: string, error?: unknown) => void;
}

/** @returns the bytes that may still be written to the disk of `directory`, or null where its file system does not say. */
export async function freeBytesOf(directory: string): Promise<number | null> {
  const { blocks, bavail, bsize } = await statfs(directory);
  return blocks === 0 ? null : bavail * bsize;
}

/** @returns whether `error` says that there is no room left on the disk. */
export function isDiskFull(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT');
}

/**
 * Knows when the disk is nearly full, so that writes end while the engine still works: it does not survive a log that
 * cannot grow. Keeps a reserve file beside the database, to be given away when only that lets it be opened.
 */
export class DiskRoom {
  readonly #options: DiskRoomOptions;
  readonly #reserve: string;
  #timer: NodeJS.Timeout | null = null;
  #checking: Promise<void> | null = null;
  #short = false;
  /** What may still be written before it is short, as of the last look; null where the system does not say. */
  #spare: number | null = null;
  /** What has been admitted since the last look, and before it since the one before, which may not be written yet. */
  #admitted = { since: 0, before: 0 };

  constructor(options: DiskRoomOptions) {
    this.#options = options;
    this.#reserve = join(options.directory, 'reserve');
  }

  /** Whether nothing more should be written, as of half a second ago. */
  get isShort(): boolean {
    return this.#short;
  }

  /**
   * @param bytes of all values, @param rows that are written.
   * @returns whether there is room for a write, which then counts as written.
   */
  admits(bytes: number, rows: number): boolean {
    const growth = GROWTH * bytes + PAGES_BYTES * rows;
    const { since, before } = this.#admitted;
    if (this.#short || (this.#spare !== null && before + since + growth > this.#spare)) return false;
    this.#admitted = { since: since + growth, before };
    return true;
  }

  /** Looks now, and every half second from now on. */
  async watch(): Promise<void> {
    this.#timer ??= setInterval(() => void this.check(), CHECK_EVERY_MS).unref();
    await this.check();
  }

  /** Looks now; never rejects. */
  check(): Promise<void> {
    this.#checking ??= this.#look()
      .catch((error: unknown) => this.#options.onWarning('The room on the disk is not known', error))
      .finally(() => {
        this.#checking = null;
      });
    return this.#checking;
  }

  /** Gives the reserve away where there is no room without it; to be called before the database is opened. */
  async makeWay(): Promise<void> {
    await this.check();
    if (this.#short) await this.giveReserve();
  }

  async giveReserve(): Promise<void> {
    await rm(this.#reserve, { force: true });
  }

  /** @returns whether `bytes` can be written, be it at the cost of the reserve; asks the system. */
  async canSpare(bytes: number): Promise<boolean> {
    const { directory, freeBytes } = this.#options;
    const has = async () => ((await freeBytes(directory)) ?? bytes) >= bytes;
    if (await has()) return true;
    await this.giveReserve();
    return has();
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    this.#admitted = { since: 0, before: this.#admitted.since };
    const free = await this.#options.freeBytes(this.#options.directory);
    const reserved = await stat(this.#reserve).then(
      (file) => file.size,
      () => 0,
    );
    this.#spare = free === null ? null : free + reserved - LEAST_BYTES - RESERVE_BYTES;
    const short = this.#spare !== null && this.#spare < 0;
    if (short !== this.#short) {
      this.#options.onWarning(
        short ? 'The disk is nearly full: nothing is written until there is room' : 'There is room on the disk again',
      );
    }
    this.#short = short;
    if (!short && reserved < RESERVE_BYTES) await this.#setAside();
  }

  async #setAside(): Promise<void> {
    const file = await open(this.#reserve, 'w', 0o600);
    try {
      // Not zeros, which some file systems keep nowhere.
      const part = Buffer.alloc(MIB, 'reserve');
      for (let written = 0; written < RESERVE_BYTES; written += part.length) await file.writeFile(part);
    } catch (error) {
      await this.giveReserve();
      if (!isDiskFull(error)) throw error;
    } finally {
      await file.close();
    }
  }
}
