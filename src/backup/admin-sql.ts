import pg from 'pg';
import { z } from 'zod';
import { type BoundStatement, sql } from '../database/sql.ts';

/** Rows in one page: few enough that requests on the same connection are delayed by milliseconds. */
export const PAGE_ROWS = 500;

/** The tables of a backup, parents before children; a key is in the order of its bytes. */
export const TABLES = {
  users: { key: ['id'], types: ['text'], first: [''] },
  tasks: { key: ['user_id', 'id'], types: ['text', 'uuid'], first: ['', '00000000-0000-0000-0000-000000000000'] },
} as const;

export type Table = keyof typeof TABLES;

/** A whole row, by column; only the database checks that the columns exist. */
export const TableRow = z.record(z.string().regex(/^[a-z][a-z0-9_]*$/), z.unknown());
export type TableRow = z.output<typeof TableRow>;

/**
 * - `count`: the number of users and of tasks.
 * - `page`: the rows of a table after a key: the columns of the key, then the whole row as JSON.
 * - `put`: inserts users and tasks in one transaction; a row for each that was inserted or changed. A row whose key
 *   exists is kept or, for tasks, replaced. All rows of a table have the columns of the first.
 * - `check`: the same, rolled back.
 */
export const AdminRequest = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('count') }),
  z.strictObject({ kind: z.literal('page'), table: z.enum(['users', 'tasks']), after: z.array(z.string()) }),
  z.strictObject({
    kind: z.literal(['put', 'check']),
    users: z.array(TableRow),
    tasks: z.array(TableRow),
    existing: z.enum(['keep', 'replace']),
  }),
]);
export type AdminRequest = z.output<typeof AdminRequest>;

/** The SQLSTATE with which a `check` that found no fault rolls back. */
export const CHECK_PASSED = 'TD000';

const COUNT = sql('admin_count', 'read', 'select (select count(*) from todo.users), (select count(*) from todo.tasks)');
const ROLL_BACK = sql<{ code: string }>('admin_roll_back', 'write', `select todo.abort($code, 'checked')`);

function page(table: Table, after: readonly string[]): BoundStatement {
  const { key, types } = TABLES[table];
  const names = key.join(', ');
  const from = key.map((column, index) => `$${column}::${types[index]}`).join(', ');
  const text = `select ${names}, row_to_json(t)::text from todo.${table} as t
    where (${names}) > (${from}) order by ${names} limit ${PAGE_ROWS}`;
  const statement = sql(`admin_${table}_page`, 'read', text);
  return statement(Object.fromEntries(key.map((column, index) => [column, after[index] ?? ''])));
}

/** Columns that the rows do not have get their default. */
function put(table: Table, rows: readonly TableRow[], existing: 'keep' | 'replace'): BoundStatement {
  const columns = Object.keys(rows[0] ?? {}).sort();
  const columnList = (prefix: string) => columns.map((column) => prefix + pg.escapeIdentifier(column)).join(', ');
  const replace = `do update set (${columnList('')}) = row(${columnList('excluded.')})
    where (${columnList(`${table}.`)}) is distinct from (${columnList('excluded.')})`;
  const text = `insert into todo.${table} (${columnList('')})
    select ${columnList('')} from json_populate_recordset(null::todo.${table}, $rows::json)
    on conflict (${TABLES[table].key.join(', ')}) ${existing === 'replace' ? replace : 'do nothing'} returning ''`;
  return sql<{ rows: readonly TableRow[] }>(`admin_${table}_put`, 'write', text)({ rows });
}

/** @returns the statements of `request`, to be run as one transaction. */
export function statementsOf(request: AdminRequest): readonly BoundStatement[] {
  switch (request.kind) {
    case 'count':
      return [COUNT({})];
    case 'page':
      return [page(request.table, request.after)];
    case 'put':
    case 'check': {
      const { kind, users, tasks, existing } = request;
      return [
        ...(users.length > 0 ? [put('users', users, 'keep')] : []),
        ...(tasks.length > 0 ? [put('tasks', tasks, existing)] : []),
        ...(kind === 'check' ? [ROLL_BACK({ code: CHECK_PASSED })] : []),
      ];
    }
  }
}
