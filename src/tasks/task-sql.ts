import type { Principal, UserId } from '../core/user.ts';
import { type Database, defineStatement, type Row, utcText } from '../database/database.ts';
import { MAX_TASKS_IN_LIST, type NewTask, type TaskChange, type TaskId } from './task.ts';

/** The seven fields of a task, in the order of the contract. */
const FIELDS = `id, user_id, title, description, is_completed,
  ${utcText('created_at')}, ${utcText('updated_at')}`;

/** Answers with the JSON text of the task that the common table expression `name` returned, or with no row. */
const taskJson = (name: string, expressions: string) => `with ${expressions}
  select row_to_json(task)::text from (select ${FIELDS} from ${name}) as task`;

/** Later than the last change even where the clock stands still or several changes share an instant. */
const MOVED_ON = `greatest(clock_timestamp(), updated_at + interval '1 microsecond')`;

const LIST = defineStatement(
  'task_list',
  'read',
  `select '{"tasks":[' || coalesce(string_agg(row_to_json(task)::text, ','), '') || ']}'
   from (
     select ${FIELDS}
     from (
       select * from todo.tasks where user_id = $1 order by created_at desc, id desc limit ${MAX_TASKS_IN_LIST}
     ) as newest
   ) as task`,
);

const GET = defineStatement(
  'task_get',
  'read',
  `select row_to_json(task)::text from (select ${FIELDS} from todo.tasks where user_id = $1 and id = $2) as task`,
);

/** The user's row is made, or its email brought up to date, in the same statement, and only where that is needed. */
const INSERT = defineStatement(
  'task_insert',
  'write',
  taskJson(
    'created',
    `owner as (
       insert into todo.users (id, email)
       select $1, $2::text
       where not exists (
         select from todo.users where id = $1 and ($2::text is null or email is not distinct from $2::text)
       )
       on conflict (id) do update set email = coalesce(excluded.email, users.email)
     ),
     created as (
       insert into todo.tasks (user_id, id, title, description, is_completed, created_at, updated_at)
       select $1, $3::uuid, $4, $5, $6::boolean, now, now from clock_timestamp() as now
       returning *
     )`,
  ),
);

const UPDATE = defineStatement(
  'task_update',
  'write',
  taskJson(
    'changed',
    `changed as (
       update todo.tasks set
         title = coalesce($3, title),
         description = case when $4::boolean then $5 else description end,
         is_completed = coalesce($6, is_completed),
         updated_at = ${MOVED_ON}
       where user_id = $1 and id = $2
       returning *
     )`,
  ),
);

const TOGGLE = defineStatement(
  'task_toggle',
  'write',
  taskJson(
    'toggled',
    `toggled as (
       update todo.tasks set is_completed = not is_completed, updated_at = ${MOVED_ON}
       where user_id = $1 and id = $2
       returning *
     )`,
  ),
);

const DELETE = defineStatement(
  'task_delete',
  'write',
  'delete from todo.tasks where user_id = $1 and id = $2 returning id',
);

/** The first column of the only row, or null where there is no row. */
function onlyText(rows: readonly Row[]): string | null {
  return rows[0]?.[0] ?? null;
}

const booleanText = (value: boolean) => (value ? 'true' : 'false');

export async function listTasks(database: Database, owner: UserId): Promise<string | null> {
  return onlyText(await database.asUser(owner, LIST, [owner]));
}

export async function getTask(database: Database, owner: UserId, id: TaskId): Promise<string | null> {
  return onlyText(await database.asUser(owner, GET, [owner, id]));
}

export async function insertTask(
  database: Database,
  owner: Principal,
  id: string,
  task: NewTask,
): Promise<string | null> {
  const { title, description = null, is_completed = false } = task;
  const values = [owner.userId, owner.email, id, title, description, booleanText(is_completed)];
  return onlyText(await database.asUser(owner.userId, INSERT, values));
}

export async function updateTask(
  database: Database,
  owner: UserId,
  id: TaskId,
  change: TaskChange,
): Promise<string | null> {
  const { title = null, description, is_completed } = change;
  const describes = booleanText(description !== undefined);
  const completes = is_completed === undefined ? null : booleanText(is_completed);
  return onlyText(await database.asUser(owner, UPDATE, [owner, id, title, describes, description ?? null, completes]));
}

export async function toggleTask(database: Database, owner: UserId, id: TaskId): Promise<string | null> {
  return onlyText(await database.asUser(owner, TOGGLE, [owner, id]));
}

export async function deleteTask(database: Database, owner: UserId, id: TaskId): Promise<string | null> {
  return onlyText(await database.asUser(owner, DELETE, [owner, id]));
}
