import type { UserId } from '../core/user.ts';
import { type BoundStatement, type SqlValue, sql } from '../database/sql.ts';
import { type Effect, effect } from '../writes/effect.ts';
import {
  BLANK_VALUES,
  BLANKED_VALUES,
  CHANGED_VALUES,
  NAMES,
  NEW_VALUES,
  parametersOf,
  TASK_FIELDS,
} from './columns.ts';
import type { TaskCreate, TaskId, TaskUpdate } from './task.ts';

/** Which versions a write accepts; null accepts all. */
export type Expected = readonly number[] | null;

const OWN = 'user_id = $owner and id = $id::uuid';
const EXPECTED = '($versions::bigint[] is null or version = any($versions::bigint[]))';
/** Under the lock of the user's row, in a statement after the lock. */
const WITHIN_LIMIT = '($limit::integer = 0 or (select tasks from todo.users where id = $owner) < $limit)';

/** `updated_at` increases strictly, even if the clock does not. */
const NEXT_UPDATED_AT = `greatest(clock_timestamp(), updated_at + interval '1 microsecond')`;

const found = (condition: string) => `found as (select * from todo.tasks where ${OWN} and ${condition})`;

/** A query of the outcome: the `kind`, with the task that one of `rows` has. */
const outcomeWith = (kind: string, rows: string) => `
  select ${kind} as kind, task.id, task.version, task.json
  from (values (0)) as always left join (
    select id, version, row_to_json(fields)::text as json from (select ${TASK_FIELDS} from (${rows}) as task) as fields
  ) as task on true`;

const WRITTEN_OR_FOUND = `select * from written union all select * from found where not exists (select from written)`;
const IS_WRITTEN = 'exists (select from written)';
const IS_FOUND = 'exists (select from found)';

const versions = (expected: Expected) => (expected === null ? null : `{${expected.join(',')}}`);

const insertInto = (condition: string) => `
  insert into todo.tasks (user_id, id, ${NAMES}, created_at, updated_at)
  select $owner, $id::uuid, ${NEW_VALUES}, now, now from clock_timestamp() as now
  where ${condition} and ${WITHIN_LIMIT}
  returning *`;

const insert = effect<Record<string, SqlValue>>(
  'task_insert',
  `${found('true')}, written as (${insertInto(`not ${IS_FOUND}`)})`,
  outcomeWith(
    `case when ${IS_WRITTEN} then 'created'
       when exists (select from found where deleted_at is null) then 'exists'
       when ${IS_FOUND} then 'taken' else 'limit' end`,
    `select * from written union all select * from found where deleted_at is null`,
  ),
);

/** Creates a task. Outcomes: `created`, `exists`, `taken`, `limit`. */
export const insertTask = (owner: UserId, id: string, task: TaskCreate, limit: number): Effect =>
  insert({ owner, id, limit, ...parametersOf(task) });

const isChanged = (values: string) => `(${NAMES}) is distinct from (${values})`;

const updateSet = (values: string) => `
  update todo.tasks
  set (${NAMES}) = row(${values}), updated_at = case when ${isChanged(values)} then ${NEXT_UPDATED_AT} else updated_at end
  where ${OWN} and deleted_at is null and ${EXPECTED}
  returning *`;

const update = effect<Record<string, SqlValue>>(
  'task_update',
  `${found('deleted_at is null')}, written as (${updateSet(CHANGED_VALUES)})`,
  outcomeWith(
    `case when ${IS_WRITTEN} then 'changed' when not ${IS_FOUND} then 'missing'
       when exists (select from found where not (${isChanged(CHANGED_VALUES)})) then 'changed' else 'stale' end`,
    WRITTEN_OR_FOUND,
  ),
);

/** Changes the given fields. Outcomes: `changed`, also if it has all values already; `missing`, `stale`. */
export const updateTask = (owner: UserId, id: TaskId, changes: TaskUpdate, expected: Expected): Effect =>
  update({ owner, id, versions: versions(expected), ...parametersOf(changes) });

