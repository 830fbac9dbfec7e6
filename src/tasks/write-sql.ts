import type { Principal, UserId } from '../core/user.ts';
import { type BoundStatement, type SqlValue, sql } from '../database/sql.ts';
import { type Effect, effect, USER_MISSING } from '../writes/effect.ts';
import {
  BLANK_VALUES,
  BLANKED_VALUES,
  CHANGED_VALUES,
  NAMES,
  NEW_VALUES,
  NEW_VALUES_IN_JSON,
  parametersOf,
  TASK_FIELDS,
} from './columns.ts';
import type { TaskCreate, TaskId, TaskUpdate } from './task.ts';

/** Which versions a write accepts; null accepts all. */
export type Expected = readonly number[] | null;

const OWN = 'user_id = $owner and id = $id::uuid';
const EXPECTED = '($versions::bigint[] is null or version = any($versions::bigint[]))';
const WITHIN_LIMIT = '($limit::integer = 0 or users.tasks < $limit)';

/** `updated_at` increases strictly, even if the clock does not. */
export const NEXT_UPDATED_AT = `greatest(clock_timestamp(), updated_at + interval '1 microsecond')`;

const IS_LIVE = 'deleted_at is null';
export const IS_IN_TRASH = 'deleted_at is not null and title is not null';

const found = (condition: string) => `found as (select * from todo.tasks where ${OWN} and ${condition})`;
const isFound = (condition = 'true') => `exists (select from found where ${condition})`;
const IS_WRITTEN = 'exists (select from written)';

/** Tells the trigger of `todo.tasks` that the row has its number. */
const NUMBER = `version, set_config('todo.number', version::text, true)`;

/** Takes the user's next number if `condition` holds, and counts. */
const numbered = (condition: string, tasks = '0', trash = '0') => `numbered as (
  update todo.users set version = version + 1, tasks = users.tasks + ${tasks}, trash = trash + ${trash}
  where id = $owner and ${condition}
  returning ${NUMBER}
)`;

const insertFrom = (condition: string) => `
  insert into todo.tasks (user_id, id, ${NAMES}, created_at, updated_at, version)
  select $owner, $id::uuid, ${NEW_VALUES}, now, now, numbered.version from numbered, clock_timestamp() as now
  where ${condition}
  returning *`;

const updateFrom = (assignments: string, condition = 'true') => `
  update todo.tasks set ${assignments}, updated_at = ${NEXT_UPDATED_AT}, version = numbered.version
  from numbered where ${OWN} and ${condition}
  returning tasks.*`;

/** A query of the outcome: the `kind`, with the task that one of `rows` has. */
const outcomeWith = (kind: string, rows: string) => `
  select ${kind} as kind, task.id, task.version, task.json
  from (values (0)) as always left join (
    select id, version, row_to_json(fields)::text as json from (select ${TASK_FIELDS} from (${rows}) as task) as fields
  ) as task on true`;

const WRITTEN_OR_FOUND = `select * from written union all select * from found where not ${IS_WRITTEN}`;

const versions = (expected: Expected) => (expected === null ? null : `{${expected.join(',')}}`);

const insert = effect<Record<string, SqlValue>>(
  'task_insert',
  'nothing',
  `numbered as (
     update todo.users set version = version + 1, tasks = users.tasks + 1, email = coalesce($email, email)
     where id = $owner and ${WITHIN_LIMIT}
     returning ${NUMBER}
   ),
   written as (${insertFrom('true')})`,
  outcomeWith(
    `case when ${IS_WRITTEN} then 'created' when exists (select from todo.users where id = $owner) then 'limit'
       else todo.abort('${USER_MISSING}', 'the user has no row')::text end`,
    'select * from written',
  ),
);

/** Creates a task. Outcomes: `created`, `limit`. */
export const insertTask = ({ userId: owner, email }: Principal, id: string, task: TaskCreate, limit: number): Effect =>
  insert({ owner, email, id, limit, ...parametersOf(task) });

const ROOM = 'case when $limit::integer = 0 then $count::integer else least($count, $limit - tasks) end';

