import type { UserId } from '../core/user.ts';
import type { SqlValue } from '../database/sql.ts';
import { type Effect, effect } from '../writes/effect.ts';
import {
  IN_PARAMETERS,
  importedValues,
  isPlaced,
  jsonOf,
  LISTED_IN_JSON,
  NAMES,
  parametersOf,
  UNPLACED_PARAMETERS,
} from './columns.ts';
import {
  found,
  IS_FAULTY,
  IS_LIVE,
  IS_WRITTEN,
  isFound,
  NEXT_UPDATED_AT,
  numberAt,
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

const createdAt = (text: string) => `least(coalesce((${text})::timestamptz, now), now)`;
const CREATED_AT = createdAt('$created_at');
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

const importMany = effect<Record<string, SqlValue>>(
  'task_import_many',
  'user',
  `given as materialized (
     select fields, place, (fields ->> 'id')::uuid as id, (fields ->> 'list_id')::uuid as list_id,
       (fields ->> 'nth')::integer as nth
     from jsonb_array_elements($tasks::jsonb) with ordinality as task (fields, place)
   ),
   judged as materialized (
     select given.*, case
         when known.id is not null then case when known.deleted_at is null then 'exists' else 'taken' end
         when list_id is null or exists (
           select from todo.lists where user_id = $owner and lists.id = list_id and lists.deleted_at is null
         ) then 'created' else 'invalid' end as kind
     from given left join lateral (
       select id, deleted_at from todo.tasks where user_id = $owner and tasks.id = given.id offset 0
     ) as known on true
   ),
   free as materialized (select *, row_number() over () as number from judged where kind = 'created'),
   room as (
     select case when $limit::integer = 0 then count else least(count, greatest(0, $limit - tasks)) end as size
     from todo.users, (select count(*) from free) as free where id = $owner
   ),
   numbered as (
     update todo.users set version = version + size, tasks = users.tasks + size from room
     where id = $owner and size > 0
     returning version - size as first, size
   ),
   positions as materialized (
     select list_id, todo.positions_after(todo.last_position($owner, list_id), count) as keys
     from json_to_recordset($lists::json) as lists (list_id uuid, count integer)
   ),
   written as (
     insert into todo.tasks (user_id, id, ${NAMES}, created_at, updated_at, version)
     select $owner, free.id, ${importedValues(LISTED_IN_JSON, 'keys[nth]', `fields ->> 'completed_at'`)},
       ${createdAt(`fields ->> 'created_at'`)}, now, ${numberAt('number')}
     from numbered, free, positions, clock_timestamp() as now
     where number <= size and positions.list_id is not distinct from free.list_id
     returning id
   )`,
  `select case when judged.kind <> 'created' then judged.kind when free.number <= coalesce(size, 0) then 'created'
       else 'limit' end as kind, judged.id, null::bigint as version,
     case when judged.kind = 'invalid' then '[{"field":"list_id","message":"List not found"}]' end as json
   from judged left join free on free.place = judged.place left join numbered on true`,
);

/** A task made elsewhere. */
export interface ImportedTask {
  readonly id: TaskId;
  readonly task: TaskCreate;
  readonly history: History;
}

/**
 * Creates tasks that are not among others under ids of the user's, all different, with their history. Outcomes of each,
 * without a task: `created`, `exists`, `taken` if a deleted one has the id, `limit`, `invalid`.
 */
export function importTasks(owner: UserId, imported: readonly ImportedTask[], limit: number): Effect {
  const counts = new Map<string | null, number>();
  const tasks = imported.map(({ id, task, history }) => {
    const nth = (counts.get(task.list_id ?? null) ?? 0) + 1;
    counts.set(task.list_id ?? null, nth);
    return { ...jsonOf(task), id, nth, created_at: history.createdAt, completed_at: history.completedAt };
  });
  const lists = [...counts].map(([list_id, count]) => ({ list_id, count }));
  return { ...importMany({ owner, limit, tasks, lists }), size: tasks.length };
}

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
