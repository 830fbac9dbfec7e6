import type { UserId } from '../core/user.ts';
import { type BoundStatement, type SqlValue, sql, sqlOnce, utcText } from '../database/sql.ts';
import { TASK_FIELDS } from './columns.ts';
import type { ListPage, Place } from './list-page.ts';
import type { TaskFilter, TaskOrder } from './list-query.ts';
import { tagEntry } from './tag.ts';
import { COLUMNS, MAX_SHORT_LIST_BYTES, STATE, TEXT_BYTES } from './task-sql.ts';

/*
 * The statements of a list with parameters are put together of what the request asks for, values always as parameters.
 */

/** SQL with the values of the parameters in it. */
interface Fragment {
  readonly text: string;
  readonly values?: Readonly<Record<string, SqlValue>>;
}

interface Key {
  readonly sql: string;
  readonly type: string;
  /** SQL for the value as text that can be cast to the type. */
  readonly textSql: string;
}

const timeKey = (name: string): Key => ({
  sql: name,
  type: 'timestamptz',
  textSql: utcText(name).replace(/ as \w+$/, ''),
});
const key = (sqlText: string, type: string): Key => ({ sql: sqlText, type, textSql: `(${sqlText})::text` });

/** A due date without a time comes after the times of its day; in the words of the index `tasks_by_due`. */
const DUE_TIME = `case when due_time is null then '24:00' else due_time end`;
const PRIORITY = `case priority when 'none' then 0 when 'low' then 1 when 'medium' then 2 else 3 end`;

/** What each order compares, before the id; the first is null in a task that has no value. */
const KEYS: Readonly<Record<TaskOrder['by'], readonly Key[]>> = {
  created_at: [timeKey('created_at')],
  updated_at: [timeKey('updated_at')],
  completed_at: [timeKey('completed_at')],
  due: [key('due_date', 'date'), key(DUE_TIME, 'text collate "C"')],
  priority: [key(PRIORITY, 'integer')],
  title: [key('title_words', 'text collate "C"')],
  position: [key('position', 'text collate "C"')],
};

const IS_NULLABLE: readonly TaskOrder['by'][] = ['completed_at', 'due', 'title'];

/** Above all words that begin with a word. */
const ABOVE = '\u{10ffff}';

/** How many tasks with a word are looked up one by one; where there are more, all tasks are read in order. */
export const MAX_RARE = 2_000;

const hasWord = (index: number) =>
  `user_id = $owner and word >= $word_${index} collate "C" and word < $above_${index} collate "C"`;
const wordValues = (words: readonly string[]) =>
  Object.fromEntries(
    words.flatMap((word, index) => [
      [`word_${index}`, word],
      [`above_${index}`, word + ABOVE],
    ]),
  );

/** Returns, for each word, the number of entries of tasks with it or one that begins with it, counted to `MAX_RARE` + 1. */
export function countWords(owner: UserId, words: readonly string[]): BoundStatement {
  const counts = words.map(
    (_, index) =>
      `(select count(*) from (select from todo.task_words where ${hasWord(index)} limit ${MAX_RARE + 1}) as some_${index})`,
  );
  return sqlOnce('task_words_count', 'read', `select ${counts.join(', ')}`)({ owner, ...wordValues(words) });
}

const idFilter = (column: string, none: string, id: string | null): readonly Fragment[] => {
  if (id === null) return [];
  return [
    id === none ? { text: `${column} is null` } : { text: `${column} = $${column}::uuid`, values: { [column]: id } },
  ];
};

const range = (condition: string, name: string, value: string | null): readonly Fragment[] =>
  value === null ? [] : [{ text: condition, values: { [name]: value } }];

/** All words of a task, each after a space. */
const WORDS = `concat_ws(' ', '', title_words, description_words, array_to_string(tag_words, ' '))`;

function wordFilters(words: readonly string[] | null): readonly Fragment[] {
  if (words === null) return [];
  if (words.length === 0) return [{ text: 'false' }];
  return words.map((word, index) => ({
    text: `position($has_word_${index}::text in ${WORDS}) > 0`,
    values: { [`has_word_${index}`]: ` ${word}` },
  }));
}

const conditionsOf = (filter: TaskFilter): readonly Fragment[] => [
  { text: 'tasks.user_id = $owner' },
  { text: 'tasks.deleted_at is null' },
  ...(filter.isCompleted === null ? [] : [{ text: filter.isCompleted ? 'is_completed' : 'not is_completed' }]),
  ...idFilter('list_id', 'inbox', filter.listId),
  ...idFilter('parent_id', 'none', filter.parentId),
  ...range('priority = $priority', 'priority', filter.priority),
  ...filter.tagKeys.map((tag, index) => ({
    text: `$tag_${index}::text = any(tag_keys)`,
    values: { [`tag_${index}`]: tag },
  })),
  ...(filter.hasDue === null ? [] : [{ text: `due_date is ${filter.hasDue ? 'not ' : ''}null` }]),
  ...range('due_date >= $due_from::date', 'due_from', filter.dueFrom),
  ...range('due_date <= $due_to::date', 'due_to', filter.dueTo),
  ...range('completed_at >= $completed_from::timestamptz', 'completed_from', filter.completedFrom),
  ...range('completed_at <= $completed_to::timestamptz', 'completed_to', filter.completedTo),
  ...range('updated_at >= $updated_from::timestamptz', 'updated_from', filter.updatedFrom),
  ...wordFilters(filter.words),
];

