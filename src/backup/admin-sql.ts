import pg from 'pg';
import { z } from 'zod';
import { type BoundStatement, sql } from '../database/sql.ts';

/** Rows in one page: few enough that requests on the same connection are delayed by milliseconds. */
export const PAGE_ROWS = 500;

export const Table = z.enum(['users', 'lists', 'tasks', 'replies']);
export type Table = z.output<typeof Table>;

interface TableOfBackup {
  /** What a row is called in the file. */
  readonly entry: 'user' | 'list' | 'task' | 'reply';
  /** The columns of the primary key, in the order of its bytes; the user's id first. */
  readonly key: readonly string[];
  readonly types: readonly string[];
  /** A key before all others. */
  readonly first: readonly string[];
  /** SQL for whether a row belongs in a backup. */
  readonly isKept: string;
  /** Columns that count rows, which a trigger maintains. */
  readonly counts: readonly string[];
  /** Columns of versions, which are written by a move alone. */
  readonly versions: readonly string[];
}

/** The tables of a backup, parents before children. */
export const TABLES: Readonly<Record<Table, TableOfBackup>> = {
  users: {
    entry: 'user',
    key: ['id'],
    types: ['text'],
    first: [''],
    isKept: 'true',
    counts: ['tasks', 'trash', 'kept'],
    versions: ['version', 'epoch', 'swept'],
  },
  lists: {
    entry: 'list',
    key: ['user_id', 'id'],
    types: ['text', 'uuid'],
    first: ['', '00000000-0000-0000-0000-000000000000'],
    isKept: 'true',
    counts: [],
    versions: ['version'],
  },
  tasks: {
    entry: 'task',
    key: ['user_id', 'id'],
    types: ['text', 'uuid'],
    first: ['', '00000000-0000-0000-0000-000000000000'],
    isKept: 'true',
    counts: [],
    versions: ['version'],
  },
  replies: {
    entry: 'reply',
    key: ['user_id', 'key', 'part'],
    types: ['text', 'text', 'smallint'],
    first: ['', '', '0'],
    isKept: `created_at > now() - interval '24 hours'`,
    counts: [],
    versions: [],
  },
};

/** A whole row, by column; only the database checks that the columns exist. */
export const TableRow = z.record(z.string().regex(/^[a-z][a-z0-9_]*$/), z.unknown());
export type TableRow = z.output<typeof TableRow>;

const Rows = z.strictObject({
  users: z.array(TableRow),
  lists: z.array(TableRow),
  tasks: z.array(TableRow),
  replies: z.array(TableRow),
});

/**
 * What happens to rows that exist, and to versions:
 * - `keep`: they stay, but for a deleted task or list that is not deleted in the file;
 * - `replace`: tasks and lists that differ are overwritten;
 * - `move`: no user of the file may exist; versions, epochs and the rest are as in the file. The other two give each
 *   user a new epoch and a version above all that were given, and number what they write.
 */
export const Existing = z.enum(['keep', 'replace', 'move']);
export type Existing = z.output<typeof Existing>;

/**
 * - `count`: the number of rows of each table.
 * - `page`: the rows of a table after a key: the columns of the key, then the whole row as JSON.
 * - `put`: inserts rows in one transaction; the table's name for each that was inserted or changed. All rows of a table
 *   have the columns of the first, and every list, task and reply comes with its user.
 * - `check`: the same, rolled back.
 * - `epoch`: gives a page of users after an id a new epoch: the last id, and how many.
 */
export const AdminRequest = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('count') }),
  z.strictObject({ kind: z.literal('page'), table: Table, after: z.array(z.string()) }),
  z.strictObject({ kind: z.literal(['put', 'check']), rows: Rows, existing: Existing }),
  z.strictObject({ kind: z.literal('epoch'), after: z.string() }),
]);
export type AdminRequest = z.output<typeof AdminRequest>;

/** The SQLSTATE with which a `check` that found no fault rolls back. */
export const CHECK_PASSED = 'TD000';
/** The SQLSTATE with which a move that would mix up versions is aborted. */
const NOT_MOVABLE = 'TD004';

type UserRows = { readonly users: readonly TableRow[] };
const GIVEN_USERS = 'json_populate_recordset(null::todo.users, $users::json) as given';

const COUNT = sql(
  'admin_count',
  'read',
  `select ${Object.entries(TABLES)
    .map(([table, { isKept }]) => `(select count(*) from todo.${table} where ${isKept})`)
    .join(', ')}`,
);
const ROLL_BACK = sql<{ code: string }>('admin_roll_back', 'write', `select todo.abort($code, 'checked')`);

/** The number of a user's changes that may be in a database but not in its backup: none is given twice. */
const VERSIONS_SKIPPED = 2 ** 32;

const RAISE = sql<UserRows>(
  'admin_users_raise',
  'write',
  `update todo.users set epoch = gen_random_uuid(),
     version = greatest(users.version, coalesce(given.version, 0)) + ${VERSIONS_SKIPPED}
   from ${GIVEN_USERS} where users.id = given.id`,
);

const NEW_EPOCH = sql<{ after: string }>(
  'admin_users_epoch',
  'write',
  `with page as materialized (
     select id from todo.users where id > $after order by id limit ${PAGE_ROWS} for no key update
   ), raised as (
     update todo.users set epoch = gen_random_uuid(), version = version + ${VERSIONS_SKIPPED}
     from page where users.id = page.id returning users.id
   ) select max(id), count(*) from raised having count(*) > 0`,
);

