import { setTimeout as delay } from 'node:timers/promises';
import { AppError } from '../core/errors.ts';
import type { Rows } from '../database/sql.ts';
import { taskJson } from './columns.ts';

/** At once, before other requests have their turn: 50 of the longest tasks take 2 to 3 ms. */
const TASKS_PER_TURN = 50;
const MAX_WAITING = 32;

/**
 * Builds lists of long texts: one at a time, and in no more than half of the time of the process, because the longest
 * list has 13 MB.
 */
export class LongLists {
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  /**
   * @param read returns a row with `LIST_COLUMNS` for each task.
   * @returns JSON of the schema `TaskList` in UTF-8, byte for byte as the database builds it.
   * @throws {AppError} `SERVICE_UNAVAILABLE` if 32 others wait.
   */
  async build(read: () => Promise<Rows>): Promise<Buffer> {
    if (this.#waiting >= MAX_WAITING) {
      throw new AppError('SERVICE_UNAVAILABLE', { cause: new Error('Too many long lists are being built') });
    }
    this.#waiting += 1;
    const list = this.#last.then(() => this.#build(read)).finally(() => (this.#waiting -= 1));
    this.#last = list.catch(() => undefined);
    return list;
  }

  async #build(read: () => Promise<Rows>): Promise<Buffer> {
    const rows = await read();
    const parts = [Buffer.from('{"tasks":[')];
    for (let from = 0; from < rows.length; from += TASKS_PER_TURN) {
      const startedAt = performance.now();
      const some = rows.slice(from, from + TASKS_PER_TURN).map((row) => taskJson(row));
      parts.push(Buffer.from(`${from === 0 ? '' : ','}${some.join(',')}`));
      await delay(performance.now() - startedAt);
    }
    return Buffer.concat([...parts, Buffer.from(']}')]);
  }
}
