import { setTimeout as delay } from 'node:timers/promises';
import { AppError } from '../core/errors.ts';
import { encodeCursor } from './cursor.ts';
import { type ChangePage, changeJson } from './page.ts';

/** Of all texts: a page up to this is built at once, in about a millisecond. */
const SHORT_CHARACTERS = 262_144;
/** At once, before other requests have their turn: 50 of the longest tasks take 2 to 3 ms. */
const ROWS_PER_TURN = 50;
const MAX_WAITING = 32;

const HEAD = '{"changes":[';

const tailOf = ({ next, hasMore }: ChangePage) =>
  `],"cursor":"${encodeCursor(next)}","version":${next.position},"epoch":"${next.epoch}","has_more":${hasMore}}`;

/** Builds answers; long ones one at a time, and in no more than half of the time of the process. */
export class PageJson {
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  /** @returns JSON of the schema `Changes`. @throws {AppError} `SERVICE_UNAVAILABLE` if 32 other long pages wait. */
  async build(page: ChangePage): Promise<string | Buffer> {
    if (page.characters <= SHORT_CHARACTERS) return `${HEAD}${page.rows.map(changeJson).join(',')}${tailOf(page)}`;
    if (this.#waiting >= MAX_WAITING) {
      throw new AppError('SERVICE_UNAVAILABLE', { cause: new Error('Too many long pages are being built') });
    }
    this.#waiting += 1;
    const built = this.#last.then(() => this.#buildInTurns(page)).finally(() => (this.#waiting -= 1));
    this.#last = built.catch(() => undefined);
    return built;
  }

  async #buildInTurns(page: ChangePage): Promise<Buffer> {
    const parts = [Buffer.from(HEAD)];
    for (let from = 0; from < page.rows.length; from += ROWS_PER_TURN) {
      const startedAt = performance.now();
      const some = page.rows.slice(from, from + ROWS_PER_TURN).map(changeJson);
      parts.push(Buffer.from(`${from === 0 ? '' : ','}${some.join(',')}`));
      await delay(performance.now() - startedAt);
    }
    return Buffer.concat([...parts, Buffer.from(tailOf(page))]);
  }
}
