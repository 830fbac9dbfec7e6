import { splitMarks } from './marks.ts';
import {
  ContentIds,
  distinctTags,
  type Entry,
  type FormatWriter,
  idFromUid,
  type Priority,
  type TaskEntry,
  type WrittenTask,
} from './record.ts';
import { decodeLine, readLines } from './text.ts';
import { readRepetition, writeRepetition } from './todo-txt-repetition.ts';

/** The longest task of ours has less. */
const MAX_LINE_BYTES = 65_536;

/** Marks before the text: completion, priority, and the dates of completion and creation ("todo.txt format rules"). */
const LINE = /^(?<done>x )?(?:\((?<letter>[A-Z])\) )?(?<dates>(?:\d{4}-\d\d-\d\d(?: |$)){0,2})(?<text>.*)$/s;

const READ_PRIORITIES: Readonly<Record<string, Priority>> = { A: 'high', B: 'medium' };
const WRITTEN_PRIORITIES: Readonly<Record<Priority, string | null>> = { high: 'A', medium: 'B', low: 'C', none: null };

const priorityOf = (letter: string | undefined): Priority =>
  letter === undefined ? 'none' : (READ_PRIORITIES[letter] ?? 'low');

/** The keys that are fields here; other `key:value` words stay in the text. */
const KEY = /(?:^| )(due|rec|pri|id|parent):([^\s:]+)(?= |$)/g;

const DATE = /^\d{4}-\d\d-\d\d$/;
const LETTER = /^[A-Z]$/;

/** Midnight of a day in UTC. */
const midnight = (day: string | undefined) => (day === undefined ? null : `${day}T00:00:00.000000Z`);

const HAS_DUE = /(?:^| )due:\d{4}-\d\d-\d\d(?: |$)/;

/** Takes the keys out of `text`, of each the first that is of its form. */
function takeKeys(text: string): { readonly text: string; readonly keys: ReadonlyMap<string, string> } {
  const keys = new Map<string, string>();
  const hasDue = HAS_DUE.test(text);
  const isOfForm: Readonly<Record<string, (value: string) => boolean>> = {
    due: (value) => DATE.test(value),
    rec: (value) => hasDue && readRepetition(value) !== null,
    pri: (value) => LETTER.test(value),
    id: () => true,
    parent: () => true,
  };
  const left = text.replace(KEY, (word: string, key: string, value: string) => {
    if (keys.has(key) || isOfForm[key]?.(value) !== true) return word;
    keys.set(key, value);
    return '';
  });
  return { text: left.trim(), keys };
}

function readTask(line: number, given: string, ids: ContentIds): TaskEntry {
  const { done, letter, dates = '', text: marked = '' } = LINE.exec(given)?.groups ?? {};
  const isCompleted = done !== undefined;
  const [first, second] = dates.match(/\d{4}-\d\d-\d\d/g) ?? [];
  // Of an open task only the date of its creation is a mark: a second one is text.
  const rest = isCompleted || second === undefined ? marked : `${second} ${marked}`;
  const { text, keys } = takeKeys(rest);
  const { text: title, words } = splitMarks(text, '@+');
  const [project, ...otherProjects] = words.filter(({ mark }) => mark === '+').map(({ word }) => word);
  const contexts = words.filter(({ mark }) => mark === '@').map(({ word }) => word);
  const due = keys.get('due') ?? null;
  const repetition = readRepetition(keys.get('rec') ?? '');
  const [uid, parent] = [keys.get('id'), keys.get('parent')];
  const created = midnight(isCompleted ? second : first);
  return {
    kind: 'task',
    line,
    id: uid === undefined ? ids.next(text) : idFromUid('todo.txt', uid),
    parentId: parent === undefined ? null : idFromUid('todo.txt', parent),
    list: project === undefined ? null : { name: project },
    fields: {
      title,
      is_completed: isCompleted,
      completed_at: isCompleted ? midnight(first) : null,
      ...(created === null ? {} : { created_at: created }),
      priority: priorityOf(letter ?? keys.get('pri')),
      due_date: due,
      tags: distinctTags([...contexts, ...otherProjects]),
      ...repetition,
    },
  };
}

/** Reads todo.txt, a task in each line. @throws {SyntaxFault} */
export async function* readTodoTxt(source: AsyncIterable<Buffer>): AsyncGenerator<Entry> {
  const ids = new ContentIds('todo.txt');
  for await (const { number: line, bytes } of readLines(source, MAX_LINE_BYTES)) {
    const text = bytes === null ? null : decodeLine(bytes, line).trim();
    if (text === null) yield { kind: 'refused', line, message: 'The line is longer than 64 KiB' };
    else if (text !== '') yield readTask(line, text, ids);
  }
}

const SPACE = /\s+/g;
const word = (text: string) => text.replace(SPACE, '_');

function writeTask(task: WrittenTask): string {
  const { title, is_completed: isCompleted, completed_at: completedAt, created_at: createdAt } = task;
  const letter = WRITTEN_PRIORITIES[task.priority];
  const created = createdAt.slice(0, 10);
  const repetition = writeRepetition(task);
  const words = [
    ...(isCompleted ? ['x', (completedAt ?? createdAt).slice(0, 10)] : letter === null ? [] : [`(${letter})`]),
    created,
    title.replace(SPACE, ' '),
    ...(task.list === null ? [] : [`+${word(task.list)}`]),
    ...task.tags.map((tag) => `@${word(tag)}`),
    ...(task.due_date === null ? [] : [`due:${task.due_date}`]),
    ...(repetition === null ? [] : [`rec:${repetition}`]),
    ...(isCompleted && letter !== null ? [`pri:${letter}`] : []),
    `id:${task.id}`,
    ...(task.parent_id === null ? [] : [`parent:${task.parent_id}`]),
  ];
  return `${words.join(' ')}\n`;
}

/** Writes todo.txt. */
export function todoTxtWriter(): FormatWriter {
  return { begin: () => '', write: (tasks) => tasks.map(writeTask).join(''), end: () => '' };
}