/** The row triggers of tasks and lists then number none. */
const KEEP_VERSIONS = sql(
  'admin_keep_versions',
  'read',
  `select pg_catalog.set_config('todo.keep_versions', 'on', true)`,
);

const REFUSE_MIXTURE = sql<UserRows>(
  'admin_refuse_mixture',
  'read',
  `select todo.abort('${NOT_MOVABLE}', 'The user ' || users.id || case
       when (users.epoch, users.version) is distinct from (given.epoch, given.version)
       then ' has written to this database: --move needs one that nobody uses'
       else ' wrote while the backup was made: stop the service, and back up again' end)
   from ${GIVEN_USERS} join todo.users on users.id = given.id
   where (users.epoch, users.version) is distinct from (given.epoch, given.version)
     or exists (select from todo.tasks where user_id = users.id and version > users.version)
     or exists (select from todo.lists where user_id = users.id and version > users.version)`,
);

/** A task or list may have lost its content while it was backed up, after its replies were read. */
const BLANK_REPLIES = sql<{ readonly replies: readonly TableRow[] }>(
  'admin_replies_blank',
  'write',
  `update todo.replies set kind = 'missing', version = null, task = null
   from json_populate_recordset(null::todo.replies, $replies::json) as given
   where (replies.user_id, replies.key, replies.part) = (given.user_id, given.key, given.part)
     and replies.task is not null and case replies.type
       when 'task' then exists (
         select from todo.tasks where (user_id, id) = (replies.user_id, replies.task_id) and title is null
       )
       else exists (
         select from todo.lists where (user_id, id) = (replies.user_id, replies.task_id) and name is null
       )
     end`,
);

function page(table: Table, after: readonly string[]): BoundStatement {
  const { key, types, isKept } = TABLES[table];
  const names = key.join(', ');
  const from = key.map((column, index) => `$${column}::${types[index]}`).join(', ');
  const text = `select ${names}, row_to_json(t)::text from todo.${table} as t
    where (${names}) > (${from}) and ${isKept} order by ${names} limit ${PAGE_ROWS}`;
  const statement = sql(`admin_${table}_page`, 'read', text);
  return statement(Object.fromEntries(key.map((column, index) => [column, after[index] ?? ''])));
}

/** Whether its rows may be deleted and come back. */
const isDeletable = (table: Table) => table === 'tasks' || table === 'lists';

/** @returns the columns to write. Those that the rows do not have get their default; a task or list is not deleted by default. */
function columnsOf(table: Table, rows: readonly TableRow[], existing: Existing): string[] {
  const { counts, versions } = TABLES[table];
  const given = Object.keys(rows[0] ?? {}).filter((column) => !counts.includes(column));
  const columns = existing === 'move' ? given : given.filter((column) => !versions.includes(column));
  return [...new Set(isDeletable(table) ? [...columns, 'deleted_at'] : columns)].sort();
}

/** @returns a statement that inserts `rows`, which returns the table's name for each row written; none without rows. */
function put(table: Table, rows: readonly TableRow[], existing: Existing): readonly BoundStatement[] {
  if (rows.length === 0) return [];
  const columns = columnsOf(table, rows, existing);
  const columnList = (prefix: string) => columns.map((column) => prefix + pg.escapeIdentifier(column)).join(', ');
  const isReplaced = {
    keep: `${table}.deleted_at is not null and excluded.deleted_at is null`,
    replace: `(${columnList(`${table}.`)}) is distinct from (${columnList('excluded.')})`,
    move: null,
  }[existing];
  const onConflict =
    isDeletable(table) && isReplaced !== null
      ? `do update set (${columnList('')}) = row(${columnList('excluded.')}) where ${isReplaced}`
      : 'do nothing';
  const text = `insert into todo.${table} (${columnList('')})
    select ${columnList('')} from json_populate_recordset(null::todo.${table}, $rows::json)
    on conflict (${TABLES[table].key.join(', ')}) ${onConflict} returning '${table}'`;
  return [sql<{ rows: readonly TableRow[] }>(`admin_${table}_put`, 'write', text)({ rows })];
}

/** @returns the statements of `request`, to be run as one transaction. */
export function statementsOf(request: AdminRequest): readonly BoundStatement[] {
  switch (request.kind) {
    case 'count':
      return [COUNT({})];
    case 'page':
      return [page(request.table, request.after)];
    case 'epoch':
      return [NEW_EPOCH({ after: request.after })];
    case 'put':
    case 'check': {
      const { kind, rows, existing } = request;
      const { users, lists, tasks, replies } = rows;
      return [
        ...(existing === 'move' ? [KEEP_VERSIONS({})] : []),
        ...put('users', users, existing),
        ...(existing === 'move' ? [] : [RAISE({ users })]),
        ...put('lists', lists, existing),
        ...put('tasks', tasks, existing),
        ...put('replies', replies, existing),
        ...(replies.length > 0 ? [BLANK_REPLIES({ replies })] : []),
        ...(existing === 'move' ? [REFUSE_MIXTURE({ users })] : []),
        ...(kind === 'check' ? [ROLL_BACK({ code: CHECK_PASSED })] : []),
      ];
    }
  }
}