const put = effect<Record<string, SqlValue>>(
  'task_put',
  `${found('true')}, replaced as (${updateSet(NEW_VALUES)}),
   inserted as (${insertInto(`$versions::bigint[] is null and not ${IS_FOUND}`)}),
   written as (select * from replaced union all select * from inserted)`,
  outcomeWith(
    `case when exists (select from inserted) then 'created' when exists (select from replaced) then 'changed'
       when exists (select from found where deleted_at is not null) then 'taken'
       when exists (select from found where not (${isChanged(NEW_VALUES)})) then 'changed'
       when ${IS_FOUND} then 'stale' when $versions::bigint[] is not null then 'missing' else 'limit' end`,
    `select * from written union all select * from found where deleted_at is null and not ${IS_WRITTEN}`,
  ),
);

/** Replaces or creates a task. Outcomes: `created`, `changed`, `missing` if versions are expected, `stale`, `taken`, `limit`. */
export const putTask = (owner: UserId, id: TaskId, task: TaskCreate, expected: Expected, limit: number): Effect =>
  put({ owner, id, limit, versions: versions(expected), ...parametersOf(task) });

const toggle = effect<{ id: TaskId; versions: string | null }>(
  'task_toggle',
  `${found('deleted_at is null')}, written as (
     update todo.tasks set is_completed = not is_completed, updated_at = ${NEXT_UPDATED_AT}
     where ${OWN} and deleted_at is null and ${EXPECTED} returning *
   )`,
  outcomeWith(
    `case when ${IS_WRITTEN} then 'changed' when ${IS_FOUND} then 'stale' else 'missing' end`,
    WRITTEN_OR_FOUND,
  ),
);

/** Inverts `is_completed`. Outcomes: `changed`, `missing`, `stale`. */
export const toggleTask = (owner: UserId, id: TaskId, expected: Expected): Effect =>
  toggle({ owner, id, versions: versions(expected) });

const MAY_BE_DELETED = '(deleted_at is null or ($permanent::boolean and title is not null))';

const remove = effect<{
  id: TaskId;
  versions: string | null;
  permanent: boolean;
  blank: boolean;
  absent: 'missing' | 'deleted';
}>(
  'task_delete',
  `${found(MAY_BE_DELETED)}, written as (
     update todo.tasks set deleted_at = coalesce(deleted_at, clock_timestamp()), updated_at = ${NEXT_UPDATED_AT},
       (${NAMES}) = row(${BLANKED_VALUES})
     where ${OWN} and ${MAY_BE_DELETED} and ${EXPECTED} returning *
   )`,
  `select case when ${IS_WRITTEN} then 'deleted' when ${IS_FOUND} then 'stale' else $absent end as kind,
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

const blankOldest = sql<{ owner: UserId; limit: number }>(
  'task_blank_oldest',
  'write',
  `update todo.tasks set (${NAMES}) = row(${BLANK_VALUES}), updated_at = ${NEXT_UPDATED_AT}
   where user_id = $owner and id = any(array(
     select id from todo.tasks where user_id = $owner and deleted_at is not null and title is not null
     order by deleted_at, id
     limit greatest(0, (select trash from todo.users where id = $owner) - $limit::integer)
   ))`,
);

/** Blanks the oldest deleted tasks beyond `limit` of them. */
export const blankOldestDeleted = (owner: UserId, limit: number): BoundStatement => blankOldest({ owner, limit });

const restore = effect<{ id: TaskId; versions: string | null; limit: number }>(
  'task_restore',
  `${found('deleted_at is not null and title is not null')}, written as (
     update todo.tasks set deleted_at = null, updated_at = ${NEXT_UPDATED_AT}
     where ${OWN} and deleted_at is not null and title is not null and ${EXPECTED} and ${WITHIN_LIMIT} returning *
   )`,
  outcomeWith(
    `case when ${IS_WRITTEN} then 'changed' when not ${IS_FOUND} then 'missing'
       when exists (select from found where ${EXPECTED}) then 'limit' else 'stale' end`,
    WRITTEN_OR_FOUND,
  ),
);

/** Brings a deleted task back. Outcomes: `changed`, `missing`, `stale`, `limit`. */
export const restoreTask = (owner: UserId, id: TaskId, expected: Expected, limit: number): Effect =>
  restore({ owner, id, limit, versions: versions(expected) });
