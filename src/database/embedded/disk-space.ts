import { statfs } from 'node:fs/promises';

const MIB = 1_048_576;
/** Below this, writes are refused: PGlite fails permanently if a WAL file cannot be created. */
const MIN_FREE_FOR_WRITES = 64 * MIB;
/** Below this, the database is not opened: recovery may need a WAL segment. */
const MIN_FREE_TO_OPEN = 32 * MIB;
const CHECK_INTERVAL_MS = 500;

export interface DiskSpaceOptions {
  /** Where the embedded database keeps its files. */
  readonly directory: string;
  /** @returns bytes that may still be written there; null if the file system does not say. */
  readonly freeBytes: (directory: string) => Promise<number | null>;
  readonly onWarning: (message: string, error?: unknown) => void;
}

/** @returns the bytes that may still be written to the file system of `directory`; null if it does not say. */
export async function freeBytesOf(directory: string): Promise<number | null> {
  const { blocks, bavail, bsize } = await statfs(directory);
  return blocks === 0 ? null : bavail * bsize;
}

/** Watches free disk space, so that writes are refused before the disk is full. */
export class DiskSpaceGuard {
  readonly #options: DiskSpaceOptions;
  #free: number | null = null;
  #isLow = false;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: DiskSpaceOptions) {
    this.#options = options;
  }

  /** Whether there is too little space for writes, as of the last check. */
  get isLow(): boolean {
    return this.#isLow;
  }

  /** @throws {Error} if there is too little space to open the database. */
  async verifyRoomToOpen(): Promise<void> {
    await this.check();
    if (!this.hasRoomFor(MIN_FREE_TO_OPEN)) {
      const { directory } = this.#options;
      throw new Error(
        `The disk of DATA_DIR ${directory} has less than 32 MiB free: free some space, then start again.`,
      );
    }
  }

  /** Checks every 500 ms from now on. */
  start(): void {
    this.#timer = setInterval(() => void this.check(), CHECK_INTERVAL_MS).unref();
  }

  /** Checks now; never rejects. */
  async check(): Promise<void> {
    const { directory, freeBytes, onWarning } = this.#options;
    try {
      this.#free = await freeBytes(directory);
    } catch (error) {
      onWarning('Free disk space could not be read', error);
      return;
    }
    const isLow = !this.hasRoomFor(MIN_FREE_FOR_WRITES);
    if (isLow === this.#isLow) return;
    this.#isLow = isLow;
    onWarning(
      isLow
        ? 'The disk is nearly full: writes are refused'
        : 'Free disk space is sufficient again: writes are accepted',
    );
  }

  /** Whether `bytes` were free at the last check. */
  hasRoomFor(bytes: number): boolean {
    return this.#free === null || this.#free >= bytes;
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
  }
}
