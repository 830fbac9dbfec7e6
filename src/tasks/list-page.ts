import { createHash } from 'node:crypto';
import { z } from 'zod';
import { AppError } from '../core/errors.ts';
import { isStorableText } from '../core/text.ts';
import { filterOf, orderOf, type TaskFilter, type TaskListQuery, type TaskOrder, today } from './list-query.ts';
import { MAX_TASKS_IN_LIST } from './task.ts';

/* Which page of a list a request asks for. */

/** A place in an order: behind the task with these values and this id. Without values it is among those that have none. */
export interface Place {
  readonly values: readonly string[];
  /** Null before the first of them. */
  readonly id: string | null;
}

export interface ListPage {
  readonly filter: TaskFilter;
  readonly order: TaskOrder;
  readonly limit: number;
  /** Null for the first page. */
  readonly after: Place | null;
  /** Changes with everything that the request asks for, the day included. */
  readonly view: string;
  /** Goes on with the page behind a place. */
  readonly cursorAt: (place: Place) => string;
}

type Order = TaskOrder['by'];

const isTime = (text: string) =>
  /^\d{4}-\d\d-\d\dT([01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{6}Z$/.test(text) && isDay(text.slice(0, 10));
/** A day of the calendar, of the years 1 to 9999. */
const isDay = (text: string) =>
  /^\d{4}-\d\d-\d\d$/.test(text) && text >= '0001' && new Date(`${text}T00:00:00Z`).toJSON()?.startsWith(text) === true;
/** As the day of a view, behind which there are others. */
const isDayOfView = (text: string) => isDay(text) && text <= '9999-12-01';

/** Whether a text is of the form that the database gives a value of an order; of a cursor that was made up it may not be. */
const VALUES: Readonly<Record<Order, readonly ((text: string) => boolean)[]>> = {
  created_at: [isTime],
  updated_at: [isTime],
  completed_at: [isTime],
  due: [isDay, isStorableText],
  priority: [(text) => /^[0-3]$/.test(text)],
  title: [isStorableText],
  position: [isStorableText],
};

/** Digest of the query, the day of its view, the values of the place, and its id. */
const Cursor = z.tuple([
  z.string(),
  z.string().refine(isDayOfView).nullable(),
  z.array(z.string()),
  z.guid().nullable(),
]);

const INVALID_CURSOR = 'Must be the next_cursor of a query with the same parameters';

const digest = (value: unknown) => createHash('sha256').update(JSON.stringify(value)).digest('base64url').slice(0, 16);

/** @returns what is in `text`; null unless it could be a cursor of the query with this digest, in this order. */
function parseCursor(text: string, query: string, order: Order) {
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
  } catch {
    return null;
  }
  const { data } = Cursor.safeParse(json);
  if (data === undefined || data[0] !== query) return null;
  const [, day, values, id] = data;
  const isPlace = values.length === 0 || (id !== null && values.length === VALUES[order].length);
  return isPlace && values.every((value, index) => VALUES[order][index]?.(value))
    ? { day, place: { values, id } }
    : null;
}

/**
 * @param now milliseconds since the Unix epoch, for the day of a view; a cursor goes on with the day on which it began.
 * @throws {AppError} `VALIDATION_ERROR` if the cursor is none of this query.
 */
export function pageOf(query: TaskListQuery, now: number): ListPage {
  const { limit = MAX_TASKS_IN_LIST, cursor, ...asked } = query;
  const order = orderOf(query);
  const name = digest(Object.entries(asked).sort(([a], [b]) => (a < b ? -1 : 1)));
  const parsed = cursor === undefined ? null : parseCursor(cursor, name, order.by);
  if (cursor !== undefined && (parsed === null || (parsed.day === null) !== (query.view === undefined))) {
    throw new AppError('VALIDATION_ERROR', { details: [{ field: 'cursor', message: INVALID_CURSOR }] });
  }
  const day = query.view === undefined ? null : (parsed?.day ?? today(query.time_zone, now));
  return {
    filter: filterOf(query, day),
    order,
    limit,
    after: parsed?.place ?? null,
    view: digest([name, day, limit, cursor]),
    cursorAt: ({ values, id }) => Buffer.from(JSON.stringify([name, day, values, id])).toString('base64url'),
  };
}
