import type { Principal, UserId } from '../core/user.ts';
import type { SqlValue } from '../database/sql.ts';
import { type Effect, effect, USER_MISSING } from '../writes/effect.ts';
import {
  candidateFaults,
  changedValues,
  contentOf,
  IN_JSON,
  isPlaced,
  isPlain,
  jsonOf,
  NAMES,
  namesOf,
  newValues,
  PLAIN_PARAMETERS,
  parametersOf,
  TASK_FIELDS,
  UNPLACED_PARAMETERS,
} from './columns.ts';
import {
  changedTo,
  EXPECTED,
  type Expected,
  found,
  IS_FAULTY,
  IS_LIVE,
  IS_WRITTEN,
  isFound,
  NUMBER,
  numberAt,
  numbered,
  orFaults,
  outcomeWith,
  updateFrom,
  versions,
  WITHIN_LIMIT,
  WRITTEN_OR_FOUND,
} from './parts-sql.ts';
import { insertPlaced, put, updatePlaced } from './placed-sql.ts';
import type { TaskCreate, TaskId, TaskUpdate } from './task.ts';

const insertFrom = (values: string, condition = 'true') => `
  insert into todo.tasks (user_id, id, ${NAMES}, created_at, updated_at, version)
  select $owner, $id::uuid, ${values}, now, now, numbered.version from numbered, clock_timestamp() as now
  where ${condition}
  returning *`;

/** What becomes of the task in `found`. */
const candidate = (values: string) => `candidate as (select ${values} from found)`;
const IS_CHANGED = `exists (select from found, candidate where (${contentOf('found')}) is distinct from (${contentOf('candidate')}))`;
const UPDATE_TO_CANDIDATE = updateFrom(`(${NAMES}) = row(${namesOf('candidate')})`, 'numbered, candidate');

const insertTables = (values: string) => `numbered as (
    update todo.users set version = version + 1, tasks = users.tasks + 1, email = coalesce($email, email)
    where id = $owner and ${WITHIN_LIMIT}
    returning ${NUMBER}
  ),
  written as (${insertFrom(values)})`;
const INSERTED = outcomeWith(
  `case when ${IS_WRITTEN} then 'created' when exists (select from todo.users where id = $owner) then 'limit'
     else todo.abort('${USER_MISSING}', 'the user has no row')::text end`,
  'select * from written',
);

const insert = effect<Record<string, SqlValue>>(
  'task_insert',
  'nothing',
  insertTables(newValues(UNPLACED_PARAMETERS)),
  INSERTED,
);
const insertPlain = effect<Record<string, SqlValue>>(
  'task_insert_plain',
  'nothing',
  insertTables(newValues(PLAIN_PARAMETERS)),
  INSERTED,
);

const insertOf = (task: TaskCreate) => {
  if (isPlaced(task)) return insertPlaced;
  return isPlain(task) ? insertPlain : insert;
};

/** Creates a task. Outcomes: `created`, `limit`, `invalid`. */
export const insertTask = ({ userId: owner, email }: Principal, id: string, task: TaskCreate, limit: number): Effect =>
  insertOf(task)({ owner, email, id, limit, ...parametersOf(task) });

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
   positions as materialized (
     select todo.positions_after(todo.last_position($owner, null), size::integer) as keys from numbered
   ),
   written as (
     insert into todo.tasks (user_id, id, ${NAMES}, created_at, updated_at, version)
     select $owner, (fields ->> 'id')::uuid, ${newValues(IN_JSON, 'keys[place]')}, now, now,
       ${numberAt('place')}
     from numbered, positions, jsonb_array_elements($tasks::jsonb) with ordinality as task (fields, place), clock_timestamp() as now
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
    tasks: tasks.map((task, index) => ({ ...jsonOf(task), id: ids[index] })),
  }),
  size: tasks.length,
});

