import type { UserId } from '../core/user.ts';
import { type SqlValue, sql, utcText } from '../database/sql.ts';
import { BLANKED_VALUES, NAMES as TASK_NAMES } from '../tasks/columns.ts';
import {
  EXPECTED,
  type Expected,
  IS_LIVE,
  IS_WRITTEN,
  isFound,
  NEXT_UPDATED_AT,
  OWN,
  versions,
} from '../tasks/parts-sql.ts';
import { type Effect, effect } from '../writes/effect.ts';
import { type ListCreate, type ListId, type ListUpdate, MAX_LISTS, type TasksOfDeleted } from './list.ts';

/** The fields of a list, in the order of the contract. */
export const LIST_FIELDS = `id, user_id, name, color, position, is_archived, version, ${utcText('created_at')},
  ${utcText('updated_at')}`;

/** What changes with every change of the user's. */
const STATE = `coalesce((select epoch || '.' || version from todo.users where id = $owner), '0')`;

const LISTS = `select ${LIST_FIELDS} from todo.lists where user_id = $owner and deleted_at is null
  order by position, id`;

/** Returns the state of what the user has, and the lists as JSON text unless the state is `$known`. */
export const listLists = sql<{ owner: UserId; known: string | null }>(
  'list_list',
  'read',
  `select state, case when state is distinct from $known then (
     select '{"lists":[' || coalesce(string_agg(row_to_json(list)::text, ','), '') || ']}' from (${LISTS}) as list
   ) end
   from (select ${STATE} as state) as present`,
);

/** Returns id, version and JSON text. */
export const getList = sql<{ owner: UserId; id: ListId }>(
  'list_get',
  'read',
  `select id, version, row_to_json(list)::text
   from (select ${LIST_FIELDS} from todo.lists where user_id = $owner and id = $id and deleted_at is null) as list`,
);

const WITHIN_LIMIT = `(select count(*) from todo.lists where user_id = $owner and ${IS_LIVE}) < ${MAX_LISTS}`;

const NAMES = 'name, color, position, is_archived';

/** Behind all others; beside the last where a key after that would be too long. */
const LAST_POSITION = `(
  select case when char_length(todo.position_after(last)) <= 64 then todo.position_after(last) else last end
  from (values ((
    select position from todo.lists where user_id = $owner and ${IS_LIVE} order by position desc, id desc limit 1
  ))) as newest (last)
)`;

/** Of a new list, and of one that is replaced, which keeps its `position` if none is given. */
const newValues = (position: string) => `$name, case when $has_color then $color end,
  case when $has_position then $position else ${position} end, $has_is_archived and $is_archived::boolean`;

const CHANGED_VALUES = `case when $has_name then $name else name end,
  case when $has_color then $color else color end, case when $has_position then $position else position end,
  case when $has_is_archived then $is_archived::boolean else is_archived end`;

/** For each column that users write: whether `fields` has it, and its value. */
const parametersOf = ({ name, color, position, is_archived }: ListUpdate): Record<string, SqlValue> => ({
  has_name: name !== undefined,
  name: name ?? null,
  has_color: color !== undefined,
  color: color ?? null,
  has_position: position !== undefined,
  position: position ?? null,
  has_is_archived: is_archived !== undefined,
  is_archived: is_archived ?? null,
});

const FOUND = `found as (select * from todo.lists where ${OWN})`;

const insertIf = (condition: string) => `
  insert into todo.lists (user_id, id, ${NAMES}, created_at, updated_at)
  select $owner, $id::uuid, ${newValues(LAST_POSITION)}, now, now from clock_timestamp() as now
  where ${condition} and not ${isFound()} and ${WITHIN_LIMIT}
  returning *`;

/** Changes the list if it differs; the trigger gives it its number. */
const updateTo = (values: string, condition: string) => `
  update todo.lists set (${NAMES}) = row(${values}), updated_at = ${NEXT_UPDATED_AT}
  where ${OWN} and ${IS_LIVE} and ${condition} and (${NAMES}) is distinct from (${values})
  returning *`;

/** A query of the outcome: the `kind`, with the list that was written, or else the one that was found. */
const outcomeWith = (kind: string) => `
  select ${kind} as kind, list.id, list.version, list.json
  from (values (0)) as always left join (
    select id, version, row_to_json(fields)::text as json from (
      select ${LIST_FIELDS} from (
        select * from written union all select * from found where ${IS_LIVE} and not ${IS_WRITTEN}
      ) as list
    ) as fields
  ) as list on true`;

const insert = effect<Record<string, SqlValue>>(
  'list_insert',
  'user',
  `${FOUND}, written as (${insertIf('true')})`,
  outcomeWith(
    `case when ${IS_WRITTEN} then 'created' when ${isFound(IS_LIVE)} then 'exists'
       when ${isFound()} then 'taken' else 'limit' end`,
  ),
  'list',
);

/** Creates a list. Outcomes: `created`, `exists`, `taken`, `limit`. */
export const insertList = (owner: UserId, id: string, list: ListCreate): Effect =>
  insert({ owner, id, ...parametersOf(list) });

