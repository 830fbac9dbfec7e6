import type { SqlValue } from '../database/sql.ts';
import { effect } from '../writes/effect.ts';
import {
  candidateFaults,
  changedValues,
  type Fault,
  IN_PARAMETERS,
  NAMES,
  namesOf,
  newValues,
  replacedValues,
} from './columns.ts';
import {
  changedTo,
  childrenOf,
  EXPECTED,
  found,
  IS_FAULTY,
  IS_LIVE,
  IS_WRITTEN,
  isFound,
  MAX_DEPTH,
  MAX_LEVELS,
  NEXT_UPDATED_AT,
  numberAt,
  OWN,
  orFaults,
  outcomeWith,
  WITHIN_LIMIT,
  WRITTEN_OR_FOUND,
} from './parts-sql.ts';

/*
 * Writes for which other tasks have to be looked at: of the list, the parent, or the place among others. What is below a
 * task follows it to another list; each task that follows or makes room takes a number of its own.
 */

/** The tasks below one, and itself, with their levels from 1. */
const BELOW = `below as (
  with recursive down (id, level) as (
    select $id::uuid, 1
    union all
    select tasks.id, level + 1 from down, ${childrenOf('down')}
    where deleted_at is null and level < ${MAX_DEPTH}
  ) select * from down
)`;

/** The parent and those above it, with their levels from 1. */
const ABOVE = `above as (
  with recursive up (id, above_id, level) as (
    select id, parent_id, 1 from parent
    union all
    select tasks.id, parent_id, level + 1
    from up, lateral (select * from todo.tasks where user_id = $owner and tasks.id = above_id offset 0) as tasks
    where level < ${MAX_DEPTH}
  ) select * from up
)`;

const FAULTS: readonly Fault[] = [
  [
    `'parent_id'`,
    'Parent task not found',
    '$has_parent_id::boolean and parent_id is not null and not exists (select from parent)',
  ],
  [
    `'list_id'`,
    'A subtask is in the list of its parent: move the parent, or give parent_id too',
    'exists (select from parent where parent.list_id is distinct from candidate.list_id)',
  ],
  [
    `'list_id'`,
    'List not found',
    `$has_list_id::boolean and list_id is not null and not exists (
       select from todo.lists where user_id = $owner and lists.id = list_id and lists.deleted_at is null
     )`,
  ],
  [`'parent_id'`, 'A task cannot be below itself', 'parent_id in (select id from below)'],
  [
    `'parent_id'`,
    `At most ${MAX_LEVELS} levels of tasks are allowed`,
    `parent_id not in (select id from below) and
       (select coalesce(max(level), 0) from above) + (select max(level) from below) > ${MAX_LEVELS}`,
  ],
  ['$side::text', 'No task with this id is in the same list under the same parent', 'position is null'],
];

const IS_MOVED = 'found.list_id is distinct from draft.list_id or found.parent_id is distinct from draft.parent_id';
export const IS_CHANGED = `exists (
  select from candidate left join found on true
  where found.id is null or (${namesOf('found')}) is distinct from (${namesOf('candidate')})
)`;
const OTHERS = '(select count(*) from others)';
const MAY_INSERT = `not ${isFound()} and ${WITHIN_LIMIT}`;

/**
 * @param draft a query of the values of all columns, but for the place of a task that is given none.
 * @param isAllowed SQL for whether it may be written, if it has no faults; a blank one is then none any more.
 * @param further common table expressions that it needs, which may use those of the task as it is to be.
 * @param createdAt SQL for the time of its creation, if it is a new one.
 */
