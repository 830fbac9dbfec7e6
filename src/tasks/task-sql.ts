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

const NEWEST = `select * from todo.tasks where user_id = $owner order by created_at desc, id desc limit ${MAX_TASKS_IN_LIST}`;
const AS_LIST = `'{"tasks":[' || coalesce(string_agg(row_to_json(task)::text, ','), '') || ']}'`;

/** Returns the list as JSON text. */
export const listTasks = sql<{ owner: UserId }>(
  'task_list',
  'read',
  `select ${AS_LIST} from (select ${TASK_FIELDS} from (${NEWEST}) as newest) as task`,
);

/** Bytes of all titles and descriptions, which escapes in JSON may make 6 times as many. */
const MAX_SHORT_LIST_BYTES = 131_072;

/** Returns the list as JSON text, or null if its texts are long. */
export const listShortTasks = sql<{ owner: UserId }>(
  'task_list_short',
  'read',
  `with newest as materialized (${NEWEST}),
     length as (select coalesce(sum(octet_length(title) + coalesce(octet_length(description), 0)), 0) as bytes from newest)
   select case when (select bytes from length) <= ${MAX_SHORT_LIST_BYTES} then ${AS_LIST} end
   from (
     select ${TASK_FIELDS} from newest where (select bytes from length) <= ${MAX_SHORT_LIST_BYTES}
   ) as task`,
);

const textColumn = (name: string) => ({ name, isJson: false, sql: name });
const timeColumn = (name: string) => ({ name, isJson: false, sql: utcText(name) });

/** The columns of `listLongTasks`, in the order of `TASK_FIELDS`. */
export const LONG_LIST_COLUMNS = [
  textColumn('id'),
  textColumn('user_id'),
  ...columns.map(({ name, type }) =>
    type === 'text' ? textColumn(name) : { name, isJson: true, sql: `to_json(${name})::text` },
  ),
  timeColumn('created_at'),
  timeColumn('updated_at'),
];

/** Returns a row for each task of the list, with `LONG_LIST_COLUMNS`: PostgreSQL takes long to escape long texts. */
export const listLongTasks = sql<{ owner: UserId }>(
  'task_list_long',
  'read',
  `select ${LONG_LIST_COLUMNS.map((column) => column.sql).join(', ')} from (${NEWEST}) as newest`,
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

/** Distinguishes the lock from other advisory locks of two keys. */
const LOCK_SPACE = 1;

/** Until the end of the transaction, others that count this user's tasks wait. */
export const lockTaskCount = sql<{ owner: UserId }>(
  'task_lock_count',
  'write',
  `select pg_advisory_xact_lock(${LOCK_SPACE}, hashtext($owner))`,
);

/** The SQLSTATE with which `countTasks` aborts the transaction. */
export const LIMIT_REACHED = 'TD001';

/** Returns how many tasks the user has, or aborts the transaction if these are `limit` or more. */
export const countTasks = sql<{ owner: UserId; limit: number }>(
  'task_count',
  'read',
  `select stored, case when stored >= $limit then todo.abort('${LIMIT_REACHED}', 'limit of tasks reached') end
   from (
     select count(*) as stored from (select from todo.tasks where user_id = $owner limit $limit) as task
   ) as counted`,
);

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
