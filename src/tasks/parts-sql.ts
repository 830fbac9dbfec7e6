import { needValue } from '../writes/effect.ts';
import { NAMES, namesOf, TASK_FIELDS } from './columns.ts';

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

/** A query of the outcome: the `kind`, with the task that one of `rows` has. */
export const outcomeWith = (kind: string, rows: string) => `
  select ${kind} as kind, task.id, task.version, task.json
  from (values (0)) as always left join (
    select id, version, row_to_json(fields)::text as json from (select ${TASK_FIELDS} from (${rows}) as task) as fields
  ) as task on true`;

export const WRITTEN_OR_FOUND = `select * from written union all select * from found where not ${IS_WRITTEN}`;

/** What becomes of the task in `found`. */
export const candidate = (values: string) => `candidate as (select ${values} from found)`;
export const IS_CHANGED = `exists (select from found, candidate where (${namesOf('found')}) is distinct from (${namesOf('candidate')}))`;
export const UPDATE_TO_CANDIDATE = updateFrom(`(${NAMES}) = row(${namesOf('candidate')})`, 'numbered, candidate');

/** An outcome of `outcomeWith` whose JSON, if it is `invalid`, is what is wrong, in `faults`. */
export const withFaults = (outcome: string) => `
  select kind, case when kind <> 'invalid' then id end as id, case when kind <> 'invalid' then version end as version,
    case when kind = 'invalid' then (select details from faults) else json end as json
  from (${outcome}) as outcome`;

/** What the successor of the task in `found` is computed from; `task` has the rule. Completed occurrences are not copied. */
export const successorState = (task: string) => `(
  select json_build_object(
    'due', ${task}.due_date, 'recurrence', ${task}.recurrence, 'from', ${task}.recurrence_from,
    'zone', ${task}.due_time_zone, 'series', coalesce(found.series_id, found.id),
    'below', (
      with recursive below (id, parent, depth) as (
        select tasks.id, tasks.parent_id, 1 from todo.tasks
        where tasks.user_id = $owner and tasks.parent_id = found.id and tasks.deleted_at is null
          and not (tasks.is_completed and tasks.series_id is not null)
        union all
        select tasks.id, tasks.parent_id, depth + 1 from below join todo.tasks
          on tasks.user_id = $owner and tasks.parent_id = below.id and tasks.deleted_at is null
          and not (tasks.is_completed and tasks.series_id is not null)
        where depth < 10
      )
      select coalesce(json_agg(json_build_array(id, parent) order by depth, id), '[]') from below
    )
  )::text
  from found${task === 'found' ? '' : `, ${task}`}
)`;

/** Whether the task in `found` has a successor once it is `task`, or had one that may go. */
export const isSuccession = (task: string) => `exists (
  select from found, ${task} as changed
  where (changed.is_completed and not found.is_completed and changed.recurrence is not null)
    or (found.is_completed and not changed.is_completed and found.series_id is not null)
)`;

/** Aborts for the values of `completion-sql.ts`. */
export const needSuccessor = (task: string) => `${needValue(successorState(task))}::text`;

export const versions = (expected: Expected) => (expected === null ? null : `{${expected.join(',')}}`);
