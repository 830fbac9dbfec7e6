import { sql } from '../database/sql.ts';
import { DUE, due, IS_ALONE, STEP_ROWS } from '../writes/job-sql.ts';
import { BLANK_VALUES, NAMES } from './columns.ts';
import { IS_IN_TRASH, NEXT_UPDATED_AT } from './parts-sql.ts';
import { WORDS_REVISION } from './words.ts';

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

/** The form of the predicate of the index `tasks_to_index`. */
const IS_TO_BE_INDEXED = `title is not null and words_revision < ${WORDS_REVISION}`;

/** Returns user, id, version, title, description and JSON of the tags of tasks without words of the present revision. */
export const readUnindexedTasks = sql(
  'job_tasks_unindexed',
  'read',
  `select user_id, id, version, title, description, to_json(tags)::text
   from todo.tasks where ${IS_TO_BE_INDEXED} limit ${STEP_ROWS}`,
);

/** Gives tasks in `$tasks`, unless they have been changed, their words, which is no change of them. Returns their users. */
export const indexTasks = sql<{ tasks: readonly object[] }>(
  'job_tasks_index',
  'write',
  `with given as materialized (
     select user_id, id, version, title_words, description_words,
       array(select json_array_elements_text(tag_keys)) as tag_keys,
       array(select json_array_elements_text(tag_words)) as tag_words
     from json_to_recordset($tasks::json) as task (user_id text, id uuid, version bigint, title_words text,
       description_words text, tag_keys json, tag_words json)
   ), locked as materialized (
     select given.*, set_config('todo.keep_versions', 'on', true)
     from given join todo.tasks on (tasks.user_id, tasks.id, tasks.version) = (given.user_id, given.id, given.version)
       join todo.users on users.id = tasks.user_id
     where ${IS_ALONE} for no key update of users skip locked for update of tasks skip locked
   ), ${DUE}
   update todo.tasks set title_words = due.title_words, description_words = due.description_words,
     tag_keys = due.tag_keys, tag_words = due.tag_words, words_revision = ${WORDS_REVISION}
   from due where ${IS_DUE}
   returning tasks.user_id`,
);

/** Deletes the rows of tasks that were blanked a year ago. Returns their users. */
export const purgeBlankTasks = sql(
  'job_tasks_purge',
  'write',
  `with ${due('tasks', IS_TO_BE_PURGED, 'updated_at')}
   delete from todo.tasks using due where ${IS_DUE}
   returning tasks.user_id`,
);
