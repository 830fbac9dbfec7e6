import { sql } from '../database/sql.ts';
import { IS_ALONE, STEP_ROWS } from '../writes/job-sql.ts';
import { BLANK_VALUES, NAMES } from './columns.ts';
import { IS_IN_TRASH, NEXT_UPDATED_AT } from './parts-sql.ts';

/**
 * The oldest tasks for which `condition` holds, locked with their users; users who are writing are passed over. The
 * statement need not repeat the condition, by whose index the planner would read all tasks that are due for each.
 */
const due = (condition: string, age: string) => `due as materialized (
  select tasks.user_id, tasks.id from todo.tasks join todo.users on users.id = tasks.user_id
  where ${IS_ALONE} and ${condition}
  order by ${age} limit ${STEP_ROWS} for no key update of users skip locked for update of tasks skip locked
)`;

const IS_DUE = '(tasks.user_id, tasks.id) = (due.user_id, due.id)';

const IS_TO_BE_BLANKED = `${IS_IN_TRASH} and deleted_at <= now() - make_interval(days => $days::integer)`;

/** Blanks tasks that were deleted long ago. Returns their users. */
export const blankDeletedTasks = sql<{ days: number }>(
  'job_tasks_blank',
  'write',
  `with ${due(IS_TO_BE_BLANKED, 'deleted_at')}
   update todo.tasks set (${NAMES}) = row(${BLANK_VALUES}), updated_at = ${NEXT_UPDATED_AT}
   from due where ${IS_DUE}
   returning tasks.user_id`,
);

const IS_TO_BE_PURGED = `title is null and updated_at <= now() - interval '365 days'`;

/** Deletes the rows of tasks that were blanked a year ago. Returns their users. */
export const purgeBlankTasks = sql(
  'job_tasks_purge',
  'write',
  `with ${due(IS_TO_BE_PURGED, 'updated_at')}
   delete from todo.tasks using due where ${IS_DUE}
   returning tasks.user_id`,
);
