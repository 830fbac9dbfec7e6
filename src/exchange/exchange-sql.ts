import type { UserId } from '../core/user.ts';
import { sql } from '../database/sql.ts';
import { LIST_FIELDS } from '../lists/list-sql.ts';
import { LIST_COLUMNS } from '../tasks/columns.ts';
import { effect } from '../writes/effect.ts';

const COLUMNS = LIST_COLUMNS.map((column) => column.sql).join(', ');

/** Returns version and epoch of what the user has; no row if they have written nothing yet. */
export const exportState = sql<{ owner: UserId }>(
  'export_state',
  'read',
  'select version, epoch from todo.users where id = $owner',
);

/** Returns the tasks with ids above `after`, in the order of their ids, with `LIST_COLUMNS`; deleted ones if so asked. */
export const exportTasks = sql<{ owner: UserId; after: string; deleted: boolean; limit: number }>(
  'export_tasks',
  'read',
  `select ${COLUMNS} from todo.tasks
   where user_id = $owner and id > $after::uuid and title is not null and (deleted_at is null or $deleted::boolean)
   order by id limit $limit::integer`,
);

/** Returns id, name and JSON of the user's lists that are not deleted, by position. */
export const exportLists = sql<{ owner: UserId }>(
  'export_lists',
  'read',
  `select id, name, row_to_json(list)::text from (
     select ${LIST_FIELDS} from todo.lists where user_id = $owner and deleted_at is null order by position, id
   ) as list`,
);

/** Returns how many tasks the user has. */
export const countTasks = sql<{ owner: UserId }>(
  'import_count',
  'read',
  'select tasks from todo.users where id = $owner',
);

/** Returns id and state of those tasks of `ids` that there are: `live`, `deleted`, or `blank` if its content is gone. */
export const findTasks = sql<{ owner: UserId; ids: string }>(
  'import_find',
  'read',
  `select id, case when title is null then 'blank' when deleted_at is null then 'live' else 'deleted' end
   from todo.tasks where user_id = $owner and id = any($ids::uuid[])`,
);

/** Of each kind in one transaction, so that others wait for milliseconds. */
export const ERASED_AT_ONCE = 200;

const erase = (table: string, order: string) => `
  delete from todo.${table} where user_id = $owner and (user_id, ${order}) in (
    select user_id, ${order} from todo.${table} where user_id = $owner order by ${order} limit ${ERASED_AT_ONCE}
  )
  returning 1`;

const COUNTED = `select 'deleted' as kind, null::uuid as id, count(*) as version, null as json from gone`;

/** Deletes rows of tasks, deleted ones too. Outcome: `deleted`, with the number of rows as the version. */
export const eraseTasks = effect<Record<never, never>>(
  'erase_tasks',
  'lock',
  `gone as (${erase('tasks', 'id')})`,
  COUNTED,
);

/** Deletes lists, as `eraseTasks`. */
export const eraseLists = effect<Record<never, never>>(
  'erase_lists',
  'lock',
  `gone as (${erase('lists', 'id')})`,
  COUNTED,
);

/** Deletes kept replies, as `eraseTasks`. */
export const eraseReplies = effect<Record<never, never>>(
  'erase_replies',
  'lock',
  `gone as (${erase('replies', 'key, part')})`,
  COUNTED,
);

/** Begins an epoch: positions of before are no longer good. Outcome: `changed`. */
export const renewEpoch = effect<Record<never, never>>(
  'erase_epoch',
  'lock',
  `renewed as (update todo.users set epoch = gen_random_uuid(), version = version + 1 where id = $owner returning version)`,
  `select 'changed' as kind, null::uuid as id, coalesce((select version from renewed), 0) as version, null as json`,
);
