import type { UserId } from '../core/user.ts';
import { sql } from '../database/sql.ts';
import { LIST_FIELDS } from '../lists/list-sql.ts';
import { LIST_COLUMNS } from '../tasks/columns.ts';

/** The columns of a task in the rows of `readChanges`, from `FIRST_TASK_COLUMN`; of a list only `id` has a value. */
export const TASK_COLUMNS = LIST_COLUMNS;
export const FIRST_TASK_COLUMN = 8;

/** Of a table: those changed after `$position`, in order, as far as the page can have them. */
const changed = (columns: string, table: string) => `(
  select ${columns} from todo.${table}
  where user_id = $owner and ${table}.version > $position::bigint and ${table}.version > 0
    and (deleted_at is null or ${table}.version > coalesce($base::bigint, counter.version))
  order by ${table}.version limit $limit::bigint
)`;

const OF_TASK = `'task' as type, tasks.version as number, deleted_at is not null as is_deleted, title is null as is_blank,
  null as list, ${TASK_COLUMNS.map((column) => column.sql).join(', ')}`;

const LIST_JSON = `(select row_to_json(fields)::text from (select ${LIST_FIELDS}) as fields)`;
const OF_LIST = `'list', lists.version, deleted_at is not null, name is null, ${LIST_JSON},
  ${TASK_COLUMNS.map(({ name }) => (name === 'id' ? 'id' : 'null')).join(', ')}`;

/**
 * Returns the user's counter, epoch and swept version; then, of each task and then of each list changed after
 * `position`, each in order, its type, its version, whether it is deleted, whether its content is gone, the JSON of a
 * list, and `TASK_COLUMNS`. One row without any if there is none; no row if the user has none. Deletions up to `base` are
 * left out; null stands for the counter.
 */
export const readChanges = sql<{ owner: UserId; position: number; base: number | null; limit: number }>(
  'changes_read',
  'read',
  `select counter.*, item.*
   from (select version, epoch, swept from todo.users where id = $owner) as counter
   left join lateral (${changed(OF_TASK, 'tasks')} union all ${changed(OF_LIST, 'lists')}) as item on true`,
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
