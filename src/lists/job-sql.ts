import { sql } from '../database/sql.ts';
import { due } from '../writes/job-sql.ts';

const IS_TO_BE_PURGED = `deleted_at <= now() - interval '365 days'`;

/** Deletes the rows of lists that were deleted a year ago. Returns their users. */
export const purgeDeletedLists = sql(
  'job_lists_purge',
  'write',
  `with ${due('lists', IS_TO_BE_PURGED, 'deleted_at')}
   delete from todo.lists using due where (lists.user_id, lists.id) = (due.user_id, due.id)
   returning lists.user_id`,
);