/** Whether the tasks of the filter all have a value in the order. */
function allHaveValues({ isCompleted, hasDue }: TaskFilter, { by }: TaskOrder): boolean {
  if (!IS_NULLABLE.includes(by)) return true;
  return (by === 'completed_at' && isCompleted === true) || (by === 'due' && hasDue === true);
}

/** Which tasks of a page are read: those with values in the order, which come first, or those without. */
export type Part = 'with-values' | 'without-values';

/** @returns the parts of the list of which the page may have tasks, in order. */
export function partsOf({ filter, order, after }: ListPage): readonly Part[] {
  const isAmongLast = after !== null && after.values.length === 0;
  if (isAmongLast) return ['without-values'];
  return allHaveValues(filter, order) ? ['with-values'] : ['with-values', 'without-values'];
}

/** What a page is read by, and how much of it. */
export interface PageRead {
  readonly page: ListPage;
  readonly part: Part;
  readonly limit: number;
  /** The word of the search that few tasks have; null if there is none. */
  readonly rareWord: string | null;
}

const keysOf = ({ page, part }: PageRead) => (part === 'with-values' ? KEYS[page.order.by] : []);

/** @returns the condition on tasks behind the place. */
function behind({ page, part }: PageRead, keys: readonly Key[]): readonly Fragment[] {
  const { values, id }: Place = page.after ?? { values: [], id: null };
  if (id === null || (part === 'with-values') !== values.length > 0) return [];
  const places = keys.map(({ type }, index) => `$after_${index}::${type}`);
  return [
    {
      text: `(${[...keys.map(({ sql: text }) => text), 'tasks.id'].join(', ')})
        ${page.order.isDescending ? '<' : '>'} (${[...places, '$after_id::uuid'].join(', ')})`,
      values: { after_id: id, ...Object.fromEntries(values.map((value, index) => [`after_${index}`, value])) },
    },
  ];
}

/**
 * How the tasks of a page are found: in the order of the list, until there are enough; in that of the entries of its only
 * tag; or all of them, to be sorted, where that reads less or no index has the order.
 */
function wayOf({ page: { filter, order }, part, rareWord }: PageRead): 'in-order' | 'by-tag' | 'all' {
  const { isCompleted, hasDue, listId, completedFrom, completedTo, dueFrom, dueTo, tagKeys } = filter;
  if (rareWord !== null) return 'all';
  if (tagKeys.length > 0) return order.by === 'created_at' ? 'by-tag' : 'all';
  if (part === 'without-values') return 'in-order';
  if (order.by === 'due' && isCompleted === false && hasDue !== false) return 'in-order';
  if (order.by === 'completed_at' && isCompleted === true) return 'in-order';
  if (order.by === 'position' && listId !== null) return 'in-order';
  if (order.by !== 'created_at') return 'all';
  const isByDue = isCompleted === false && (dueFrom ?? dueTo) !== null;
  return isByDue || (completedFrom ?? completedTo) !== null ? 'all' : 'in-order';
}

/** @returns the condition on tasks with an entry of the rare word, or of a tag: few, where they are not read in order. */
function entriesOf({ page: { filter }, rareWord }: PageRead): readonly Fragment[] {
  const having = (condition: string) => `tasks.id = any(array(select task_id from todo.task_words where ${condition}))`;
  if (rareWord !== null) return [{ text: having(hasWord(0)), values: wordValues([rareWord]) }];
  const [tag] = filter.tagKeys;
  if (tag === undefined) return [];
  return [{ text: having('user_id = $owner and word = $tag_entry'), values: { tag_entry: tagEntry(tag) } }];
}

