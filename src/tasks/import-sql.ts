import type { UserId } from '../core/user.ts';
import type { SqlValue } from '../database/sql.ts';
import { type Effect, effect } from '../writes/effect.ts';
import { IN_PARAMETERS, importedValues, isPlaced, NAMES, parametersOf, UNPLACED_PARAMETERS } from './columns.ts';
import {
  found,
  IS_FAULTY,
  IS_LIVE,
  IS_WRITTEN,
  isFound,
  NEXT_UPDATED_AT,
  numbered,
  OWN,
  orFaults,
  WITHIN_LIMIT,
} from './parts-sql.ts';
import { placed } from './placed-sql.ts';
import type { TaskCreate, TaskId } from './task.ts';

/** When a task was created and completed elsewhere, RFC 3339; null if that is not known, or not so. */
export interface History {
  readonly createdAt: string | null;
  readonly completedAt: string | null;
}

const CREATED_AT = 'least(coalesce($created_at::timestamptz, now), now)';
/** There is none, or its content is gone. */
const IS_FREE = `not ${isFound('title is not null')}`;
const MAY_BE_MADE = `${IS_FREE} and ${WITHIN_LIMIT}`;

const outcome = (other: string) => `select case when ${IS_WRITTEN} then 'created' when ${isFound(IS_LIVE)} then 'exists'
    when not (${IS_FREE}) then 'taken' ${other} else 'limit' end as kind,
  $id::uuid as id, null::bigint as version, null::text as json`;

const VALUES = importedValues(UNPLACED_PARAMETERS);

const importOne = effect<Record<string, SqlValue>>(
  'task_import',
  'user',
  `${found('true')},
   ${numbered(MAY_BE_MADE, '1')},
   inserted as (
     insert into todo.tasks (user_id, id, ${NAMES}, created_at, updated_at, version)
     select $owner, $id::uuid, ${VALUES}, ${CREATED_AT}, now, numbered.version
     from numbered, clock_timestamp() as now where not ${isFound()}
     returning id
   ),
   filled as (
     update todo.tasks set (${NAMES}) = (select ${VALUES}), deleted_at = null, updated_at = ${NEXT_UPDATED_AT},
       version = numbered.version
     from numbered where ${OWN} and ${isFound()}
     returning tasks.id
   ),
   written as (select * from inserted union all select * from filled)`,
  outcome(''),
);

const importPlaced = effect<Record<string, SqlValue>>(
  'task_import_placed',
  'user',
  `${found('true')},
   ${placed(`select ${importedValues(IN_PARAMETERS, 'null')} where ${IS_FREE}`, MAY_BE_MADE, [], CREATED_AT)}`,
  orFaults(outcome(`when ${IS_FAULTY} then 'invalid'`)),
);

/**
 * Creates a task under an id of the user's, with its history, also in place of one whose content is gone. Outcomes,
 * without a task: `created`, `exists`, `taken` if a deleted one has the id, `limit`, `invalid`.
 */
export const importTask = (owner: UserId, id: TaskId, task: TaskCreate, history: History, limit: number): Effect =>
  (isPlaced(task) ? importPlaced : importOne)({
    owner,
    id,
    limit,
    ...parametersOf(task),
    created_at: history.createdAt,
    completed_at: history.completedAt,
  });
