import { defineStatement, type Statement, utcText } from '../database/database.ts';

/** Rows in one page: little enough that requests wait a few milliseconds for it where they share its connection. */
export const PAGE_ROWS = 500;

const GIVEN_USERS = `json_to_recordset($1::json) as given(id text, email text, created_at timestamptz)`;

const GIVEN_TASKS = `json_to_recordset($1::json) as given(
  id uuid, user_id text, title text, description text, is_completed boolean, created_at timestamptz, updated_at timestamptz)`;

const PUT_TASKS = `insert into todo.tasks (user_id, id, title, description, is_completed, created_at, updated_at)
  select user_id, id, title, description, is_completed, created_at, updated_at from ${GIVEN_TASKS}
  on conflict (user_id, id)`;

/** All that the role `todo_operator` is ever asked. `id` and `user_id` are in the order of their bytes. */
export const OPERATOR_STATEMENTS = {
  /** How many users and tasks there are. */
  count: defineStatement(
    'operator_count',
    'read',
    'select (select count(*) from todo.users), (select count(*) from todo.tasks)',
  ),

  /** The page of users after user `$1`: id, JSON. */
  users_after: defineStatement(
    'operator_users_after',
    'read',
    `select id, row_to_json(page)::text from (
       select id, email, ${utcText('created_at')} from todo.users where id > $1 order by users.id limit ${PAGE_ROWS}
     ) as page`,
  ),

  /** The page of tasks after task `$2` of user `$1`: user's id, id, JSON. */
  tasks_after: defineStatement(
    'operator_tasks_after',
    'read',
    `select user_id, id, row_to_json(page)::text from (
       select id, user_id, title, description, is_completed, ${utcText('created_at')}, ${utcText('updated_at')}
       from todo.tasks where (user_id, id) > ($1, $2::uuid) order by tasks.user_id, tasks.id limit ${PAGE_ROWS}
     ) as page`,
  ),

  /** Makes those users of the JSON array `$1` who are not there: one row for each made. */
  put_users: defineStatement(
    'operator_put_users',
    'write',
    `insert into todo.users (id, email, created_at) select id, email, created_at from ${GIVEN_USERS}
     on conflict (id) do nothing returning ''`,
  ),

  /** Puts in those tasks of the JSON array `$1` that are not there: one row for each. */
  put_missing_tasks: defineStatement('operator_put_missing_tasks', 'write', `${PUT_TASKS} do nothing returning ''`),

  /** Puts in the tasks of the JSON array `$1`, over those that are there and differ: one row for each put. */
  put_tasks: defineStatement(
    'operator_put_tasks',
    'write',
    `${PUT_TASKS} do update set
       title = excluded.title, description = excluded.description, is_completed = excluded.is_completed,
       created_at = excluded.created_at, updated_at = excluded.updated_at
     where (tasks.title, tasks.description, tasks.is_completed, tasks.created_at, tasks.updated_at) is distinct from
       (excluded.title, excluded.description, excluded.is_completed, excluded.created_at, excluded.updated_at)
     returning ''`,
  ),
} as const satisfies Record<string, Statement>;

export type OperatorStatement = keyof typeof OPERATOR_STATEMENTS;

export function isOperatorStatement(name: string): name is OperatorStatement {
  return Object.hasOwn(OPERATOR_STATEMENTS, name);
}