const insertMany = effect<Record<string, SqlValue>>(
  'task_insert_many',
  'user',
  `room as (select greatest(0, ${ROOM}) as size from todo.users where id = $owner),
   numbered as (
     update todo.users set version = version + size, tasks = users.tasks + size from room
     where id = $owner and size > 0
     returning version - size as first, size
   ),
   written as (
     insert into todo.tasks (user_id, id, ${NAMES}, created_at, updated_at, version)
     select $owner, (fields ->> 'id')::uuid, ${NEW_VALUES_IN_JSON}, now, now,
       set_config('todo.number', (first + place)::text, true)::bigint
     from numbered, jsonb_array_elements($tasks::jsonb) with ordinality as task (fields, place), clock_timestamp() as now
     where place <= size
     returning *
   )`,
  `select 'created' as kind, id, version, row_to_json(task)::text as json
   from (select ${TASK_FIELDS} from written) as task
   union all select 'limit', null, null, null
   from generate_series(coalesce((select size from numbered), 0) + 1, $count)`,
);

/** Creates `tasks` in their order, under `ids`, as far as the limit allows. Outcomes of each: `created`, `limit`. */
export const insertTasks = (
  owner: UserId,
  ids: readonly string[],
  tasks: readonly TaskCreate[],
  limit: number,
): Effect => ({
  ...insertMany({
    owner,
    limit,
    count: tasks.length,
    tasks: tasks.map((task, index) => ({ ...task, id: ids[index] })),
  }),
  size: tasks.length,
});

const insertAs = effect<Record<string, SqlValue>>(
  'task_insert_as',
  'user',
  `${found('true')}, ${numbered(`not ${isFound()} and ${WITHIN_LIMIT}`, '1')}, written as (${insertFrom('true')})`,
  outcomeWith(
    `case when ${IS_WRITTEN} then 'created' when ${isFound(IS_LIVE)} then 'exists'
       when ${isFound()} then 'taken' else 'limit' end`,
    `select * from written union all select * from found where ${IS_LIVE}`,
  ),
);

/** Creates a task under an id of the client's. Outcomes: `created`, `exists`, `taken`, `limit`. */
export const insertTaskAs = (owner: UserId, id: TaskId, task: TaskCreate, limit: number): Effect =>
  insertAs({ owner, id, limit, ...parametersOf(task) });

const isChanged = (values: string) => `(${NAMES}) is distinct from (${values})`;

const update = effect<Record<string, SqlValue>>(
  'task_update',
  'lock',
  `${found(IS_LIVE)}, ${numbered(isFound(`${EXPECTED} and ${isChanged(CHANGED_VALUES)}`))},
   written as (${updateFrom(`(${NAMES}) = row(${CHANGED_VALUES})`)})`,
  outcomeWith(
    `case when ${IS_WRITTEN} then 'changed' when not ${isFound()} then 'missing'
       when ${isFound(`${EXPECTED} or not ${isChanged(CHANGED_VALUES)}`)} then 'changed' else 'stale' end`,
    WRITTEN_OR_FOUND,
  ),
);

/** Changes the given fields. Outcomes: `changed`, also if it has all values already; `missing`, `stale`. */
export const updateTask = (owner: UserId, id: TaskId, changes: TaskUpdate, expected: Expected): Effect =>
  update({ owner, id, versions: versions(expected), ...parametersOf(changes) });

const MUST_BE_REPLACED = isFound(`${IS_LIVE} and ${EXPECTED} and ${isChanged(NEW_VALUES)}`);
const MAY_BE_INSERTED = `$versions::bigint[] is null and not ${isFound()} and ${WITHIN_LIMIT}`;

const put = effect<Record<string, SqlValue>>(
  'task_put',
  'user',
  `${found('true')}, ${numbered(`(${MUST_BE_REPLACED} or ${MAY_BE_INSERTED})`, `(not ${isFound()})::integer`)},
   replaced as (${updateFrom(`(${NAMES}) = row(${NEW_VALUES})`, isFound())}),
   inserted as (${insertFrom(`not ${isFound()}`)}),
   written as (select * from replaced union all select * from inserted)`,
  outcomeWith(
    `case when exists (select from inserted) then 'created' when ${IS_WRITTEN} then 'changed'
       when ${isFound('deleted_at is not null')} then 'taken'
       when ${isFound(`${EXPECTED} or not ${isChanged(NEW_VALUES)}`)} then 'changed' when ${isFound()} then 'stale'
       when $versions::bigint[] is not null then 'missing' else 'limit' end`,
    `select * from written union all select * from found where ${IS_LIVE} and not ${IS_WRITTEN}`,
  ),
);

/** Replaces or creates a task. Outcomes: `created`, `changed`, `missing` if versions are expected, `stale`, `taken`, `limit`. */
export const putTask = (owner: UserId, id: TaskId, task: TaskCreate, expected: Expected, limit: number): Effect =>
  put({ owner, id, limit, versions: versions(expected), ...parametersOf(task) });

