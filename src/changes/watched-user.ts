import type { ChangePage, PageSize, Position } from './page.ts';

/** A page, and how often the user had been woken when it was read: it has all changes that were committed before. */
export interface FreshPage {
  readonly page: ChangePage;
  readonly wakes: number;
}

type Read = (from: Position, size: PageSize) => Promise<ChangePage>;

/** A user whose changes somebody waits for. Reads are done one at a time, and those from one position are shared. */
export class WatchedUser {
  readonly #read: Read;
  readonly #listeners = new Set<() => void>();
  /** By position and size: reads that have not begun. */
  readonly #pending = new Map<string, Promise<FreshPage>>();
  #last: Promise<unknown> = Promise.resolve();
  #wakes = 0;
  #counter: number | null = null;

  constructor(read: Read) {
    this.#read = read;
  }

  /** How often there may have been a change. */
  get wakes(): number {
    return this.#wakes;
  }

  /** The user's counter, as last seen; null before the first read. */
  get counter(): number | null {
    return this.#counter;
  }

  get isWatched(): boolean {
    return this.#listeners.size > 0;
  }

  add(listener: () => void): void {
    this.#listeners.add(listener);
  }

  remove(listener: () => void): void {
    this.#listeners.delete(listener);
  }

  /** There may be a change. @param counter of the user, if it is known. */
  wake(counter: number | null): void {
    this.#wakes += 1;
    if (counter !== null) this.#counter = counter;
    for (const listener of [...this.#listeners]) listener();
  }

  read(from: Position, size: PageSize): Promise<FreshPage> {
    const key = `${from.epoch}/${from.position}/${from.base}/${size.rows}/${size.characters}`;
    const pending = this.#pending.get(key);
    if (pending !== undefined) return pending;
    const read = this.#last.then(async () => {
      this.#pending.delete(key);
      const wakes = this.#wakes;
      const page = await this.#read(from, size);
      this.#counter = page.counter;
      return { page, wakes };
    });
    this.#pending.set(key, read);
    this.#last = read.catch(() => undefined);
    return read;
  }
}
