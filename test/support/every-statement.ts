import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { abortIfChanged, abortIfListChanged, readCounter } from '../../dist/batch/batch-sql.js';
import { createUser, readChanges } from '../../dist/changes/change-sql.js';
import type { UserId } from '../../dist/core/user.js';
import type { BoundStatement } from '../../dist/database/sql.js';
import {
  countTasks,
  eraseLists,
  eraseReplies,
  eraseTasks,
  exportLists,
  exportState,
  exportTasks,
  findTasks,
  renewEpoch,
} from '../../dist/exchange/exchange-sql.js';
import type { ListId } from '../../dist/lists/list.js';
import { deleteList, getList, insertList, listLists, putList, updateList } from '../../dist/lists/list-sql.js';
import { putInSeries, toggleInSeries, updateInSeries } from '../../dist/tasks/completion-sql.js';
import { importTask, importTasks } from '../../dist/tasks/import-sql.js';
import type { TaskFilter } from '../../dist/tasks/list-query.js';
import { countWords, type PageRead, readCounts, readLongPage, readPage } from '../../dist/tasks/list-sql.js';
import type { Expected } from '../../dist/tasks/parts-sql.js';
import { blankOldestDeleted, deleteTask, restoreTask } from '../../dist/tasks/remove-sql.js';
import type { TaskId } from '../../dist/tasks/task.js';
import {
  getState,
  getTask,
  listDeletedTasks,
  listLongTasks,
  listShortTasks,
  listTasks,
} from '../../dist/tasks/task-sql.js';
import { insertTask, insertTaskAs, insertTasks, putTask, toggleTask, updateTask } from '../../dist/tasks/write-sql.js';
import { claimKey, getReply, keepReply, lockExistingUser, lockUser } from '../../dist/writes/write-sql.js';

const NO_ID = '00000000-0000-0000-0000-000000000000';

/** What the statements are about. */
export interface Subjects {
  /** Of a task that is not deleted. */
  readonly live: string;
  /** Of a deleted task. */
  readonly deleted: string;
  /** Of a list. */
  readonly list: string;
  /** An idempotency key. */
  readonly key: string;
}

const EVERYTHING: TaskFilter = {
  isCompleted: null,
  listId: null,
  parentId: null,
  priority: null,
  tagKeys: [],
  dueFrom: null,
  dueTo: null,
  hasDue: null,
  completedFrom: null,
  completedTo: null,
  updatedFrom: null,
  words: null,
};

/** A page of each way in which tasks are found; each of the first has its order from an index. */
function pageReads(id: string): readonly PageRead[] {
  const read = (filter: Partial<TaskFilter>, by: PageRead['page']['order']['by'], rest: Partial<PageRead> = {}) => ({
    page: {
      filter: { ...EVERYTHING, ...filter },
      order: { by, isDescending: true },
      limit: 10,
      after: null,
      view: '',
      cursorAt: () => '',
    },
    part: 'with-values' as const,
    limit: 10,
    rareWord: null,
    ...rest,
  });
  return [
    read({}, 'created_at'),
    read({ isCompleted: false }, 'created_at'),
    read({ isCompleted: true }, 'created_at'),
    read({ isCompleted: true, completedFrom: '2026-11-22T00:00:00Z' }, 'completed_at'),
    read({ isCompleted: false, hasDue: true, dueFrom: '1970-01-01', dueTo: '9999-12-31' }, 'due'),
    read({ listId: 'inbox' }, 'position'),
    read({ listId: id }, 'position'),
    read({ tagKeys: ['secret'] }, 'created_at'),
    read({ words: ['secret'] }, 'created_at'),
    read({ isCompleted: false, hasDue: false }, 'due', { part: 'without-values' }),
    read({ words: ['secret', 'victim'] }, 'created_at', { rareWord: 'victim' }),
    read({ tagKeys: ['secret'], parentId: 'none' }, 'title'),
  ];
}

/**
 * Every statement that requests run, of `owner` and on `subjects`; `statementNames` says whether one is missing.
 * @param expected the versions on which the writes may be made; null for any.
 */
