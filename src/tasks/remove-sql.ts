import type { UserId } from '../core/user.ts';
import { type BoundStatement, sql } from '../database/sql.ts';
import { type Effect, effect } from '../writes/effect.ts';
import { BLANK_VALUES, BLANKED_VALUES, NAMES, TASK_FIELDS } from './columns.ts';
import {
  childrenOf,
  EXPECTED,
  type Expected,
  found,
  IS_IN_TRASH,
  IS_LIVE,
  IS_WRITTEN,
  isFound,
  MAX_DEPTH,
  NEXT_UPDATED_AT,
  numberAt,
  outcomeWith,
  versions,
} from './parts-sql.ts';
import type { TaskId } from './task.ts';

/**
 * The task in `found` and what is below it that shares its state: all that is not deleted, or all that was deleted with
 * it. The task itself has the last number.
 */
const whole = (condition: string) => `whole as materialized (
  with recursive down (id, deleted_at, level) as (
    select id, deleted_at, 1 from found where ${condition}
    union all
    select tasks.id, tasks.deleted_at, level + 1 from down, ${childrenOf('down')}
    where tasks.title is not null and tasks.deleted_at is not distinct from down.deleted_at and level < ${MAX_DEPTH}
  )
  select id, deleted_at, row_number() over () as number from down where level > 1
  union all
  select id, deleted_at, (select count(*) from down) from down where level = 1
)`;
const SIZE = '(select count(*) from whole)';
const LIVE = '(select count(*) from whole where deleted_at is null)';

/** Takes a number for each task in `whole` if `condition` holds, and counts. */
const numberedWhole = (condition: string, tasks: string, trash: string) => `numbered as (
  update todo.users set version = version + ${SIZE}, tasks = users.tasks + ${tasks}, trash = users.trash + ${trash}
  where id = $owner and ${SIZE} > 0 and ${condition}
  returning version - ${SIZE} as first
)`;

const updateWhole = (assignments: string, source = '') => `
  update todo.tasks set ${assignments}, updated_at = ${NEXT_UPDATED_AT}, version = ${numberAt('whole.number')}
  from numbered, whole, clock_timestamp() as now ${source} where tasks.user_id = $owner and tasks.id = whole.id
  returning tasks.*`;
const WRITTEN_ITSELF = 'select * from written where id = $id::uuid';

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
   ${whole(EXPECTED)},
   ${numberedWhole('true', `(-${LIVE})`, `case when $blank::boolean then ${LIVE} - ${SIZE} else ${LIVE} end`)},
   written as (${updateWhole(`deleted_at = coalesce(tasks.deleted_at, now), (${NAMES}) = row(${BLANKED_VALUES})`)})`,
  `select case when ${IS_WRITTEN} then 'deleted' when ${isFound()} then 'stale' else $absent end as kind,
     $id::uuid as id, task.version, task.json
   from (values (0)) as always left join (
     select version, null as json from (${WRITTEN_ITSELF}) as written union all
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

/** Deletes a task and what is below it. Outcomes: `deleted`, `missing`, `stale`. */
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
  `${found(IS_IN_TRASH)}, ${whole(EXPECTED)},
   parent as (
     select tasks.id, tasks.list_id from found join todo.tasks on tasks.user_id = $owner and tasks.id = found.parent_id
     where tasks.deleted_at is null
   ),
   place as (
     select (select id from parent) as parent_id,
       case when exists (select from parent) then (select list_id from parent) else (
         select id from todo.lists where user_id = $owner and lists.id = found.list_id and lists.deleted_at is null
       ) end as list_id
     from found
   ),
   ${numberedWhole(`($limit::integer = 0 or users.tasks + ${SIZE} <= $limit)`, SIZE, `(-${SIZE})`)},
   written as (${updateWhole(
     `deleted_at = null, list_id = place.list_id,
      parent_id = case when tasks.id = $id::uuid then place.parent_id else tasks.parent_id end`,
     ', place',
   )})`,
  outcomeWith(
    `case when ${IS_WRITTEN} then 'changed' when not ${isFound()} then 'missing'
       when ${isFound(EXPECTED)} then 'limit' else 'stale' end`,
    `${WRITTEN_ITSELF} union all select * from found where not ${IS_WRITTEN}`,
  ),
);

/** Brings a deleted task back, with what was deleted with it from below it; on the top level if its parent is deleted, in the inbox if its list is. Outcomes: `changed`, `missing`, `stale`, `limit`. */
export const restoreTask = (owner: UserId, id: TaskId, expected: Expected, limit: number): Effect =>
  restore({ owner, id, limit, versions: versions(expected) });
