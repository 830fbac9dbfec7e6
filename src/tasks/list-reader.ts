import type { UserId } from '../core/user.ts';
import type { Database } from '../database/database.ts';
import type { BoundStatement, Row, Rows } from '../database/sql.ts';
import type { ListPage, Place } from './list-page.ts';
import { countWords, MAX_RARE, partsOf, readLongPage, readPage } from './list-sql.ts';
import type { LongLists } from './long-list.ts';

/** A page of a list, JSON of the schema `TaskList`; null if the state of what the user has is the one that the caller knows. */
export interface TaskPageResult {
  /** Changes with every change of the user's. */
  readonly state: string;
  readonly json: string | Buffer | null;
  /** Null if there is no more. */
  readonly nextCursor: string | null;
}

function parsePlace(json: string | null | undefined): Place {
  const texts: readonly unknown[] = JSON.parse(json ?? '[]');
  const values = texts.filter((value) => typeof value === 'string');
  return { values: values.slice(0, -1), id: values.at(-1) ?? null };
}

/** Before the first of the tasks that have no value in the order. */
const START_OF_LAST: Place = { values: [], id: null };

/** What was read of a page so far. */
interface Progress {
  /** How many tasks it still has room for. */
  room: number;
  /** The place of its last task if there is more. */
  next: Place | null;
}

/** Reads pages of lists. */
export class ListReader {
  readonly #database: Database;
  readonly #longLists: LongLists;

  constructor(database: Database, longLists: LongLists) {
    this.#database = database;
    this.#longLists = longLists;
  }

  /**
   * @param known the state that the caller has of this page.
   * @throws {AppError} as `Database.transaction` and `LongLists.build` do.
   */
  async read(owner: UserId, page: ListPage, known: string | null): Promise<TaskPageResult> {
    const rareWord = await this.#rareWordOf(owner, page);
    const progress: Progress = { room: page.limit, next: null };
    const texts: string[] = [];
    let since: string | null = null;
    for (const part of partsOf(page)) {
      const { room } = progress;
      const statement = readPage(owner, { page, part, limit: room, rareWord }, since === null ? known : null);
      const [[state, count, place, bytes, json = null] = []] = await this.#run(owner, statement);
      if (typeof state !== 'string') throw new TypeError('The database returned no state');
      if (since === null && state === known) return { state, json: null, nextCursor: null };
      since ??= state;
      if (json === null) return this.#readLong(owner, page, { state: since, rareWord, bytes: Number(bytes) });
      if (json !== '') texts.push(json);
      if (advance(progress, Number(count), () => place)) break;
    }
    const { json, nextCursor } = endOf(page, progress);
    return { state: since ?? '', json: `{"tasks":[${texts.join(',')}${json}`, nextCursor };
  }

  /** The same of tasks with long texts: they are read again, later than the state. */
  async #readLong(
    owner: UserId,
    page: ListPage,
    { state, rareWord, bytes }: { readonly state: string; readonly rareWord: string | null; readonly bytes: number },
  ): Promise<TaskPageResult> {
    const progress: Progress = { room: page.limit, next: null };
    const read = async () => {
      const all: Row[] = [];
      for (const part of partsOf(page)) {
        const { room } = progress;
        const rows = await this.#run(owner, readLongPage(owner, { page, part, limit: room, rareWord }));
        const places = rows.map((row) => row.at(-1));
        all.push(...rows.slice(0, room));
        if (advance(progress, rows.length, () => places[room - 1])) break;
      }
      return all;
    };
    const json = await this.#longLists.build(
      read,
      () => bytes,
      () => endOf(page, progress).json,
    );
    return { state, json, nextCursor: endOf(page, progress).nextCursor };
  }

  async #run(owner: UserId, statement: BoundStatement): Promise<Rows> {
    return (await this.#database.transaction({ kind: 'user', userId: owner }, [statement])).at(-1) ?? [];
  }

  async #rareWordOf(owner: UserId, { filter: { words } }: ListPage): Promise<string | null> {
    if (words === null || words.length === 0) return null;
    const [counts = []] = await this.#run(owner, countWords(owner, words));
    const [rarest] = words
      .map((word, index) => ({ word, count: Number(counts[index]) }))
      .sort((a, b) => a.count - b.count);
    return rarest === undefined || rarest.count > MAX_RARE ? null : rarest.word;
  }
}

/** @param count of the tasks that were read, at most one more than there is room for. @returns whether there is more. */
function advance(progress: Progress, count: number, lastPlace: () => string | null | undefined): boolean {
  const { room } = progress;
  progress.room = Math.max(0, room - count);
  if (count <= room) return false;
  progress.next = room === 0 ? START_OF_LAST : parsePlace(lastPlace());
  return true;
}

/** @returns the end of the JSON of the page, behind its tasks. */
function endOf(page: ListPage, { next }: Progress): { readonly json: string; readonly nextCursor: string | null } {
  if (next === null) return { json: ']}', nextCursor: null };
  const nextCursor = page.cursorAt(next);
  return { json: `],"next_cursor":"${nextCursor}"}`, nextCursor };
}