const toggle = effect<{ id: TaskId; versions: string | null }>(
  'task_toggle',
  'lock',
  `${found(IS_LIVE)}, ${numbered(isFound(EXPECTED))},
   written as (${updateFrom('is_completed = not is_completed')})`,
  outcomeWith(
    `case when ${IS_WRITTEN} then 'changed' when ${isFound()} then 'stale' else 'missing' end`,
    WRITTEN_OR_FOUND,
  ),
);

/** Inverts `is_completed`. Outcomes: `changed`, `missing`, `stale`. */
export const toggleTask = (owner: UserId, id: TaskId, expected: Expected): Effect =>
  toggle({ owner, id, versions: versions(expected) });

const remove = effect<{
  id: TaskId;
  versions: string | null;
  permanent: boolean;
  blank: boolean;
  absent: 'missing' | 'deleted';
}>(
  'task_delete',
  'lock',
  `${found(`(${IS_LIVE} or ($permanent::boolean and ${IS_IN_TRASH}))`)},
   ${numbered(
     isFound(EXPECTED),
     `(-(${isFound(IS_LIVE)})::integer)`,
     `((not $blank::boolean)::integer - (${isFound(IS_IN_TRASH)})::integer)`,
   )},
   written as (${updateFrom(`deleted_at = coalesce(deleted_at, clock_timestamp()), (${NAMES}) = row(${BLANKED_VALUES})`)})`,
  `select case when ${IS_WRITTEN} then 'deleted' when ${isFound()} then 'stale' else $absent end as kind,
     $id::uuid as id, task.version, task.json
   from (values (0)) as always left join (
     select version, null as json from written union all
     select version, row_to_json(fields)::text from (select ${TASK_FIELDS} from found where not ${IS_WRITTEN}) as fields
   ) as task on true`,
);

export interface Deletion {
  /** Whether the content goes at once, also that of a task that is deleted already. */
  readonly isPermanent: boolean;
  /** Whether the content of what is deleted is kept for a while. */
  readonly keepsContent: boolean;
  /** The outcome if there is no such task. */
  readonly absent: 'missing' | 'deleted';
}

/** Deletes a task. Outcomes: `deleted`, `missing`, `stale`. */
export const deleteTask = (owner: UserId, id: TaskId, deletion: Deletion, expected: Expected): Effect =>
  remove({
    owner,
    id,
    versions: versions(expected),
    permanent: deletion.isPermanent,
    blank: deletion.isPermanent || !deletion.keepsContent,
    absent: deletion.absent,
  });

/** More than one request can delete, and few for one statement: a limit that was lowered is reached by and by. */
const MAX_BLANKED_AT_ONCE = 200;

const blankOldest = sql<{ owner: UserId; limit: number }>(
  'task_blank_oldest',
  'write',
  `update todo.tasks set (${NAMES}) = row(${BLANK_VALUES}), updated_at = ${NEXT_UPDATED_AT}
   where user_id = $owner and id = any(array(
     select id from todo.tasks where user_id = $owner and ${IS_IN_TRASH} order by deleted_at, id
     limit least(
       ${MAX_BLANKED_AT_ONCE}, greatest(0, (select trash from todo.users where id = $owner) - $limit::integer)
     )
   ))`,
);

/** Blanks the oldest deleted tasks beyond `limit` of them. */
export const blankOldestDeleted = (owner: UserId, limit: number): BoundStatement => blankOldest({ owner, limit });

const restore = effect<{ id: TaskId; versions: string | null; limit: number }>(
  'task_restore',
  'lock',
  `${found(IS_IN_TRASH)}, ${numbered(`${isFound(EXPECTED)} and ${WITHIN_LIMIT}`, '1', '(-1)')},
   written as (${updateFrom('deleted_at = null')})`,
  outcomeWith(
    `case when ${IS_WRITTEN} then 'changed' when not ${isFound()} then 'missing'
       when ${isFound(EXPECTED)} then 'limit' else 'stale' end`,
    WRITTEN_OR_FOUND,
  ),
);

/** Brings a deleted task back. Outcomes: `changed`, `missing`, `stale`, `limit`. */
export const restoreTask = (owner: UserId, id: TaskId, expected: Expected, limit: number): Effect =>
  restore({ owner, id, limit, versions: versions(expected) });