export const placed = (draft: string, isAllowed: string, further: readonly string[] = [], createdAt = 'now') => `
  parent as (
    select * from todo.tasks where user_id = $owner and deleted_at is null
      and id = case when $has_parent_id::boolean then $parent_id::uuid else (select parent_id from found) end
  ),
  draft as (${draft}),
  place as (
    select place.* from draft left join found on true, todo.place_task(
      $owner, $id, draft.list_id, draft.parent_id, $sibling, $side,
      case when $has_position::boolean or not (${IS_MOVED}) then draft.position end
    ) as place
  ),
  candidate as (select ${namesOf('draft').replace('draft.position', 'place.place as position')} from draft, place),
  ${BELOW}, ${ABOVE}, faults as (${candidateFaults(FAULTS)}),
  others as materialized (
    select id, position, row_number() over () as number from (
      select below.id, null as position from below, found, draft
      where level > 1 and found.list_id is distinct from draft.list_id
      union all
      select moved.id, moved.position from place, unnest(place.moved, place.positions) as moved (id, position)
    ) as others
  ),
  ${further.map((table) => `${table},`).join('\n')}
  numbered as (
    update todo.users set version = version + 1 + ${OTHERS}, tasks = users.tasks + (not ${isFound(IS_LIVE)})::integer
    where id = $owner and ${isAllowed} and ${IS_CHANGED} and not ${IS_FAULTY}
    returning version - 1 - ${OTHERS} as first
  ),
  updated as (
    update todo.tasks set (${NAMES}) = row(${namesOf('candidate')}), deleted_at = null,
      updated_at = ${NEXT_UPDATED_AT}, version = ${numberAt(`1 + ${OTHERS}`)}
    from numbered, candidate where ${OWN} and ${isFound()}
    returning tasks.*
  ),
  inserted as (
    insert into todo.tasks (user_id, id, ${NAMES}, created_at, updated_at, version)
    select $owner, $id::uuid, ${namesOf('candidate')}, ${createdAt}, now, ${numberAt(`1 + ${OTHERS}`)}
    from numbered, candidate, clock_timestamp() as now where not ${isFound()}
    returning *
  ),
  followed as (
    update todo.tasks set updated_at = ${NEXT_UPDATED_AT}, version = ${numberAt('others.number')},
      list_id = case when others.position is null then draft.list_id else tasks.list_id end,
      position = coalesce(others.position, tasks.position)
    from numbered, others, draft where tasks.user_id = $owner and tasks.id = others.id
  ),
  written as (select * from updated union all select * from inserted)`;

const NEW = newValues(IN_PARAMETERS, 'null');
const LIVE_OR_WRITTEN = `select * from written union all select * from found where ${IS_LIVE} and not ${IS_WRITTEN}`;

export const insertPlaced = effect<Record<string, SqlValue>>(
  'task_insert_placed',
  'user',
  `${found('true')}, ${placed(`select ${NEW} where not ${isFound()}`, MAY_INSERT)}`,
  orFaults(
    outcomeWith(
      `case when ${IS_WRITTEN} then 'created' when ${isFound(IS_LIVE)} then 'exists' when ${isFound()} then 'taken'
         when ${IS_FAULTY} then 'invalid' else 'limit' end`,
      LIVE_OR_WRITTEN,
    ),
  ),
);

export const updatePlaced = effect<Record<string, SqlValue>>(
  'task_update_placed',
  'lock',
  `${found(IS_LIVE)}, ${placed(`select ${changedValues(IN_PARAMETERS)} from found`, isFound(EXPECTED))}`,
  orFaults(
    outcomeWith(
      `case when ${IS_WRITTEN} then ${changedTo('candidate')} when not ${isFound()} then 'missing'
         when ${IS_CHANGED} and not ${isFound(EXPECTED)} then 'stale' when ${IS_FAULTY} then 'invalid' else 'changed' end`,
      WRITTEN_OR_FOUND,
    ),
  ),
);

const MAY_PUT = `(${isFound(`${IS_LIVE} and ${EXPECTED}`)} or ($versions::bigint[] is null and ${MAY_INSERT}))`;

export const put = effect<Record<string, SqlValue>>(
  'task_put',
  'user',
  `${found('true')}, ${placed(
    `select ${replacedValues(IN_PARAMETERS)} from found union all select ${NEW} where not ${isFound()}`,
    MAY_PUT,
  )}`,
  orFaults(
    outcomeWith(
      `case when exists (select from inserted) then 'created' when ${IS_WRITTEN} then ${changedTo('candidate')}
         when ${isFound('deleted_at is not null')} then 'taken'
         when ${isFound()} and ${IS_CHANGED} and not ${isFound(EXPECTED)} then 'stale'
         when not ${isFound()} and $versions::bigint[] is not null then 'missing'
         when ${IS_FAULTY} then 'invalid' when ${isFound()} then 'changed' else 'limit' end`,
      LIVE_OR_WRITTEN,
    ),
  ),
);
