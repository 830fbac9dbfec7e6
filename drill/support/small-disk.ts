import { spawnSync } from 'node:child_process';
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '../../test/support/process.ts';

const BLOCK_BYTES = [65_536, 4_096];

/** A disk of its own, in memory, small enough to be filled at once. Only root may mount one. */
export class SmallDisk {
  readonly path: string;
  readonly #remove: () => void;

  /** @throws where this machine does not let a disk be mounted. */
  constructor(megabytes: number) {
    const { path, remove } = temporaryFolder();
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', path], {
      encoding: 'utf8',
    });
    if (mounted.status !== 0) {
      remove();
      const why = mounted.stderr?.trim() || String(mounted.error ?? 'mount failed');
      throw new Error(`NOT TRIED: no small disk could be mounted here, which takes root: ${why}`);
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

  /** Leaves no room at all. */
  fill(): void {
    const file = openSync(this.#filler, 'a');
    for (const size of BLOCK_BYTES) {
      const block = Buffer.alloc(size, 'full');
      try {
        while (writeSync(file, block) === size);
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error;
      }
    }
    closeSync(file);
  }

  /** Gives the room back. */
  free(): void {
    rmSync(this.#filler);
  }

  remove(): void {
    process.off('exit', this.#remove);
    this.#remove();
  }
}
