import { splitMarks } from './marks.ts';
import {
  ContentIds,
  distinctTags,
  type Entry,
  isTimeZone,
  type Priority,
  type RowReader,
  type TaskEntry,
} from './record.ts';
import { readTodoistDate } from './todoist-date.ts';

const PRIORITIES: Readonly<Record<string, Priority>> = { 1: 'high', 2: 'medium', 3: 'low', 4: 'none', '': 'none' };

const TASK_INDENT = /^[1-9]?$/;

/** A task whose notes, rows below it, may still come. */
interface Pending {
  readonly entry: TaskEntry;
  /** What becomes its description. */
  readonly paragraphs: string[];
}

/**
 * Reads the rows of Todoist's CSV ("Format a CSV file to import into Todoist"): a section becomes the list of the tasks
 * below it, a note a paragraph of its task's description, labels tags; authors, durations and views are left out.
 */
export class TodoistRows implements RowReader {
  readonly #columns: ReadonlyMap<string, number>;
  readonly #ids = new ContentIds('todoist');
  /** The latest task of each level. */
  #parents: string[] = [];
  #section: string | null = null;
  #pending: Pending | null = null;

  constructor(names: readonly string[]) {
    this.#columns = new Map(names.map((name, index) => [name, index]));
  }

  row(line: number, cells: readonly string[]): readonly Entry[] {
    const cell = (name: string) => cells[this.#columns.get(name) ?? cells.length]?.trim() ?? '';
    const type = cell('TYPE');
    if (type === 'note' && this.#pending !== null) {
      this.#pending.paragraphs.push(cell('CONTENT'));
      return [];
    }
    const before = this.end();
    if (type === 'meta') return before;
    if (type === 'section') {
      this.#section = cell('CONTENT') || null;
      this.#parents = [];
      return before;
    }
    if (type !== 'task') {
      const message = type === 'note' ? 'A note must come below its task' : 'TYPE must be task, section or note';
      return [...before, { kind: 'refused', line, message }];
    }
    if (!TASK_INDENT.test(cell('INDENT'))) {
      this.#parents = [];
      return [...before, { kind: 'refused', line, message: 'INDENT must be a number from 1' }];
    }
    const level = Number(cell('INDENT') || 1) - 1;
    this.#parents.length = Math.min(level, this.#parents.length);
    this.#pending = this.#task(line, cell);
    this.#parents.push(this.#pending.entry.id);
    return before;
  }

  end(): readonly Entry[] {
    if (this.#pending === null) return [];
    const { entry, paragraphs } = this.#pending;
    this.#pending = null;
    const description = paragraphs.filter((paragraph) => paragraph !== '').join('\n\n');
    return [{ ...entry, fields: { ...entry.fields, description: description || null } }];
  }

  #task(line: number, cell: (name: string) => string): Pending {
    const { text: title, words } = splitMarks(cell('CONTENT'), '@');
    const parentId = this.#parents.at(-1) ?? null;
    const due = readTodoistDate(cell('DATE'));
    const deadline = readTodoistDate(cell('DEADLINE'));
    const shown = due ?? (cell('DATE') === '' ? deadline : null);
    const zone = cell('TIMEZONE');
    const entry: TaskEntry = {
      kind: 'task',
      line,
      id: this.#ids.next(this.#section, parentId, cell('CONTENT')),
      parentId,
      list: this.#section === null ? null : { name: this.#section },
      fields: {
        title,
        priority: PRIORITIES[cell('PRIORITY')] ?? 'none',
        tags: distinctTags(words.map(({ word }) => word)),
        due_date: shown?.date ?? null,
        due_time: shown?.time ?? null,
        due_time_zone: shown?.time !== undefined && shown.time !== null && isTimeZone(zone) ? zone : null,
      },
    };
    const unread = due === null && cell('DATE') !== '' ? `Date: ${cell('DATE')}` : '';
    const second = shown !== deadline && cell('DEADLINE') !== '' ? `Deadline: ${cell('DEADLINE')}` : '';
    return { entry, paragraphs: [cell('DESCRIPTION'), unread, second] };
  }
}
