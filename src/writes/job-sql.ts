import { sql } from '../database/sql.ts';

/** Rows in one step of a job: few enough that writes of the same users are delayed by milliseconds. */
export const STEP_ROWS = 100;

/** Key of the advisory lock; arbitrary, but unused by anything else in the same database. */
const JOBS_LOCK = 7_063_915;

/** SQL that is false while another process runs a step of a job. */
export const IS_ALONE = `(select pg_catalog.pg_try_advisory_xact_lock(${JOBS_LOCK}))`;

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
