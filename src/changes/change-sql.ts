import type { UserId } from '../core/user.ts';
import { sql } from '../database/sql.ts';
import { LIST_COLUMNS } from '../tasks/columns.ts';

/** The columns of a task in the rows of `readChanges`, from `FIRST_TASK_COLUMN`. */
export const TASK_COLUMNS = LIST_COLUMNS;
export const FIRST_TASK_COLUMN = 6;

/**
 * Returns the user's counter, epoch and swept version; then, of each task changed after `position`, in order, its
 * version, whether it is deleted, whether its content is gone, and `TASK_COLUMNS`. One row without a task if there is
 * none; no row if the user has none. Deletions up to `base` are left out; null stands for the counter.
 */
export const readChanges = sql<{ owner: UserId; position: number; base: number | null; limit: number }>(
  'changes_read',
  'read',
  `select counter.*, task.*
   from (select version, epoch, swept from todo.users where id = $owner) as counter
   left join lateral (
     select tasks.version as number, deleted_at is not null as is_deleted, title is null as is_blank,
       ${TASK_COLUMNS.map((column) => column.sql).join(', ')}
     from todo.tasks
     where user_id = $owner and tasks.version > $position::bigint
       and (deleted_at is null or tasks.version > coalesce($base::bigint, counter.version))
     order by tasks.version limit $limit::bigint
   ) as task on true`,
);

/** Creates the row of a user who has written nothing yet, and with it their epoch. */
export const createUser = sql<{ owner: UserId }>(
  'changes_user',
  'write',
  'insert into todo.users (id) values ($owner) on conflict (id) do nothing',
);

/** For the identity `watcher`: returns id and counter of the users in `known`, a list of both, whose counter differs. */
export const changedUsers = sql<{ known: readonly { readonly id: string; readonly version: number }[] }>(
  'changes_look',
  'read',
  `select users.id, users.version
   from json_to_recordset($known::json) as known (id text, version bigint)
   join todo.users on users.id = known.id
   where users.version <> known.version`,
);
