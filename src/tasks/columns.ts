import { type Row, type SqlValue, utcText } from '../database/sql.ts';
import { MAX_TAGS, NEEDS } from './fields.ts';
import { storedRecurrence } from './recurrence-sql.ts';
import { tagEntry, tagKey } from './tag.ts';
import type { Task, TaskChanges, TaskCreate } from './task.ts';
import { WORDS_REVISION, wordsOf } from './words.ts';

interface Column {
  readonly type: 'text' | 'boolean' | 'date' | 'smallint' | 'uuid' | 'text[]' | 'timestamptz';
  /** SQL for the value in a task that is created without it, and in one whose content is gone. */
  readonly emptySql: string;
  /** SQL for the value, which follows from those of other columns and from `old`, the one that a task has. */
  readonly computedSql?: (valueIn: (name: string) => string, old: string) => string;
  /** SQL for the value that is stored, from the one that is given or there and those of other columns. */
  readonly storedSql?: (value: string, valueIn: (name: string) => string) => string;
  /** SQL for the condition of a change other than by a value, and for what it makes of that. */
  readonly changeSql?: readonly [condition: string, value: string];
  /** SQL for the condition under which its value follows from `parent`, if it is not given, and for that value. */
  readonly inheritedSql?: readonly [condition: string, value: string];
}

type Own = 'id' | 'user_id' | 'created_at' | 'updated_at' | 'deleted_at' | 'version';

/** SQL for an array of text from SQL for its JSON text. */
const textArray = (json: string) => `array(select json_array_elements_text((${json})::json))`;

const CHANGES_TAGS = '$changes_tags::boolean';

/** What is left of the tags, and then what is added to them. */
const changedTags = (column: 'tag' | 'key' | 'words') => `array(
    select ${column} from unnest(tags, tag_keys, tag_words) as present (tag, key, words)
    where key <> all(${textArray('$removed_keys')})
  ) || array(
    select ${column} from unnest(
      ${textArray('$added_tags')}, ${textArray('$added_keys')}, ${textArray('$added_words')}
    ) as added (tag, key, words)
    where key <> all(tag_keys)
  )`;

const END_OF_INBOX = 'todo.position_after(todo.last_position($owner, null))';

/** What the service makes of the content, for sorting and searching (`words.ts`). */
const DERIVED: Readonly<Record<string, Column>> = {
  tag_keys: { type: 'text[]', emptySql: `'{}'`, changeSql: [CHANGES_TAGS, changedTags('key')] },
  title_words: { type: 'text', emptySql: 'null' },
  description_words: { type: 'text', emptySql: 'null' },
  tag_words: { type: 'text[]', emptySql: `'{}'`, changeSql: [CHANGES_TAGS, changedTags('words')] },
  words_revision: { type: 'smallint', emptySql: String(WORDS_REVISION) },
};

/** The content of a task in the order of the answer: the one place where a new field enters the statements. */
const CONTENT: Readonly<Record<Exclude<keyof Task, Own>, Column>> = {
  title: { type: 'text', emptySql: 'null' },
  description: { type: 'text', emptySql: 'null' },
  is_completed: { type: 'boolean', emptySql: 'false' },
  list_id: {
    type: 'uuid',
    emptySql: 'null',
    inheritedSql: ['$has_parent_id::boolean and $parent_id::uuid is not null', '(select list_id from parent)'],
  },
  parent_id: { type: 'uuid', emptySql: 'null' },
  position: { type: 'text', emptySql: 'null' },
  due_date: { type: 'date', emptySql: 'null' },
  due_time: { type: 'text', emptySql: 'null' },
  due_time_zone: { type: 'text', emptySql: 'null' },
  priority: { type: 'text', emptySql: `'none'` },
  tags: { type: 'text[]', emptySql: `'{}'`, changeSql: [CHANGES_TAGS, changedTags('tag')] },
  recurrence: {
    type: 'text',
    emptySql: 'null',
    storedSql: (value, valueIn) => storedRecurrence(value, valueIn('due_date')),
  },
  recurrence_from: { type: 'text', emptySql: `'due'` },
  completed_at: {
    type: 'timestamptz',
    emptySql: 'null',
    computedSql: (valueIn, old) => `case when ${valueIn('is_completed')} then coalesce(${old}, clock_timestamp()) end`,
  },
  // The first task that is completed gives its id to the series.
  series_id: {
    type: 'uuid',
    emptySql: 'null',
    computedSql: (valueIn, old) =>
      old === 'null'
        ? old
        : `case when ${valueIn('is_completed')} and ${valueIn('recurrence')} is not null then coalesce(${old}, id) else ${old} end`,
  },
};

