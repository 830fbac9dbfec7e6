import { NEED_STATE, needValue } from '../writes/effect.ts';
import { TASK_FIELDS } from './columns.ts';

/*
 * Parts of the statements that write tasks. `$owner` is the user and `$id` the task; `found` is a common table expression
 * of the task as it is, `numbered` of the user with the number that the write takes, `written` of the task that it makes.
 */

/** Which versions a write accepts; null accepts all. */
export type Expected = readonly number[] | null;

export const OWN = 'user_id = $owner and id = $id::uuid';
export const EXPECTED = '($versions::bigint[] is null or version = any($versions::bigint[]))';
export const WITHIN_LIMIT = '($limit::integer = 0 or users.tasks < $limit)';

/** `updated_at` increases strictly, even if the clock does not. */
export const NEXT_UPDATED_AT = `greatest(clock_timestamp(), updated_at + interval '1 microsecond')`;

export const IS_LIVE = 'deleted_at is null';
export const IS_IN_TRASH = 'deleted_at is not null and title is not null';

export const found = (condition: string) => `found as (select * from todo.tasks where ${OWN} and ${condition})`;
export const isFound = (condition = 'true') => `exists (select from found where ${condition})`;
export const IS_WRITTEN = 'exists (select from written)';

export const MAX_LEVELS = 5;
/** Deeper than any tree, so that a cycle, which only psql can make, does not go on for ever. */
export const MAX_DEPTH = 2 * MAX_LEVELS;

/** The tasks right below each in `rows`. OFFSET 0 keeps the planner from joining them with all subtasks of the user. */
export const childrenOf = (rows: string) =>
  `lateral (select * from todo.tasks where user_id = $owner and parent_id = ${rows}.id offset 0) as tasks`;

/** Tells the trigger of `todo.tasks` that the row has its number. */
export const NUMBER = `version, set_config('todo.number', version::text, true)`;

/** Takes the user's next number if `condition` holds, and counts. */
export const numbered = (condition: string, tasks = '0', trash = '0') => `numbered as (
  update todo.users set version = version + 1, tasks = users.tasks + ${tasks}, trash = trash + ${trash}
  where id = $owner and ${condition}
  returning ${NUMBER}
)`;

export const updateFrom = (assignments: string, source = 'numbered') => `
  update todo.tasks set ${assignments}, updated_at = ${NEXT_UPDATED_AT}, version = numbered.version
  from ${source} where ${OWN}
  returning tasks.*`;

/** SQL for the number of the row at `place`, of several that the write takes, which the trigger reads. */
export const numberAt = (place: string) => `set_config('todo.number', (first + ${place})::text, true)::bigint`;

/** A query of the outcome: the `kind`, with the task that one of `rows` has. */
export const outcomeWith = (kind: string, rows: string) => `
  select ${kind} as kind, task.id, task.version, task.json
  from (values (0)) as always left join (
    select id, version, row_to_json(fields)::text as json from (select ${TASK_FIELDS} from (${rows}) as task) as fields
  ) as task on true`;

export const WRITTEN_OR_FOUND = `select * from written union all select * from found where not ${IS_WRITTEN}`;

const IS_COPIED = 'tasks.deleted_at is null and not (tasks.is_completed and tasks.series_id is not null)';

/** The ids of the tasks below that in `top` and of their parents, level by level. Completed occurrences are left out. */
const below = (top: string) => `(
  with recursive below (id, parent, level) as (
    select tasks.id, tasks.parent_id, 1 from (values (${top}.id)) as top (id), ${childrenOf('top')} where ${IS_COPIED}
    union all
    select tasks.id, tasks.parent_id, level + 1 from below, ${childrenOf('below')}
    where ${IS_COPIED} and level < ${MAX_DEPTH}
  )
  select coalesce(json_agg(json_build_array(id, parent)), '[]') from below
)`;

const stateOf = (row: string, task: string) => `json_build_object(
  'due', ${task}.due_date, 'recurrence', ${task}.recurrence, 'from', ${task}.recurrence_from,
  'zone', ${task}.due_time_zone, 'series', coalesce(${row}.series_id, ${row}.id), 'below', ${below(row)}
)::text`;

/** What the successor of the task in `found` is computed from; `task` has the rule. */
export const successorState = (task: string) => `(select ${stateOf('found', task)} from found, ${task})`;

const OTHER_STATES = `(
  select json_agg(json_build_array(tasks.id, ${stateOf('tasks', 'tasks')}))
  from unnest($others::uuid[]) as other (id),
    lateral (select * from todo.tasks where user_id = $owner and tasks.id = other.id offset 0) as tasks
  where tasks.deleted_at is null and tasks.recurrence is not null
)`;

/** Whether the task in `found` has a successor once it is `task`, or had one that may go. */
const isSuccession = (task: string) => `exists (
  select from found, ${task} as changed
  where (changed.is_completed and not found.is_completed and changed.recurrence is not null)
    or (found.is_completed and not changed.is_completed and found.series_id is not null)
)`;

/** Aborts for the values of `completion-sql.ts`. @param task has the rule. */
export const needSuccessor = (task: string) => `${needValue(successorState(task), OTHER_STATES)}::text`;

/** The outcome of a change to `task`, which is left to `completion-sql.ts` if there is a succession. */
export const changedTo = (task: string) =>
  `case when ${isSuccession(task)} then ${NEED_STATE}::text else 'changed' end`;

export const versions = (expected: Expected) => (expected === null ? null : `{${expected.join(',')}}`);

/** The outcome, or what is wrong with `candidate` if its kind is `invalid`. */
export const orFaults = (outcome: string) => `
  select kind, case when kind <> 'invalid' then id end as id, case when kind <> 'invalid' then version end as version,
    case when kind = 'invalid' then (select details from faults) else json end as json
  from (${outcome}) as outcome`;
export const IS_FAULTY = 'exists (select from faults)';
