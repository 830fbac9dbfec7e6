import { setTimeout as delay } from 'node:timers/promises';
import type { ByteBudget } from '../core/byte-budget.ts';
import { AppError } from '../core/errors.ts';
import type { Rows } from '../database/sql.ts';
import { taskJson } from './columns.ts';

/** At once, before other requests have their turn: 50 of the longest tasks take 2 to 3 ms. */
const TASKS_PER_TURN = 50;
const MAX_WAITING = 32;

/** What is appended, as UTF-8, in memory that is used again for the next list. */
class Scratch {
  #bytes = Buffer.alloc(0);
  #length = 0;

  append(text: string): void {
    const length = this.#length + Buffer.byteLength(text);
    if (length > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(length, 2 * this.#bytes.length));
      this.#bytes.copy(larger, 0, 0, this.#length);
      this.#bytes = larger;
    }
    this.#bytes.write(text, this.#length);
    this.#length = length;
  }

  /** @returns a copy of what was appended, and starts again. */
  take(): Buffer {
    const taken = Buffer.allocUnsafeSlow(this.#length);
    this.#bytes.copy(taken, 0, 0, this.#length);
    this.#length = 0;
    return taken;
  }
}

/**
 * Builds lists of long texts: one at a time, and in no more than half of the time of the process, because the longest
 * list has 13 MB.
 */
export class LongLists {
  readonly #unsent: ByteBudget;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  readonly #scratch = new Scratch();

  /** @param unsent of the responses that the kernel has not yet taken. */
  constructor(unsent: ByteBudget) {
    this.#unsent = unsent;
  }

  /**
   * @param read returns a row with `LIST_COLUMNS` for each task.
   * @param expectedBytes gives the length of the list, where it is known; otherwise 0.
   * @param end gives the end of the JSON, behind the tasks, once they have been read.
   * @returns JSON of the schema `TaskList` in UTF-8, byte for byte as the database builds it.
   * @throws {AppError} `SERVICE_UNAVAILABLE` if 32 others wait, or there is no room for the response.
   */
  async build(read: () => Promise<Rows>, expectedBytes: () => number, end = () => ']}'): Promise<Buffer> {
    if (this.#waiting >= MAX_WAITING) throw unavailable('Too many long lists are being built');
    this.#waiting += 1;
    const list = this.#last.then(() => this.#build(read, expectedBytes, end)).finally(() => (this.#waiting -= 1));
    this.#last = list.catch(() => undefined);
    return list;
  }

  async #build(read: () => Promise<Rows>, expectedBytes: () => number, end: () => string): Promise<Buffer> {
    // What is built and then not sent stays in memory until the next garbage collection.
    if (!this.#unsent.hasRoomFor(expectedBytes())) throw unavailable('Too many answers have not been read');
    const rows = await read();
    this.#scratch.append('{"tasks":[');
    for (let from = 0; from < rows.length; from += TASKS_PER_TURN) {
      const startedAt = performance.now();
      const some = rows.slice(from, from + TASKS_PER_TURN).map((row) => taskJson(row));
      this.#scratch.append(`${from === 0 ? '' : ','}${some.join(',')}`);
      await delay(performance.now() - startedAt);
    }
    this.#scratch.append(end());
    return this.#scratch.take();
  }
}

const unavailable = (message: string) => new AppError('SERVICE_UNAVAILABLE', { cause: new Error(message) });