const listed = (columns: Readonly<Record<string, Column>>) =>
  Object.entries(columns).map(([name, column]) => ({ name, ...column }));
const content = listed(CONTENT);
const columns = [...content, ...listed(DERIVED)];

/** The names of all that a write sets, in the order of the values below. */
export const NAMES = columns.map(({ name }) => name).join(', ');

/** @returns the columns of `table`, in the order of `NAMES`. */
export const namesOf = (table: string) => columns.map(({ name }) => `${table}.${name}`).join(', ');

/** @returns those of them that make a change of the task. */
export const contentOf = (table: string) => content.map(({ name }) => `${table}.${name}`).join(', ');

const answerSql = ({ name, type }: { readonly name: string; readonly type: Column['type'] }) =>
  type === 'timestamptz' ? utcText(name) : name;

/** The fields of a task, in the order of the contract. */
export const TASK_FIELDS = `id, user_id, ${content.map(answerSql).join(', ')},
  ${utcText('created_at')}, ${utcText('updated_at')}, ${utcText('deleted_at')}, version`;

const wordsIn = (text: string) => wordsOf(text).join(' ');
const wordsOfTag = (tag: string) => [...wordsOf(tag), tagEntry(tagKey(tag))].join(' ');

/** The columns that follow from a field of the request. */
export const derivedOf = ({ title, description, tags }: TaskChanges) => ({
  ...(title === undefined ? {} : { title_words: wordsIn(title) }),
  ...(description === undefined ? {} : { description_words: description && wordsIn(description) }),
  ...(tags === undefined ? {} : { tag_keys: tags.map(tagKey), tag_words: tags.map(wordsOfTag) }),
});

/** A new task as JSON, for `IN_JSON`. */
export const jsonOf = (task: TaskCreate) => ({ ...task, ...derivedOf(task) });

/** For `IN_PARAMETERS`: of each column whether `fields` has it, and its value; and what is changed of the tags. */
export function parametersOf(fields: TaskChanges): Record<string, SqlValue> {
  const given: Readonly<Partial<Record<string, SqlValue>>> = { ...fields, ...derivedOf(fields) };
  const { add_tags: added = [], remove_tags: removed = [], before, after } = fields;
  const parameters: Record<string, SqlValue> = {
    sibling: before ?? after ?? null,
    side: before === undefined ? (after === undefined ? null : 'after') : 'before',
    changes_tags: added.length + removed.length > 0,
    added_tags: added,
    added_keys: added.map(tagKey),
    added_words: added.map(wordsOfTag),
    removed_keys: removed.map(tagKey),
  };
  for (const { name } of columns) {
    parameters[`has_${name}`] = given[name] !== undefined;
    parameters[name] = given[name] ?? null;
  }
  return parameters;
}

/** Where a statement finds what is given. */
interface Source {
  /** The columns that can be given. */
  readonly has: (name: string) => boolean;
  readonly isGiven: (name: string) => string;
  /** SQL for the text of the value; of an array for its JSON. */
  readonly given: (name: string) => string;
}

