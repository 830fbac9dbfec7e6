import { parse } from 'csv-parse/sync';
import { stringify } from 'csv-stringify/sync';
import { ContentIds, type Entry, type FormatWriter, idFromUid, type RowReader, type WrittenTask } from './record.ts';

/*
 * A spreadsheet runs a cell that begins with one of these as a formula (OWASP, CSV Injection): it is written with a `'`
 * before it, and so is one that has such a `'` already. Reading takes one away.
 */
const IS_FORMULA = /^'*[=+\-@\t\r\n＝＋－＠]/u;
const IS_ESCAPED = /^'+[=+\-@\t\r\n＝＋－＠]/u;

const escapeFormula = (cell: string) => (IS_FORMULA.test(cell) ? `'${cell}` : cell);
const unescapeFormula = (cell: string) => (IS_ESCAPED.test(cell) ? cell.slice(1) : cell);

/** Tags are a CSV row in a cell. */
const writeTags = (tags: readonly string[]) => stringify([[...tags]], { eof: false });

/** @throws if it is no row. */
function readTags(cell: string): string[] {
  const rows: string[][] = cell.includes('"')
    ? parse(cell, { relax_column_count: true, trim: true })
    : [cell.split(',')];
  return rows.flat().flatMap((tag) => tag.trim() || []);
}

/** The columns in their order, and the cell of a task in each. */
const COLUMNS = {
  id: (task) => task.id,
  list: (task) => task.list,
  parent_id: (task) => task.parent_id,
  title: (task) => task.title,
  description: (task) => task.description,
  is_completed: (task) => String(task.is_completed),
  completed_at: (task) => task.completed_at,
  due_date: (task) => task.due_date,
  due_time: (task) => task.due_time,
  due_time_zone: (task) => task.due_time_zone,
  priority: (task) => task.priority,
  tags: (task) => writeTags(task.tags),
  recurrence: (task) => task.recurrence,
  recurrence_from: (task) => task.recurrence_from,
  position: (task) => task.position,
  created_at: (task) => task.created_at,
  updated_at: (task) => task.updated_at,
} satisfies Readonly<Record<string, (task: WrittenTask) => string | null>>;

/** Columns that are fields as they stand, where the cell is not empty. */
const FIELDS = [
  'description',
  'completed_at',
  'due_date',
  'due_time',
  'due_time_zone',
  'priority',
  'recurrence',
  'recurrence_from',
  'position',
  'created_at',
] as const;

const BOOLEANS: Readonly<Record<string, boolean>> = { true: true, false: false };

/** Reads the rows of our CSV: columns by their names, in any order; others are ignored, and all but `title` may be missing. */
export class OwnRows implements RowReader {
  readonly #names: readonly string[];
  readonly #ids = new ContentIds('csv');

  constructor(names: readonly string[]) {
    this.#names = names;
  }

  row(line: number, given: readonly string[]): readonly Entry[] {
    const refused = (message: string): Entry[] => [{ kind: 'refused', line, message }];
    if (given.length !== this.#names.length) {
      return refused(`The row has ${given.length} cells, and the header ${this.#names.length}`);
    }
    const cells = new Map(this.#names.map((name, index) => [name, unescapeFormula(given[index] ?? '')]));
    const cell = (name: keyof typeof COLUMNS) => cells.get(name) || null;
    const title = cell('title') ?? '';
    const fields: Record<string, unknown> = { title };
    for (const name of FIELDS) if (cell(name) !== null) fields[name] = cell(name);
    const completed = cell('is_completed');
    if (completed !== null) fields.is_completed = BOOLEANS[completed.toLowerCase()] ?? completed;
    try {
      fields.tags = readTags(cell('tags') ?? '');
    } catch {
      return refused('tags: must be separated by commas, with double quotes around a tag that has a comma or quote');
    }
    const [uid, parent, list] = [cell('id'), cell('parent_id'), cell('list')];
    return [
      {
        kind: 'task',
        line,
        id: uid === null ? this.#ids.next(list, parent, title) : idFromUid('csv', uid),
        parentId: parent === null ? null : idFromUid('csv', parent),
        list: list === null || list.trim() === '' ? null : { name: list.trim() },
        fields,
      },
    ];
  }

  end(): readonly Entry[] {
    return [];
  }
}

const STYLE = { record_delimiter: '\r\n', quoted_match: /[\r\n]/ };

/** Writes our CSV: UTF-8 with a byte order mark, without which Excel takes it for another encoding. */
export function csvWriter(): FormatWriter {
  const row = (cells: readonly (string | null)[]) => stringify([[...cells]], STYLE);
  return {
    begin: () => `\ufeff${row(Object.keys(COLUMNS))}`,
    write: (tasks) =>
      tasks.map((task) => row(Object.values(COLUMNS).map((cellOf) => escapeFormula(cellOf(task) ?? '')))).join(''),
    end: () => '',
  };
}
