import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Row, Rows } from '../database/sql.ts';

/** Where a list stays raw: columns whose text is JSON already, by name. */
export interface ListColumn {
  readonly name: string;
  readonly isJson: boolean;
}

/** At once, before other requests have their turn: 100 of the longest tasks take about 5 ms. */
const TASKS_PER_TURN = 100;

/** Lists are built one after another. */
let last: Promise<unknown> = Promise.resolve();

function toJson(columns: readonly ListColumn[], row: Row): string {
  const fields = columns.map(({ name, isJson }, index) => {
    const value = row[index] ?? null;
    return `"${name}":${isJson ? value : JSON.stringify(value)}`;
  });
  return `{${fields.join(',')}}`;
}

async function build(columns: readonly ListColumn[], rows: Rows): Promise<string> {
  const parts: string[] = [];
  for (let from = 0; from < rows.length; from += TASKS_PER_TURN) {
    const some = rows.slice(from, from + TASKS_PER_TURN);
    parts.push(some.map((row) => toJson(columns, row)).join(','));
    await nextTurn();
  }
  return `{"tasks":[${parts.join(',')}]}`;
}

/** @returns JSON text of the schema `TaskList`, byte for byte as the database would build it. */
export function buildLongList(columns: readonly ListColumn[], rows: Rows): Promise<string> {
  const list = last.then(() => build(columns, rows));
  last = list.catch(() => undefined);
  return list;
}
