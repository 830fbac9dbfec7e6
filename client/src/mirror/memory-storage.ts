import { localError } from '../errors.ts';
import { Contents } from './contents.ts';
import type { MirrorStorage, OpenStorage, StorageChange, Written } from './storage.ts';

interface Kept {
  readonly contents: Contents;
  seq: number;
}

class MemoryStorage implements MirrorStorage {
  readonly name = null;
  readonly #kept: Kept;
  readonly #forget: () => void;
  #isOpen = true;

  constructor(kept: Kept, forget: () => void) {
    this.#kept = kept;
    this.#forget = forget;
  }

  async load() {
    const { revision, items, writes, position, flight } = this.#kept.contents;
    return { revision, items, writes, position, flight };
  }

  async write(change: StorageChange): Promise<Written> {
    if (!this.#isOpen) throw localError('CLOSED', 'The mirror is closed');
    const seqs = (change.add ?? []).map(() => {
      this.#kept.seq += 1;
      return this.#kept.seq;
    });
    const written = { revision: this.#kept.contents.revision + 1, seqs };
    this.#kept.contents.apply(change, written);
    return written;
  }

  async clear(): Promise<void> {
    this.#forget();
    this.close();
  }

  close(): void {
    this.#isOpen = false;
  }
}

/**
 * Storage in memory. What one mirror left is there for the next that is opened with the same function, for the same
 * user.
 */
export function memoryStorage(): OpenStorage {
  const all = new Map<string, Kept>();
  return async (name) => {
    const kept = all.get(name) ?? { contents: new Contents(), seq: 0 };
    all.set(name, kept);
    return new MemoryStorage(kept, () => all.delete(name));
  };
}