export function everyStatement(owner: UserId, subjects: Subjects, expected: Expected = null): BoundStatement[] {
  const [live, deleted, key] = [subjects.live as TaskId, subjects.deleted as TaskId, subjects.key];
  const list = subjects.list as ListId;
  const retry = { key, request: 'request' };
  const deletion = { isPermanent: true, keepsContent: false, absent: 'missing' } as const;
  const option = { id: live, copies: [[live, deleted]] as const };
  const successor = { due_date: '2026-11-23', recurrence: 'FREQ=DAILY', options: [option, { ...option, id: deleted }] };
  const succession = { state: '', successor, limit: 0 };
  const effects = [
    insertTask({ userId: owner, email: null }, randomUUID(), { title: 'mine' }, 0),
    insertTask({ userId: owner, email: null }, randomUUID(), { title: 'mine', tags: ['Mine'] }, 0),
    insertTasks(owner, [randomUUID(), randomUUID()], [{ title: 'mine' }, { title: 'mine too' }], 0),
    insertTask({ userId: owner, email: null }, randomUUID(), { title: 'mine', parent_id: live }, 0),
    updateTask(owner, live, { list_id: null }, expected),
    insertTaskAs(owner, live, { title: 'mine' }, 0),
    putTask(owner, live, { title: 'mine' }, expected, 0),
    updateTask(owner, live, { title: 'mine' }, expected),
    updateTask(owner, live, { priority: 'high', add_tags: ['Mine'] }, expected),
    toggleTask(owner, live, expected),
    putInSeries(owner, live, { title: 'mine' }, expected, succession),
    updateInSeries(owner, live, { title: 'mine' }, expected, succession),
    toggleInSeries(owner, live, expected, succession),
    deleteTask(owner, live, deletion, expected),
    restoreTask(owner, deleted, expected, 0),
    insertList(owner, list, { name: 'mine' }),
    putList(owner, list, { name: 'mine' }, expected),
    updateList(owner, list, { name: 'mine' }, expected),
    deleteList(owner, list, { tasks: 'inbox', absent: 'missing', keepsContent: true }, expected),
    deleteList(owner, list, { tasks: 'delete', absent: 'missing', keepsContent: true }, expected),
    readCounter({ owner }),
    importTask(owner, randomUUID() as TaskId, { title: 'mine' }, { createdAt: null, completedAt: null }, 0),
    importTasks(
      owner,
      [
        { id: live, task: { title: 'mine' }, history: { createdAt: null, completedAt: null } },
        {
          id: randomUUID() as TaskId,
          task: { title: 'mine', list_id: list },
          history: { createdAt: null, completedAt: null },
        },
      ],
      0,
    ),
    importTask(
      owner,
      randomUUID() as TaskId,
      { title: 'mine', parent_id: live },
      { createdAt: null, completedAt: null },
      0,
    ),
    eraseLists({ owner }),
    eraseTasks({ owner }),
    eraseReplies({ owner }),
    renewEpoch({ owner }),
  ];
  const ways = [false, true].flatMap((isAtomic) => [
    { owner, part: 0, isAtomic, retry: null },
    { owner, part: 0, isAtomic, retry },
  ]);
  return [
    getState({ owner }),
    listTasks({ owner, known: null }),
    listShortTasks({ owner, known: null }),
    listLongTasks({ owner }),
    listDeletedTasks({ owner }),
    ...pageReads(live).map((read) => readPage(owner, read, null)),
    ...pageReads(live)
      .slice(0, 1)
      .map((read) => readLongPage(owner, read)),
    countWords(owner, ['secret', 'victim']),
    readCounts({ owner, day: '2026-11-22', known: null }),
    getTask({ owner, id: live }),
    listLists({ owner, known: null }),
    getList({ owner, id: list }),
    claimKey({ owner, key }),
    getReply({ owner, key }),
    lockUser({ owner, email: 'new@example.com' }),
    lockExistingUser({ owner }),
    readChanges({ owner, position: 0, base: 0, limit: 1000 }),
    createUser({ owner }),
    exportState({ owner }),
    exportTasks({ owner, after: NO_ID, deleted: true, limit: 1000 }),
    exportLists({ owner }),
    countTasks({ owner }),
    findTasks({ owner, ids: `{${live}}` }),
    abortIfChanged({ owner, ids: `{${live}}`, since: 0 }),
    abortIfListChanged({ owner, ids: `{${list}}`, since: 0 }),
    keepReply({ owner, ...retry, part: 0, type: 'task', kind: 'missing', task: live, version: null, json: null }),
    ...effects.flatMap((effect) => ways.map((way) => effect.at(way))),
    blankOldestDeleted(owner, 0),
  ];
}

const SRC = fileURLToPath(new URL('../../src/', import.meta.url));
const IMPORTER = /import \{[^}]*\b(sql|sqlOnce|effect)\b[^}]*\} from/;
/** A function that defines statements under the name that it is given, such as `effect`. */
const DEFINER = /\b(?:const|function) (\w+)(?:<[\s\S]*?>)?(?: = )?\(\s*name: string/g;
/** A name that is derived from the one given: what is added to it. */
const DERIVED = /^(?:name|`\$\{name\}(\w+)`)$/;

/** Statements of background work, which has a database role of its own and is confined by its grants. */
const OF_NO_USER = /^(changes_look$|job_)/;

/** The names of the statements that requests run, as the source defines them. @throws if it defines one otherwise. */
export function statementNames(): string[] {
  const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && !/^(database|backup)\/|\/job-sql\.ts$/.test(path))
    .map((path) => ({ path, text: readFileSync(SRC + path, 'utf8') }))
    .filter(({ text }) => IMPORTER.test(text));
  const definers = files.flatMap(({ text }) => [...text.matchAll(DEFINER)].map(([, name = '']) => name));
  const suffixes = new Map<string, string[]>([
    ['sql', ['']],
    ['sqlOnce', ['']],
  ]);
  const calls: { readonly definer: string; readonly name: string }[] = [];
  for (const { path, text } of files) {
    const own = [...text.matchAll(DEFINER)].map(([, name = '']) => name);
    const called = new RegExp(`\\b(sql|sqlOnce|${definers.join('|')})(?:<[^()]*>)?\\(\\s*([^\\s,:)]+)(?=[,)])`, 'g');
    for (const [all, definer = '', argument = ''] of text.matchAll(called)) {
      const [, literal] = /^'(\w+)'$/.exec(argument) ?? [];
      const derived = DERIVED.exec(argument);
      if (literal !== undefined) calls.push({ definer, name: literal });
      else if (derived === null || own.length === 0)
        throw new Error(`${path}: ${all} names a statement in another way`);
      else for (const name of own) suffixes.set(name, [...(suffixes.get(name) ?? []), derived[1] ?? '']);
    }
  }
  return calls
    .flatMap(({ definer, name }) => (suffixes.get(definer) ?? []).map((suffix) => name + suffix))
    .filter((name) => !OF_NO_USER.test(name));
}
