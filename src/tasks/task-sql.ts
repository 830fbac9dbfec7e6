import type { Principal, UserId } from '../core/user.ts';
import { type BoundStatement, type SqlValue, sql, utcText } from '../database/sql.ts';
import { MAX_TASKS_IN_LIST, type TaskCreate, type TaskId, type TaskUpdate } from './task.ts';

interface Column {
  readonly type: string;
  /** SQL for the value in a task that is created without it. */
  readonly defaultSql: string;
}

/** The columns that users write, in the order of the answer: the one place where a new field enters the statements. */
const COLUMNS: Readonly<Record<keyof TaskCreate, Column>> = {
  title: { type: 'text', defaultSql: 'null' },
  description: { type: 'text', defaultSql: 'null' },
  is_completed: { type: 'boolean', defaultSql: 'false' },
};

const columns = Object.entries(COLUMNS).map(([name, column]) => ({ name, isGiven: `has_${name}`, ...column }));
const names = columns.map(({ name }) => name).join(', ');

/** The fields of a task, in the order of the contract. */
const TASK_FIELDS = `id, user_id, ${names}, ${utcText('created_at')}, ${utcText('updated_at')}`;

/** `updated_at` increases strictly, even if the clock does not. */
const NEXT_UPDATED_AT = `greatest(clock_timestamp(), updated_at + interval '1 microsecond')`;

/** Returns one row, id and JSON text, for each task written by `write`, after the common table expressions `before`. */
const returningTask = (write: string, before = '') => `with ${before} written as (${write} returning *)
  select id, row_to_json(task)::text from (select ${TASK_FIELDS} from written) as task`;

/** For each column that users write: whether `fields` has it, and its value. */
function parametersOf(fields: TaskUpdate): Record<string, SqlValue> {
  const given: Readonly<Partial<Record<string, SqlValue>>> = fields;
  const parameters: Record<string, SqlValue> = {};
  for (const { name, isGiven } of columns) {
    parameters[isGiven] = given[name] !== undefined;
    parameters[name] = given[name] ?? null;
  }
  return parameters;
}

export const listTasks = sql<{ owner: UserId }>(
  'task_list',
  'read',
  `select '{"tasks":[' || coalesce(string_agg(row_to_json(task)::text, ','), '') || ']}'
   from (
     select ${TASK_FIELDS}
     from (
       select * from todo.tasks where user_id = $owner order by created_at desc, id desc limit ${MAX_TASKS_IN_LIST}
     ) as newest
   ) as task`,
);

export const getTask = sql<{ owner: UserId; id: TaskId }>(
  'task_get',
  'read',
  `select id, row_to_json(task)::text from (select ${TASK_FIELDS} from todo.tasks where user_id = $owner and id = $id) as task`,
);

/** The user's row is created, or its email updated, in the same statement and only if needed. */
const insert = sql(
  'task_insert',
  'write',
  returningTask(
    `insert into todo.tasks (user_id, id, ${names}, created_at, updated_at)
     select $owner, $id::uuid, ${columns.map(({ name, isGiven, type, defaultSql }) => `case when $${isGiven} then $${name}::${type} else ${defaultSql} end`).join(', ')},
       now, now
     from clock_timestamp() as now`,
    `owner as (
       insert into todo.users (id, email)
       select $owner, $email::text
       where not exists (
         select from todo.users where id = $owner and ($email::text is null or email is not distinct from $email::text)
       )
       on conflict (id) do update set email = coalesce(excluded.email, users.email)
     ),`,
  ),
);

/** Creates a task, and its owner's row if that is missing. */
export const insertTask = (owner: Principal, id: string, task: TaskCreate): BoundStatement =>
  insert({ owner: owner.userId, email: owner.email, id, ...parametersOf(task) });

const update = sql(
  'task_update',
  'write',
  returningTask(
    `update todo.tasks set
       ${columns.map(({ name, isGiven, type }) => `${name} = case when $${isGiven} then $${name}::${type} else ${name} end`).join(', ')},
       updated_at = ${NEXT_UPDATED_AT}
     where user_id = $owner and id = $id::uuid`,
  ),
);

export const updateTask = (owner: UserId, id: TaskId, changes: TaskUpdate): BoundStatement =>
  update({ owner, id, ...parametersOf(changes) });

export const toggleTask = sql<{ owner: UserId; id: TaskId }>(
  'task_toggle',
  'write',
  returningTask(
    `update todo.tasks set is_completed = not is_completed, updated_at = ${NEXT_UPDATED_AT}
     where user_id = $owner and id = $id`,
  ),
);

export const deleteTask = sql<{ owner: UserId; id: TaskId }>(
  'task_delete',
  'write',
  'delete from todo.tasks where user_id = $owner and id = $id returning id',
);