/** The fields that every task has had from the first release on: statements for these alone are shorter. */
const PLAIN: readonly string[] = ['title', 'description', 'is_completed'];
const PLAIN_COLUMNS: readonly string[] = [...PLAIN, 'title_words', 'description_words'];
const ALL = [...content.map(({ name }) => name), 'add_tags', 'remove_tags'];
const NOT_PLAIN = ALL.filter((name) => !PLAIN.includes(name));

/** @returns whether no other than the plain fields is given. */
export function isPlain(fields: TaskChanges): boolean {
  const given: Readonly<Partial<Record<string, unknown>>> = fields;
  return NOT_PLAIN.every((name) => given[name] === undefined);
}

/** The fields that depend on other tasks. */
const PLACES: readonly string[] = ['list_id', 'parent_id'];
/** A longer position gives those beside it shorter ones. */
const MAX_SHORT_POSITION = 48;

/** @returns whether other tasks have to be looked at, but for the last one of the list. */
export const isAmongOthers = ({ parent_id, before, after, position = '' }: TaskChanges): boolean =>
  [parent_id, before, after].some((given) => given !== undefined) || position.length > MAX_SHORT_POSITION;

/** @returns whether other tasks or lists have to be looked at. */
export const isPlaced = (fields: TaskChanges): boolean => fields.list_id !== undefined || isAmongOthers(fields);

const parameter = (name: string) => `$${name}`;
export const IN_PARAMETERS: Source = { has: () => true, isGiven: (name) => `$has_${name}::boolean`, given: parameter };
export const PLAIN_PARAMETERS: Source = { ...IN_PARAMETERS, has: (name) => PLAIN_COLUMNS.includes(name) };
export const UNPLACED_PARAMETERS: Source = { ...IN_PARAMETERS, has: (name) => !PLACES.includes(name) };
/** In `fields`, a `jsonb` object. */
export const IN_JSON: Source = {
  has: (name) => !PLACES.includes(name),
  isGiven: (name) => `fields ? '${name}'`,
  given: (name) => `fields ->> '${name}'`,
};
export const LISTED_IN_JSON: Source = { ...IN_JSON, has: (name) => name !== 'parent_id' };

type NamedColumn = Column & { readonly name: string };

/**
 * @param absent SQL for the value of a column that is not given.
 * @param old SQL for the value that the task has.
 * @returns SQL for the values of all columns, with their names.
 */
function valuesOf(source: Source, absent: (column: NamedColumn) => string, old: (name: string) => string): string {
  const valueIn = (column: NamedColumn): string => {
    const { name, type, computedSql, storedSql, changeSql, inheritedSql } = column;
    const valueOfOther = (other: string) => valueIn(columnOf(other));
    if (computedSql !== undefined) return `(${computedSql(valueOfOther, old(name))})::${type}`;
    if (!source.has(name)) return `(${absent(column)})::${type}`;
    const given = type === 'text[]' ? textArray(source.given(name)) : `(${source.given(name)})::${type}`;
    const others = [source.has('parent_id') ? inheritedSql : undefined, old(name) === name ? changeSql : undefined]
      .filter((other) => other !== undefined)
      .map(([condition, value]) => `when ${condition} then ${value}`);
    const value = `case when ${source.isGiven(name)} then ${given} ${others.join(' ')} else ${absent(column)} end`;
    return storedSql === undefined ? value : storedSql(value, valueOfOther);
  };
  return columns.map((column) => `${valueIn(column)} as ${column.name}`).join(', ');
}

function columnOf(name: string): NamedColumn {
  const column = columns.find((candidate) => candidate.name === name);
  if (column === undefined) throw new TypeError(`Tasks have no column ${name}`);
  return column;
}

const identity = (name: string) => name;
const nothing = () => 'null';

/** Of a new task: what is given, else the defaults; `position` is SQL for the one of a task that is given none. */
export const newValues = (source: Source, position = END_OF_INBOX): string =>
  valuesOf(source, ({ name, emptySql }) => (name === 'position' ? position : emptySql), nothing);

