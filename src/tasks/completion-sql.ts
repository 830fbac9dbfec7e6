import type { UserId } from '../core/user.ts';
import type { SqlValue } from '../database/sql.ts';
import { type Effect, effect } from '../writes/effect.ts';
import {
  BLANK_VALUES,
  changedValues,
  copiedValues,
  IN_PARAMETERS,
  NAMES,
  namesOf,
  parametersOf,
  replacedValues,
} from './columns.ts';
import {
  childrenOf,
  EXPECTED,
  type Expected,
  found,
  IS_FAULTY,
  IS_LIVE,
  isFound,
  MAX_DEPTH,
  needSuccessor,
  orFaults,
  outcomeWith,
  successorState,
  versions,
  WRITTEN_OR_FOUND,
} from './parts-sql.ts';
import { IS_CHANGED, placed } from './placed-sql.ts';
import type { TaskChanges, TaskCreate, TaskId } from './task.ts';

/*
 * Changes of a recurring task from open to completed, which make its successor, and back, which take it away. Rows that
 * nobody has changed since the service made or withdrew them have `updated_at` = `created_at`: every change moves the
 * former. A successor is created at the microsecond at which the task before it is completed.
 */

const IS_WITHDRAWN = 'title is null and updated_at = created_at';

/** Whether `candidate` has a successor, or `found` has one that goes. */
const TURN = `turn as (
  select candidate.is_completed and not found.is_completed and candidate.recurrence is not null as completes,
    found.is_completed and not candidate.is_completed and found.series_id is not null as reopens,
    coalesce(found.series_id, found.id) as series, found.completed_at as completed_at
  from found, candidate
)`;

/** Of the ids that a successor may have: whether there is none, it is there or was deleted, or another task has it. */
const OPTIONS = `options as materialized (
  select number, (option ->> 'id')::uuid as id, option -> 'copies' as copies,
    case when there.id is null or (${IS_WITHDRAWN}) then 'free'
      when there.deleted_at is null
        and (there.id = $id::uuid or there.is_completed or there.series_id is distinct from turn.series) then 'used'
      else 'there' end as state
  from turn cross join jsonb_array_elements($successor::jsonb -> 'options') with ordinality as given (option, number)
    left join lateral (
      select * from todo.tasks where user_id = $owner and tasks.id = (option ->> 'id')::uuid offset 0
    ) as there on true
  where completes
)`;

/** The other id is for a series that would otherwise end, because its date comes again. */
const CHOSEN = `chosen as materialized (
  select id, copies from options
  where state = 'free' and (
    number = 1 or (
      (select state from options where number = 1) = 'used' and not exists (
        select from todo.tasks, turn
        where user_id = $owner and series_id = turn.series and tasks.id <> $id::uuid and not is_completed and ${IS_LIVE}
      )
    )
  )
), pairs as materialized (
  select (pair ->> 0)::uuid as old, (pair ->> 1)::uuid as new from chosen, jsonb_array_elements(copies) as pair
)`;

const IS_WITHIN_LIMIT = `($limit::integer = 0 or not exists (select from chosen) or (
  select users.tasks + 1 + (select count(*) from pairs) <= $limit from todo.users where id = $owner
))`;

const verdict = (absent: string) => `verdict as materialized (
  select case
    when ${IS_CHANGED} and not ${isFound(EXPECTED)} then 'stale'
    when ${IS_FAULTY} then 'invalid'
    when (select completes from turn) and $state::text is distinct from ${successorState('candidate')} then 'needed'
    when not ${IS_WITHIN_LIMIT} then 'limit'
    else 'changed' end as kind
  from found
  union all select ${absent} where not ${isFound()}
)`;

const COPIED_VALUES = copiedValues({
  is_completed: 'false',
  completed_at: 'null',
  // It may move in the same statement, which does not see what is below it follow.
  list_id: '(select written.list_id from written)',
  parent_id: 'case when is_root then parent_id else copy_parent end',
  position: 'case when not is_root then position end',
  due_date: `case when is_root then ($successor::jsonb ->> 'due_date')::date else due_date end`,
  recurrence: `case when is_root then $successor::jsonb ->> 'recurrence' else recurrence end`,
  series_id: 'case when is_root then series_id end',
});

/** One that was withdrawn comes back. */
const COPIED = `sources as (
  select chosen.id as copy_id, null::uuid as copy_parent, true as is_root, made_at, written.*
  from written cross join chosen cross join lateral (select written.completed_at as made_at) as made
  union all
  select pairs.new, coalesce(above.new, chosen.id), false, written.completed_at, tasks.*
  from written cross join chosen cross join pairs
    cross join lateral (select * from todo.tasks where user_id = $owner and id = pairs.old offset 0) as tasks
    left join pairs as above on above.old = tasks.parent_id
), copied as (
  insert into todo.tasks (user_id, id, ${NAMES}, created_at, updated_at)
  select $owner, copy_id, ${COPIED_VALUES}, made_at, made_at from sources
  on conflict (user_id, id) do update
  set (${NAMES}) = row(${namesOf('excluded')}), created_at = excluded.created_at, updated_at = excluded.updated_at,
    deleted_at = null
  where tasks.title is null and tasks.updated_at = tasks.created_at
)`;

