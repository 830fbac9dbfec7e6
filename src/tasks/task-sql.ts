import type { UserId } from '../core/user.ts';
import { sql } from '../database/sql.ts';
import { LIST_COLUMNS, TASK_FIELDS } from './columns.ts';
import { MAX_TASKS_IN_LIST, type TaskId } from './task.ts';

const NEWEST = `select * from todo.tasks where user_id = $owner and deleted_at is null
  order by created_at desc, id desc limit ${MAX_TASKS_IN_LIST}`;
const NEWEST_DELETED = `select * from todo.tasks where user_id = $owner and deleted_at is not null and title is not null
  order by deleted_at desc, id desc limit ${MAX_TASKS_IN_LIST}`;
const AS_LIST = `'{"tasks":[' || coalesce(string_agg(row_to_json(task)::text, ','), '') || ']}'`;

/** What changes with every change of the user's. */
export const STATE = `coalesce((select epoch || '.' || version from todo.users where id = $owner), '0')`;

/** Returns the state of what the user has. */
export const getState = sql<{ owner: UserId }>('user_state', 'read', `select ${STATE}`);

/** @returns a statement of the state and the list, which is not read if the state is `$known`. */
const listUnlessKnown = (name: string, list: string) =>
  sql<{ owner: UserId; known: string | null }>(
    name,
    'read',
    `select state, case when state is distinct from $known then (${list}) end from (select ${STATE} as state) as present`,
  );

/** Returns the state, and the list as JSON text. */
export const listTasks = listUnlessKnown(
  'task_list',
  `select ${AS_LIST} from (select ${TASK_FIELDS} from (${NEWEST}) as newest) as task`,
);

/** SQL for the bytes of the texts of a task. */
export const TEXT_BYTES = 'octet_length(title) + coalesce(octet_length(description), 0) + pg_column_size(tags)';

/** Of all texts together, which escapes in JSON may make 6 times as many. */
export const MAX_SHORT_LIST_BYTES = 131_072;

/** Returns the state, and the list as JSON text, or null if its texts are long. */
export const listShortTasks = listUnlessKnown(
  'task_list_short',
  `with newest as materialized (${NEWEST}),
     length as (select coalesce(sum(${TEXT_BYTES}), 0) as bytes from newest)
   select case when (select bytes from length) <= ${MAX_SHORT_LIST_BYTES} then ${AS_LIST} end
   from (
     select ${TASK_FIELDS} from newest where (select bytes from length) <= ${MAX_SHORT_LIST_BYTES}
   ) as task`,
);

export const COLUMNS = LIST_COLUMNS.map((column) => column.sql).join(', ');

/** Returns a row for each task of the list, with `LIST_COLUMNS`: PostgreSQL takes long to escape long texts. */
export const listLongTasks = sql<{ owner: UserId }>(
  'task_list_long',
  'read',
  `select ${COLUMNS} from (${NEWEST}) as newest`,
);

/** The same of the deleted tasks whose content is kept, newest deletion first. */
export const listDeletedTasks = sql<{ owner: UserId }>(
  'task_list_deleted',
  'read',
  `select ${COLUMNS} from (${NEWEST_DELETED}) as newest`,
);

/** Returns id, version and JSON text. */
export const getTask = sql<{ owner: UserId; id: TaskId }>(
  'task_get',
  'read',
  `select id, version, row_to_json(task)::text
   from (select ${TASK_FIELDS} from todo.tasks where user_id = $owner and id = $id and deleted_at is null) as task`,
);
