import { spawnSync } from 'node:child_process';
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '../../test/support/process.ts';

const BLOCK_SIZES = [65_536, 4_096];

/** A tmpfs small enough to be filled quickly. Mounting it takes root. */
export class SmallDisk {
  readonly path: string;
  readonly #remove: () => void;

  /** @throws where mounting is not permitted. */
  constructor(megabytes: number) {
    const { path, remove } = temporaryFolder();
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', path], {
      encoding: 'utf8',
    });
    if (mounted.status !== 0) {
      remove();
      const reason = mounted.stderr?.trim() || String(mounted.error ?? 'mount failed');
      throw new Error(`NOT RUN: a tmpfs could not be mounted, which takes root: ${reason}`);
    }
    this.path = path;
    this.#remove = () => {
      spawnSync('umount', ['--lazy', path]);
      remove();
    };
    process.once('exit', this.#remove);
  }

  get #filler(): string {
    return join(this.path, 'filler');
  }

  /** Writes a file until ENOSPC. */
  fill(): void {
    const file = openSync(this.#filler, 'a');
    for (const size of BLOCK_SIZES) {
      const block = Buffer.alloc(size, 'full');
      try {
        while (writeSync(file, block) === size);
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error;
      }
    }
    closeSync(file);
  }

  /** Deletes the file that `fill` wrote. */
  free(): void {
    rmSync(this.#filler);
  }

  remove(): void {
    process.off('exit', this.#remove);
    this.#remove();
  }
}
