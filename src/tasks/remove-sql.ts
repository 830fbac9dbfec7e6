import type { UserId } from '../core/user.ts';
import { type BoundStatement, sql } from '../database/sql.ts';
import { type Effect, effect } from '../writes/effect.ts';
import { BLANK_VALUES, BLANKED_VALUES, NAMES, TASK_FIELDS } from './columns.ts';
import {
  EXPECTED,
  type Expected,
  found,
  IS_IN_TRASH,
  IS_LIVE,
  IS_WRITTEN,
  isFound,
  NEXT_UPDATED_AT,
  numbered,
  outcomeWith,
  updateFrom,
  versions,
  WITHIN_LIMIT,
  WRITTEN_OR_FOUND,
} from './parts-sql.ts';
import type { TaskId } from './task.ts';

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