const update = effect<Record<string, SqlValue>>(
  'list_update',
  'lock',
  `${FOUND}, written as (${updateTo(CHANGED_VALUES, EXPECTED)})`,
  outcomeWith(
    `case when ${IS_WRITTEN} then 'changed' when not ${isFound(IS_LIVE)} then 'missing'
       when ${isFound(`${EXPECTED} or (${NAMES}) is not distinct from (${CHANGED_VALUES})`)} then 'changed'
       else 'stale' end`,
  ),
  'list',
);

/** Changes the given fields. Outcomes: `changed`, also if it has all values already; `missing`, `stale`. */
export const updateList = (owner: UserId, id: ListId, changes: ListUpdate, expected: Expected): Effect =>
  update({ owner, id, versions: versions(expected), ...parametersOf(changes) });

const REPLACED_VALUES = newValues('position');

const put = effect<Record<string, SqlValue>>(
  'list_put',
  'user',
  `${FOUND}, replaced as (${updateTo(REPLACED_VALUES, EXPECTED)}),
   inserted as (${insertIf('$versions::bigint[] is null')}),
   written as (select * from replaced union all select * from inserted)`,
  outcomeWith(
    `case when exists (select from inserted) then 'created' when ${IS_WRITTEN} then 'changed'
       when ${isFound('deleted_at is not null')} then 'taken'
       when ${isFound(`${EXPECTED} or (${NAMES}) is not distinct from (${REPLACED_VALUES})`)} then 'changed'
       when ${isFound()} then 'stale' when $versions::bigint[] is not null then 'missing' else 'limit' end`,
  ),
  'list',
);

/** Replaces or creates a list. Outcomes: `created`, `changed`, `missing` if versions are expected, `stale`, `taken`, `limit`. */
export const putList = (owner: UserId, id: ListId, list: ListCreate, expected: Expected): Effect =>
  put({ owner, id, versions: versions(expected), ...parametersOf(list) });

/** The next number of those that `numbered` has taken. */
const NEXT_NUMBER = `set_config('todo.number', (current_setting('todo.number')::bigint + 1)::text, true)::bigint`;

/**
 * The deletion of a list, if `gone` has it: its tasks and then the list take the next numbers, one each. A join of the tasks
 * with their numbers would be quadratic where the planner has no statistics.
 */
const deletionOf = (tasks: string, counts: string) => `${FOUND},
   gone as (select id from found where ${IS_LIVE} and ${EXPECTED}),
   size as (
     select count(*) as tasks from todo.tasks
     where user_id = $owner and list_id = $id::uuid and ${IS_LIVE} and exists (select from gone)
   ),
   numbered as (
     update todo.users set version = version + size.tasks + 1${counts} from size
     where users.id = $owner and exists (select from gone)
     returning set_config('todo.number', (version - size.tasks - 1)::text, true), clock_timestamp() as now
   ),
   moved as (
     update todo.tasks set ${tasks}, updated_at = ${NEXT_UPDATED_AT}, version = ${NEXT_NUMBER}
     from numbered where user_id = $owner and list_id = $id::uuid and ${IS_LIVE}
     returning tasks.id
   ),
   written as (
     update todo.lists set (${NAMES}) = row(null, null, null, false), deleted_at = now,
       updated_at = ${NEXT_UPDATED_AT}, version = ${NEXT_NUMBER}
     from numbered, (select count(*) from moved) as all_moved where ${OWN}
     returning lists.*
   )`;

/** The kind, with the list as it is if it has another version. */
const DELETED = `
  select case when ${IS_WRITTEN} then 'deleted' when ${isFound(IS_LIVE)} then 'stale' else $absent end as kind,
    $id::uuid as id, list.version, list.json
  from (values (0)) as always left join (
    select version, null as json from written union all
    select version, row_to_json(fields)::text
    from (select ${LIST_FIELDS} from found where ${IS_LIVE} and not ${IS_WRITTEN}) as fields
  ) as list on true`;

interface Removal {
  readonly id: ListId;
  readonly versions: string | null;
  readonly absent: 'missing' | 'deleted';
  readonly [name: string]: SqlValue;
}

const removeFromTasks = effect<Removal>('list_delete', 'lock', deletionOf('list_id = null', ''), DELETED, 'list');

const removeWithTasks = effect<Removal & { readonly blank: boolean }>(
  'list_delete_with_tasks',
  'lock',
  deletionOf(
    // At one time: a task that is restored brings back what was deleted with it.
    `deleted_at = now, (${TASK_NAMES}) = row(${BLANKED_VALUES})`,
    ', tasks = users.tasks - size.tasks, trash = trash + case when $blank::boolean then 0 else size.tasks end',
  ),
  DELETED,
  'list',
);

export interface ListDeletion {
  /** What becomes of its tasks. */
  readonly tasks: TasksOfDeleted;
  /** Whether the content of tasks that are deleted is kept for a while. */
  readonly keepsContent: boolean;
  /** The outcome if there is no such list. */
  readonly absent: 'missing' | 'deleted';
}

/** Deletes a list, and moves its tasks to the inbox or deletes them. Outcomes: `deleted`, `missing`, `stale`. */
export function deleteList(owner: UserId, id: ListId, deletion: ListDeletion, expected: Expected): Effect {
  const { tasks, absent, keepsContent } = deletion;
  const removal = { owner, id, versions: versions(expected), absent };
  return tasks === 'inbox' ? removeFromTasks(removal) : removeWithTasks({ ...removal, blank: !keepsContent });
}