/** The successor goes with what is below it, unless one of these was changed. */
const WITHDRAWN = `family as materialized (
  with recursive family (id, is_untouched, level) as (
    select tasks.id, tasks.updated_at = tasks.created_at, 1 from turn, todo.tasks
    where reopens and tasks.user_id = $owner and tasks.series_id = turn.series
      and tasks.created_at = turn.completed_at and tasks.id <> $id::uuid and tasks.deleted_at is null
    union all
    select tasks.id, tasks.updated_at = tasks.created_at and tasks.created_at = turn.completed_at, level + 1
    from family, turn, ${childrenOf('family')} where tasks.deleted_at is null and level < ${MAX_DEPTH}
  )
  select id, is_untouched from family
), withdrawn as (
  update todo.tasks set (${NAMES}) = row(${BLANK_VALUES}), deleted_at = now, created_at = now, updated_at = now
  from written, (select clock_timestamp() as now) as clock
  where tasks.user_id = $owner and tasks.id = any(array(select id from family)) and (select bool_and(is_untouched) from family)
)`;

/**
 * @param draft a query of the values of all columns. @param absent the verdict where the task is gone.
 * @returns the tables of a change, which also moves the task if that is part of it.
 */
const tables = (draft: string, absent: string) =>
  `${found(IS_LIVE)},
   ${placed(draft, `exists (select from verdict where kind = 'changed')`, [TURN, OPTIONS, CHOSEN, verdict(absent)])},
   ${COPIED}, ${WITHDRAWN}`;

const OUTCOME = orFaults(
  outcomeWith(
    `(select case kind when 'needed' then ${needSuccessor('candidate')} else kind end from verdict)`,
    WRITTEN_OR_FOUND,
  ),
);

const TOGGLED_VALUES = changedValues({
  ...IN_PARAMETERS,
  has: (name) => name === 'is_completed',
  isGiven: () => 'true',
  given: () => 'not is_completed',
});

const update = effect<Record<string, SqlValue>>(
  'task_update_series',
  'lock',
  tables(`select ${changedValues(IN_PARAMETERS)} from found`, `'missing'`),
  OUTCOME,
);
const toggle = effect<Record<string, SqlValue>>(
  'task_toggle_series',
  'lock',
  tables(`select ${TOGGLED_VALUES} from found`, `'missing'`),
  OUTCOME,
);
// One that is gone is put as a plain one.
const put = effect<Record<string, SqlValue>>(
  'task_put_series',
  'lock',
  tables(`select ${replacedValues(IN_PARAMETERS)} from found`, `'needed'`),
  OUTCOME,
);

/** The successor of a task, if it is completed. */
export interface Successor {
  readonly due_date: string;
  readonly recurrence: string;
  /** The ids that it may have, and of each what is copied below it: the ids of the originals and of the copies. */
  readonly options: readonly { readonly id: string; readonly copies: readonly (readonly [string, string])[] }[];
}

/** What a change of a recurring task needs besides. */
export interface Succession {
  /** As `successorState` gives it. */
  readonly state: string;
  /** Null if there is none. */
  readonly successor: Successor | null;
  /** Of tasks; 0 is none. */
  readonly limit: number;
}

const parametersFor = ({ state, successor, limit }: Succession, owner: UserId, id: TaskId, expected: Expected) => ({
  owner,
  id,
  versions: versions(expected),
  state,
  limit,
  successor: successor === null ? null : JSON.stringify(successor),
});

/** As `updateTask`, of a recurring task. Outcomes: also `limit`. */
export const updateInSeries = (
  owner: UserId,
  id: TaskId,
  changes: TaskChanges,
  expected: Expected,
  succession: Succession,
): Effect => update({ ...parametersFor(succession, owner, id, expected), ...parametersOf(changes) });

/** As `putTask`, of a recurring task that there is. */
export const putInSeries = (
  owner: UserId,
  id: TaskId,
  task: TaskCreate,
  expected: Expected,
  succession: Succession,
): Effect => put({ ...parametersFor(succession, owner, id, expected), ...parametersOf(task) });

/** As `toggleTask`, of a recurring task. Outcomes: also `limit`. */
export const toggleInSeries = (owner: UserId, id: TaskId, expected: Expected, succession: Succession): Effect =>
  toggle({ ...parametersFor(succession, owner, id, expected), ...parametersOf({}) });
