import { type Row, type SqlValue, utcText } from '../database/sql.ts';
import type { TaskCreate, TaskUpdate } from './task.ts';

interface Column {
  readonly type: string;
  /** SQL for the value in a task that is created without it. */
  readonly defaultSql: string;
  /** SQL for the value in a task whose content is gone. */
  readonly blankSql: string;
}

/** The columns that users write, in the order of the answer: the one place where a new field enters the statements. */
const COLUMNS: Readonly<Record<keyof TaskCreate, Column>> = {
  title: { type: 'text', defaultSql: 'null', blankSql: 'null' },
  description: { type: 'text', defaultSql: 'null', blankSql: 'null' },
  is_completed: { type: 'boolean', defaultSql: 'false', blankSql: 'false' },
};

const columns = Object.entries(COLUMNS).map(([name, column]) => ({ name, isGiven: `has_${name}`, ...column }));

/** Their names. */
export const NAMES = columns.map(({ name }) => name).join(', ');

/** The fields of a task, in the order of the contract. */
export const TASK_FIELDS = `id, user_id, ${NAMES}, ${utcText('created_at')}, ${utcText('updated_at')},
  ${utcText('deleted_at')}, version`;

/** For each column that users write: whether `fields` has it, and its value. */
export function parametersOf(fields: TaskUpdate): Record<string, SqlValue> {
  const given: Readonly<Partial<Record<string, SqlValue>>> = fields;
  const parameters: Record<string, SqlValue> = {};
  for (const { name, isGiven } of columns) {
    parameters[isGiven] = given[name] !== undefined;
    parameters[name] = given[name] ?? null;
  }
  return parameters;
}

/** Of a new task: what is given, else the defaults. */
export const NEW_VALUES = columns
  .map(({ name, isGiven, type, defaultSql }) => `case when $${isGiven} then $${name}::${type} else ${defaultSql} end`)
  .join(', ');

/** Of each new task in `fields`, a `jsonb` object: what it has, else the defaults. */
export const NEW_VALUES_IN_JSON = columns
  .map(
    ({ name, type, defaultSql }) =>
      `case when fields ? '${name}' then (fields ->> '${name}')::${type} else ${defaultSql} end`,
  )
  .join(', ');

/** Of a task that is changed: what is given, else what it has. */
export const CHANGED_VALUES = columns
  .map(({ name, isGiven, type }) => `case when $${isGiven} then $${name}::${type} else ${name} end`)
  .join(', ');

/** Of a task whose content goes if the boolean parameter `blank` is true. */
export const BLANKED_VALUES = columns
  .map(({ name, type, blankSql }) => `case when $blank then ${blankSql}::${type} else ${name} end`)
  .join(', ');

/** Of a task whose content goes. */
export const BLANK_VALUES = columns.map(({ type, blankSql }) => `${blankSql}::${type}`).join(', ');

const textColumn = (name: string) => ({ name, isJson: false, sql: name });
const timeColumn = (name: string) => ({ name, isJson: false, sql: utcText(name) });

/** The columns of lists that are built here and not by the database, in the order of `TASK_FIELDS`. */
export const LIST_COLUMNS = [
  textColumn('id'),
  textColumn('user_id'),
  ...columns.map(({ name, type }) =>
    type === 'text' ? textColumn(name) : { name, isJson: true, sql: `to_json(${name})::text` },
  ),
  timeColumn('created_at'),
  timeColumn('updated_at'),
  timeColumn('deleted_at'),
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
