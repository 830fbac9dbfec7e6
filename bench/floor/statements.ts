/*
 * A copy of the service's statements, for the floors and pgbench.
 */

export interface Statement {
  readonly name: string;
  readonly text: string;
}

/** Runs `statement` in a transaction with the row-level security of `user`. @returns its single value, or null. */
export type AsUser = (
  user: string,
  statement: Statement,
  values: readonly (string | boolean | null)[],
) => Promise<string | null>;

/** Sets the role and the user `$1` of row-level security for the transaction. */
export const SET_USER: Statement = {
  name: 'set_user',
  text: `select set_config('role', 'todo_app', true), set_config('app.user_id', $1, true)`,
};

const FIELDS = `id, user_id, title, description, is_completed,
  to_char(created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as created_at,
  to_char(updated_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as updated_at`;
const taskJson = (from: string) =>
  `select row_to_json(task)::text as json from (select ${FIELDS} from ${from}) as task`;
const changeJson = (change: string) => `with changed as (${change} returning *) ${taskJson('changed')}`;

export const LIST: Statement = {
  name: 'list',
  text: `select '{"tasks":[' || coalesce(string_agg(row_to_json(task)::text, ','), '') || ']}' as json
    from (select ${FIELDS} from (
      select * from todo.tasks where user_id = $1 and deleted_at is null order by created_at desc, id desc limit 1000
    ) as newest) as task`,
};
export const GET: Statement = { name: 'get', text: taskJson('todo.tasks where user_id = $1 and id = $2') };
export const INSERT: Statement = {
  name: 'insert',
  text: `with owner as (
      insert into todo.users (id) select $1 where not exists (select from todo.users where id = $1)
      on conflict (id) do nothing
    ), ${changeJson(`insert into todo.tasks (user_id, id, title, description, is_completed)
      values ($1, $2, $3, $4, $5)`).slice('with '.length)}`,
};
export const UPDATE: Statement = {
  name: 'update',
  text: changeJson(`update todo.tasks set title = coalesce($3, title),
    description = case when $4::boolean then $5 else description end,
    is_completed = coalesce($6, is_completed), updated_at = clock_timestamp() where user_id = $1 and id = $2`),
};
export const TOGGLE: Statement = {
  name: 'toggle',
  text: changeJson(`update todo.tasks set is_completed = not is_completed, updated_at = clock_timestamp()
    where user_id = $1 and id = $2`),
};
