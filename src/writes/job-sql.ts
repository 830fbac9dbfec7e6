import { sql } from '../database/sql.ts';

/** Rows in one step of a job: few enough that writes of the same users are delayed by milliseconds. */
export const STEP_ROWS = 100;

/** Key of the advisory lock; arbitrary, but unused by anything else in the same database. */
const JOBS_LOCK = 7_063_915;

/** SQL that is false while another process runs a step of a job. */
export const IS_ALONE = `(select pg_catalog.pg_try_advisory_xact_lock(${JOBS_LOCK}))`;

/**
 * Makes `due` of `locked`: all rows are counted, and so locked, before the first is written. The trigger of that one changes
 * the row of the user, which the rows after it could then not lock.
 */
export const DUE = 'due as materialized (select * from locked where (select count(*) from locked) > 0)';

/**
 * The oldest rows of `todo.<table>` for which `condition` holds, locked with their users; users who are writing are passed
 * over. The statement need not repeat the condition, by whose index the planner would read all rows that are due for each.
 */
export const due = (table: string, condition: string, age: string) => `locked as materialized (
  select ${table}.user_id, ${table}.id from todo.${table} join todo.users on users.id = ${table}.user_id
  where ${IS_ALONE} and ${condition}
  order by ${age} limit ${STEP_ROWS} for no key update of users skip locked for update of ${table} skip locked
), ${DUE}`;

/** Deletes replies that are no longer given. Returns the users. */
export const deleteOldReplies = sql(
  'job_replies_delete',
  'write',
  `with due as materialized (
     select user_id, key, part from todo.replies
     where ${IS_ALONE} and created_at <= now() - interval '24 hours'
     order by created_at limit ${STEP_ROWS} for update skip locked
   )
   delete from todo.replies using due
   where (replies.user_id, replies.key, replies.part) = (due.user_id, due.key, due.part)
   returning replies.user_id`,
);
