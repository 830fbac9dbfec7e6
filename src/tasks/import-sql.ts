import type { UserId } from '../core/user.ts';
import type { SqlValue } from '../database/sql.ts';
import { type Effect, effect } from '../writes/effect.ts';
import { IN_PARAMETERS, importedValues, NAMES, parametersOf } from './columns.ts';
import { found, IS_IN_TRASH, IS_LIVE, isFound, NEXT_UPDATED_AT, numbered, OWN, WITHIN_LIMIT } from './parts-sql.ts';
import type { TaskCreate, TaskId } from './task.ts';

/** When a task was created and completed elsewhere, RFC 3339; null if that is not known, or not so. */
export interface History {
  readonly createdAt: string | null;
  readonly completedAt: string | null;
}

const VALUES = importedValues(IN_PARAMETERS);

const update = (assignments: string, condition: string) => `
  update todo.tasks set ${assignments} deleted_at = null, updated_at = ${NEXT_UPDATED_AT}, version = numbered.version
  from numbered where ${OWN} and ${condition}
  returning tasks.id`;

const importOne = effect<Record<string, SqlValue>>(
  'task_import',
  'user',
  `${found('true')},
   ${numbered(`not ${isFound(IS_LIVE)} and ${WITHIN_LIMIT}`, '1', `(-(${isFound(IS_IN_TRASH)})::integer)`)},
   inserted as (
     insert into todo.tasks (user_id, id, ${NAMES}, created_at, updated_at, version)
     select $owner, $id::uuid, ${VALUES}, least(coalesce($created_at::timestamptz, now), now), now, numbered.version
     from numbered, clock_timestamp() as now where not ${isFound()}
     returning id
   ),
   filled as (${update(`(${NAMES}) = (select ${VALUES}),`, isFound('title is null'))}),
   restored as (${update('', isFound(IS_IN_TRASH))})`,
  `select case when exists (select from inserted) or exists (select from filled) then 'created'
     when exists (select from restored) then 'changed' when ${isFound(IS_LIVE)} then 'exists' else 'limit'
   end as kind, $id::uuid as id, null::bigint as version, null as json`,
);

/**
 * Creates a task under an id of the user's, with its history, or brings it back: as it was deleted, or with this content
 * if its own is gone. Outcomes, without a task: `created`, `changed` if it was brought back, `exists`, `limit`.
 */
export const importTask = (owner: UserId, id: TaskId, task: TaskCreate, history: History, limit: number): Effect =>
  importOne({
    owner,
    id,
    limit,
    ...parametersOf(task),
    created_at: history.createdAt,
    completed_at: history.completedAt,
  });