const insertAs = effect<Record<string, SqlValue>>(
  'task_insert_as',
  'user',
  `${found('true')}, ${numbered(`not ${isFound()} and ${WITHIN_LIMIT}`, '1')},
   written as (${insertFrom(newValues(UNPLACED_PARAMETERS))})`,
  outcomeWith(
    `case when ${IS_WRITTEN} then 'created' when ${isFound(IS_LIVE)} then 'exists'
       when ${isFound()} then 'taken' else 'limit' end`,
    `select * from written union all select * from found where ${IS_LIVE}`,
  ),
);

/** Creates a task under an id of the client's. Outcomes: `created`, `exists`, `taken`, `limit`, `invalid`. */
export const insertTaskAs = (owner: UserId, id: TaskId, task: TaskCreate, limit: number): Effect =>
  (isPlaced(task) ? insertPlaced : insertAs)({ owner, id, limit, ...parametersOf(task) });

const update = effect<Record<string, SqlValue>>(
  'task_update',
  'lock',
  `${found(IS_LIVE)}, ${candidate(changedValues(UNPLACED_PARAMETERS))}, faults as (${candidateFaults()}),
   ${numbered(`${isFound(EXPECTED)} and ${IS_CHANGED} and not ${IS_FAULTY}`)},
   written as (${UPDATE_TO_CANDIDATE})`,
  orFaults(
    outcomeWith(
      `case when ${IS_WRITTEN} then ${changedTo('candidate')} when not ${isFound()} then 'missing'
         when ${IS_CHANGED} and not ${isFound(EXPECTED)} then 'stale'
         when ${IS_FAULTY} then 'invalid' else 'changed' end`,
      WRITTEN_OR_FOUND,
    ),
  ),
);

const updatePlain = effect<Record<string, SqlValue>>(
  'task_update_plain',
  'lock',
  `${found(IS_LIVE)}, ${candidate(changedValues(PLAIN_PARAMETERS))},
   ${numbered(`${isFound(EXPECTED)} and ${IS_CHANGED}`)},
   written as (${UPDATE_TO_CANDIDATE})`,
  outcomeWith(
    `case when ${IS_WRITTEN} then ${changedTo('candidate')} when not ${isFound()} then 'missing'
       when ${IS_CHANGED} and not ${isFound(EXPECTED)} then 'stale' else 'changed' end`,
    WRITTEN_OR_FOUND,
  ),
);

const updateOf = (changes: TaskUpdate) => {
  if (isPlaced(changes)) return updatePlaced;
  return isPlain(changes) ? updatePlain : update;
};

/** Changes the given fields. Outcomes: `changed`, also if it has all values already; `missing`, `stale`, `invalid`. */
export const updateTask = (owner: UserId, id: TaskId, changes: TaskUpdate, expected: Expected): Effect =>
  updateOf(changes)({ owner, id, versions: versions(expected), ...parametersOf(changes) });

/** Replaces or creates a task. Outcomes: `created`, `changed`, `missing` if versions are expected, `stale`, `taken`, `limit`. */
export const putTask = (owner: UserId, id: TaskId, task: TaskCreate, expected: Expected, limit: number): Effect =>
  put({ owner, id, limit, versions: versions(expected), ...parametersOf(task) });

const TOGGLED = `is_completed = not is_completed,
  completed_at = case when not is_completed then clock_timestamp() end`;

const toggle = effect<{ id: TaskId; versions: string | null }>(
  'task_toggle',
  'lock',
  `${found(IS_LIVE)}, ${numbered(isFound(EXPECTED))},
   written as (${updateFrom(TOGGLED)})`,
  outcomeWith(
    `case when ${IS_WRITTEN} then ${changedTo('written')}
       when ${isFound()} then 'stale' else 'missing' end`,
    WRITTEN_OR_FOUND,
  ),
);

/** Inverts `is_completed`. Outcomes: `changed`, `missing`, `stale`. */
export const toggleTask = (owner: UserId, id: TaskId, expected: Expected): Effect =>
  toggle({ owner, id, versions: versions(expected) });