/** @returns common table expressions, the last of which, `page`, has one task more than the limit in the order. */
function tablesOf(read: PageRead): Fragment {
  const { page, part, limit } = read;
  const { filter, order } = page;
  const keys = keysOf(read);
  const direction = order.isDescending ? 'desc' : 'asc';
  const way = wayOf(read);
  const isNull = part === 'with-values' ? 'is not null' : 'is null';
  const [first] = IS_NULLABLE.includes(order.by) ? KEYS[order.by] : [];
  const conditions = [
    ...conditionsOf(filter),
    ...(first === undefined ? [] : [{ text: `${first.sql} ${isNull}` }]),
    ...behind(read, keys),
    ...(way === 'all' ? entriesOf(read) : []),
  ];
  const where = conditions.map(({ text }) => text).join(' and ');
  const values = Object.assign({ rows: limit + 1 }, ...conditions.map((condition) => condition.values ?? {}));
  const inOrder = (columns: readonly string[], id: string) =>
    [...columns, id].map((name) => `${name} ${direction}`).join(', ');
  const place = 'row_number() over () as place';
  const names = keys.map(({ sql: text }) => text);
  // `list_id is null` gives the planner no order: it uses the index only for one that begins with list_id
  const indexed = order.by === 'position' && filter.listId !== null ? ['list_id', ...names] : names;
  if (way === 'in-order') {
    const text = `page as materialized (select *, ${place} from (
      select * from todo.tasks where ${where} order by ${inOrder(indexed, 'id')} limit $rows) as tasks)`;
    return { text, values };
  }
  if (way === 'by-tag') {
    const after = where.replaceAll('(created_at, tasks.id)', '(entry.created_at, entry.task_id)');
    const text = `page as materialized (select *, ${place} from (
      select tasks.* from todo.task_words as entry join todo.tasks on tasks.user_id = $owner and tasks.id = entry.task_id
      where entry.user_id = $owner and entry.word = $tag_entry and ${after}
      order by ${inOrder(['entry.created_at'], 'entry.task_id')} limit $rows) as tasks)`;
    return { text, values: { ...values, tag_entry: tagEntry(filter.tagKeys[0] ?? '') } };
  }
  const sorted = keys.map((_, index) => `key_${index}`);
  const text = `matching as materialized (
      select ${['id', ...names.map((name, index) => `${name} as key_${index}`)].join(', ')} from todo.tasks where ${where}
    ), places as materialized (
      select id, row_number() over () as place
      from (select id from matching order by ${inOrder(sorted, 'id')} limit $rows) as first
    ), page as materialized (
      select tasks.*, place from places join todo.tasks on tasks.user_id = $owner and tasks.id = places.id order by place
    )`;
  return { text, values };
}

/** The values of the order and the id, as a JSON array of text. */
const placeSql = (keys: readonly Key[]) =>
  `json_build_array(${[...keys.map(({ textSql }) => textSql), 'id::text'].join(', ')})::text`;

/**
 * Returns the state and, unless that is `known`: the number of tasks, up to one more than the limit; the place of the last
 * within it; the bytes of their texts; and the tasks as JSON text with commas between them, null if they are long.
 */
export function readPage(owner: UserId, read: PageRead, known: string | null): BoundStatement {
  const { text, values = {} } = tablesOf(read);
  const statement = sqlOnce(
    'task_page',
    'read',
    `with ${text},
       length as (select coalesce(sum(${TEXT_BYTES}), 0) as bytes from page)
     select state, (select count(*) from page where state is distinct from $known),
       (select ${placeSql(keysOf(read))} from page where state is distinct from $known and place = $rows - 1),
       (select bytes from length where state is distinct from $known),
       case when state is distinct from $known and (select bytes from length) <= ${MAX_SHORT_LIST_BYTES} then (
         select coalesce(string_agg(row_to_json(task)::text, ','), '')
         from (select ${TASK_FIELDS} from page where place < $rows) as task
       ) end
     from (select ${STATE} as state) as present`,
  );
  return statement({ owner, known, ...values });
}

/** Returns a row for each task of the page, and one more if there is, with `LIST_COLUMNS` and the place. */
export function readLongPage(owner: UserId, read: PageRead): BoundStatement {
  const { text, values = {} } = tablesOf(read);
  const statement = sqlOnce(
    'task_page_long',
    'read',
    `with ${text} select ${COLUMNS}, ${placeSql(keysOf(read))} from page`,
  );
  return statement({ owner, ...values });
}

/** Returns the state, and the counts as JSON text unless the state is `$known`. */
export const readCounts = sql<{ owner: UserId; day: string; known: string | null }>(
  'task_counts',
  'read',
  `with open as materialized (
     select list_id, due_date, tags, tag_keys from todo.tasks
     where user_id = $owner and deleted_at is null and not is_completed
   ), present as (select ${STATE} as state)
   select state, case when state is distinct from $known then (
     select json_build_object(
       'open', count(*),
       'completed', coalesce((select tasks from todo.users where id = $owner), 0) - count(*),
       'overdue', count(*) filter (where due_date < $day::date),
       'today', count(*) filter (where due_date = $day::date),
       'lists', (
         select coalesce(json_object_agg(coalesce(list_id::text, 'inbox'), number), '{}')
         from (select list_id, count(*) as number from open group by list_id) as listed
       ),
       'tags', (
         select coalesce(json_object_agg(tag, number), '{}') from (
           select min(tag collate "C") as tag, count(*) as number
           from open, unnest(tags, tag_keys) as tagged (tag, key) group by key
         ) as counted
       )
     )::text from open
   ) end from present`,
);