/** Of a new task that was made elsewhere: as `newValues`; it was completed when `completedAt`, SQL, says so. */
export const importedValues = (source: Source, position = END_OF_INBOX, completedAt = '$completed_at'): string =>
  valuesOf(
    source,
    ({ name, emptySql }) => (name === 'position' ? position : emptySql),
    (name) => (name === 'completed_at' ? `(${completedAt})::timestamptz` : 'null'),
  );

/** Of a task that is changed: what is given, else what it has. */
export const changedValues = (source: Source): string => valuesOf(source, ({ name }) => name, identity);

/** Of a task that is replaced: what is given, else the defaults; it stays in its place. */
export const replacedValues = (source: Source): string =>
  valuesOf(source, ({ name, emptySql }) => ([...PLACES, 'position'].includes(name) ? name : emptySql), identity);

/** Of a copy of a task: SQL by column where it differs. */
export const copiedValues = (differences: Readonly<Record<string, string>>): string =>
  columns.map(({ name, type }) => `(${differences[name] ?? name})::${type} as ${name}`).join(', ');

/** Of a task whose content goes if the boolean parameter `blank` is true. */
export const BLANKED_VALUES = columns
  .map(({ name, type, emptySql }) => `case when $blank then ${emptySql}::${type} else ${name} end`)
  .join(', ');

/** Of a task whose content goes. */
export const BLANK_VALUES = columns.map(({ type, emptySql }) => `${emptySql}::${type}`).join(', ');

/** What can be wrong with a changed task: the field, the message, and SQL for whether `candidate` has the fault. */
export type Fault = readonly [fieldSql: string, message: string, isFaulty: string];

const FAULTS: readonly Fault[] = [
  [blame('due_time', 'due_date'), NEEDS.due_time, 'due_time is not null and due_date is null'],
  [blame('due_time_zone', 'due_time'), NEEDS.due_time_zone, 'due_time_zone is not null and due_time is null'],
  [blame('recurrence', 'due_date'), NEEDS.recurrence, 'recurrence is not null and due_date is null'],
  [`'add_tags'`, `At most ${MAX_TAGS} tags are allowed`, `cardinality(tags) > ${MAX_TAGS}`],
];

/** SQL for the name of that of two fields that the request gives a value that does not go with the other. */
function blame(field: string, needed: string): string {
  return `case when $has_${field}::boolean and $${field}::text is not null then '${field}' else '${needed}' end`;
}

/** @returns a query of what is wrong with `candidate`, as JSON of the schema `details`; no row if nothing is. */
export const candidateFaults = (
  further: readonly Fault[] = [],
) => `select json_agg(json_build_object('field', field, 'message', message))::text as details
  from candidate, lateral (values
    ${[...FAULTS, ...further].map(([field, message, isFaulty]) => `(${field}, '${message}', ${isFaulty})`).join(', ')}
  ) as checked (field, message, is_faulty)
  where is_faulty having count(*) > 0`;

/** The columns of lists that are built here and not by the database, in the order of `TASK_FIELDS`. */
export const LIST_COLUMNS = [
  { name: 'id', isJson: false, sql: 'id' },
  { name: 'user_id', isJson: false, sql: 'user_id' },
  ...content.map((column) => {
    const isJson = column.type === 'boolean' || column.type === 'text[]';
    return { name: column.name, isJson, sql: isJson ? `to_json(${column.name})::text` : answerSql(column) };
  }),
  ...['created_at', 'updated_at', 'deleted_at'].map((name) => ({ name, isJson: false, sql: utcText(name) })),
  { name: 'version', isJson: true, sql: 'version' },
];

/**
 * @param row has the values of `LIST_COLUMNS`, the first at `first`.
 * @returns JSON of the schema `Task`, byte for byte as the database builds it.
 */
export function taskJson(row: Row, first = 0): string {
  const fields = LIST_COLUMNS.map(({ name, isJson }, index) => {
    const value = row[first + index] ?? null;
    return `"${name}":${isJson ? value : JSON.stringify(value)}`;
  });
  return `{${fields.join(',')}}`;
}
