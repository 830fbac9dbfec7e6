import { AppError } from '../core/errors.ts';
import type { Row, Rows } from '../database/sql.ts';
import { taskJson } from '../tasks/columns.ts';
import { FIRST_TASK_COLUMN, TASK_COLUMNS } from './change-sql.ts';
import { type Cursor, encodeCursor } from './cursor.ts';

/** From where changes are read. */
export interface Position {
  /** Null at the start of a first copy, as is `base`. */
  readonly epoch: string | null;
  readonly position: number;
  readonly base: number | null;
}

/** Everything that there is. */
export const START: Position = { epoch: null, position: 0, base: null };

/** How much a page may have. */
export interface PageSize {
  readonly rows: number;
  /** Of all texts together, in UTF-16 code units; one change is always taken. */
  readonly characters: number;
}

/** Changes of one user, by version. */
export interface ChangePage {
  readonly rows: Rows;
  /** In UTF-16 code units, all texts together. */
  readonly characters: number;
  /** Behind the last of them. */
  readonly next: Cursor;
  /** The counter at which the first copy began that it is part of; 0 if it is part of none. */
  readonly base: number;
  /** The user's counter. */
  readonly counter: number;
  readonly hasMore: boolean;
}

/** Position 0 is always good: it means everything. */
export const positionOf = (cursor: Cursor): Position => (cursor.position === 0 ? START : cursor);

function requireValid({ epoch, position, base }: Position, found: Cursor, swept: number): void {
  if (position === 0) return;
  const reached = Math.max(position, base ?? 0);
  if (epoch === found.epoch && reached <= found.position && reached >= swept) return;
  throw new AppError('CURSOR_EXPIRED');
}

const ID_COLUMN = TASK_COLUMNS.findIndex(({ name }) => name === 'id');

const lengthOf = (row: Row) => row.reduce((sum, value) => sum + (value?.length ?? 0), 0);

/** How many of `rows` fit in a page. */
function fitting(rows: Rows, size: PageSize): { readonly count: number; readonly characters: number } {
  let characters = 0;
  for (const [index, row] of rows.slice(0, size.rows).entries()) {
    const length = lengthOf(row);
    if (index > 0 && characters + length > size.characters) return { count: index, characters };
    characters += length;
  }
  return { count: Math.min(rows.length, size.rows), characters };
}

/** The cursor behind a change of `version`, in a copy that began at `base`. */
const cursorAt = (epoch: string, version: number, base: number): Cursor => ({
  epoch,
  position: version,
  base: base > version ? base : 0,
});

/** The version of the change in `row`. */
const versionOf = (row: Row) => Number(row[4]);

/**
 * @param found rows of `readChanges`, at least one; of one task and of one list more than `size.rows` if there are as many.
 * @throws {AppError} `CURSOR_EXPIRED` if there is no going on from `from`.
 */
export function toPage(from: Position, found: Rows, size: PageSize): ChangePage {
  const [[version, epoch, swept, first] = []] = found;
  if (typeof epoch !== 'string') throw new TypeError('The database returned no epoch');
  const counter = Number(version);
  requireValid(from, { epoch, position: counter, base: 0 }, Number(swept));
  const base = from.base ?? counter;
  const all = first === null ? [] : found.toSorted((a, b) => versionOf(a) - versionOf(b));
  const { count, characters } = fitting(all, size);
  const rows = all.slice(0, count);
  const hasMore = count < all.length;
  const last = rows.at(-1);
  const next = cursorAt(epoch, hasMore && last !== undefined ? versionOf(last) : counter, base);
  return { rows, characters, next, base, counter, hasMore };
}

/** The cursor of a client that has read all of `page`. */
export const cursorOf = ({ next }: ChangePage): string => encodeCursor(next);

/** The cursor of a client that has read `page` up to the change in `row`, and with it. */
export function cursorAfter({ next, base }: ChangePage, row: Row): string {
  return encodeCursor(cursorAt(next.epoch, versionOf(row), base));
}

/** JSON of the schema `Change`. */
export function changeJson(row: Row): string {
  const [, , , type, version, isDeleted, isBlank, list] = row;
  const id = row[FIRST_TASK_COLUMN + ID_COLUMN];
  const content = isBlank === 't' ? null : type === 'list' ? list : taskJson(row, FIRST_TASK_COLUMN);
  return `{"type":"${type}","id":"${id}","version":${version},"deleted":${isDeleted === 't'},"${type}":${content}}`;
}
