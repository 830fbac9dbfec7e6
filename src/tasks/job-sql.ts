import { sql } from '../database/sql.ts';
import { due } from '../writes/job-sql.ts';
import { BLANK_VALUES, NAMES } from './columns.ts';
import { IS_IN_TRASH, NEXT_UPDATED_AT } from './parts-sql.ts';

const IS_DUE = '(tasks.user_id, tasks.id) = (due.user_id, due.id)';

const IS_TO_BE_BLANKED = `${IS_IN_TRASH} and deleted_at <= now() - make_interval(days => $days::integer)`;

/** Blanks tasks that were deleted long ago. Returns their users. */
export const blankDeletedTasks = sql<{ days: number }>(
  'job_tasks_blank',
  'write',
  `with ${due('tasks', IS_TO_BE_BLANKED, 'deleted_at')}
   update todo.tasks set (${NAMES}) = row(${BLANK_VALUES}), updated_at = ${NEXT_UPDATED_AT}
   from due where ${IS_DUE}
   returning tasks.user_id`,
);

const IS_TO_BE_PURGED = `title is null and updated_at <= now() - interval '365 days'`;

/** Deletes the rows of tasks that were blanked a year ago. Returns their users. */
export const purgeBlankTasks = sql(
  'job_tasks_purge',
  'write',
  `with ${due('tasks', IS_TO_BE_PURGED, 'updated_at')}
   delete from todo.tasks using due where ${IS_DUE}
   returning tasks.user_id`,
);
