import type pg from 'pg';
import { DatabaseUnusableError } from '../errors.ts';
import { migrate } from './migrate.ts';

const OLDEST_SERVER = 150_000;

/** Every table of the schema except `migrations`. */
const TABLES = `select format('todo.%I', tablename) as name from pg_tables
  where schemaname = 'todo' and tablename <> 'migrations' order by 1`;

/** Run as `todo_app`: whether row-level security applies to it and to the owner, and how many of its policies apply. */
const ISOLATION = `
  select name, row_security_active(name) as rls_active,
    (select relforcerowsecurity from pg_class where oid = name::regclass) as rls_forced,
    (select count(*)::int from pg_policy
      where polrelid = name::regclass
        and exists (
          select from unnest(polroles) as role
          where case when role = 0 then true else pg_has_role(current_user, role, 'member') end
        )) as policies
  from unnest($1::text[]) as name`;

interface TableIsolation {
  readonly name: string;
  readonly rls_active: boolean;
  readonly rls_forced: boolean;
  readonly policies: number;
}

/** Whether RLS applies to the login role (superusers and BYPASSRLS roles are exempt) and it may read the tables. */
const RLS_APPLIES_TO_LOGIN_ROLE = `
  select bool_and(row_security_active(name) and has_table_privilege(name, 'select')) as applies
  from unnest($1::text[]) as name`;

/** One existing row of each table, by its key: looking for any visible row would read the whole table. */
const SAMPLE_TASK = 'select user_id, id from todo.tasks order by user_id, id limit 1';
const SAMPLE_USER = 'select id from todo.users order by id limit 1';

async function verifyServer(client: pg.ClientBase): Promise<void> {
  const result = await client.query<{ version: number; encoding: string; isolation: string }>(
    `select current_setting('server_version_num')::int as version, current_setting('server_encoding') as encoding,
      current_setting('default_transaction_isolation') as isolation`,
  );
  const { version = 0, encoding = '', isolation = '' } = result.rows[0] ?? {};
  if (version < OLDEST_SERVER) throw new DatabaseUnusableError('The database server is older than PostgreSQL 15');
  if (encoding !== 'UTF8') throw new DatabaseUnusableError(`The database's encoding is ${encoding}; it must be UTF8`);
  if (isolation !== 'read committed') {
    throw new DatabaseUnusableError(
      `default_transaction_isolation is ${isolation} for this role or database; it must be read committed`,
    );
  }
}

function refuse(found: unknown): never {
  throw new DatabaseUnusableError(
    `Row-level security does not confine the tables of schema "todo" (${JSON.stringify(found)}); refusing to serve`,
  );
}

const setRole = (client: pg.ClientBase, role: 'todo_app' | 'todo_operator' | 'none') =>
  client.query(`select set_config('role', $1, true)`, [role]);

/** In a transaction without a user. @throws {DatabaseUnusableError} if the login role itself sees a sample row. */
async function verifyLoginRoleIsConfined(client: pg.ClientBase, tables: readonly string[]): Promise<void> {
  const { rows } = await client.query<{ applies: boolean }>(RLS_APPLIES_TO_LOGIN_ROLE, [tables]);
  if (rows[0]?.applies !== true) return;
  await client.query('savepoint as_admin');
  const isAdmin = await setRole(client, 'todo_operator').then(
    () => true,
    () => false,
  );
  if (!isAdmin) {
    await client.query('rollback to savepoint as_admin');
    return;
  }
  const task = (await client.query<{ user_id: string; id: string }>(SAMPLE_TASK)).rows[0];
  const user = (await client.query<{ id: string }>(SAMPLE_USER)).rows[0];
  await setRole(client, 'none');
  const tasks = await client.query('select from todo.tasks where user_id = $1 and id = $2', [task?.user_id, task?.id]);
  const users = await client.query('select from todo.users where id = $1', [user?.id]);
  if (tasks.rowCount !== 0 || users.rowCount !== 0) refuse({ visible_to_the_login_role: true });
}

/** @throws {DatabaseUnusableError} unless `todo_app` is confined in every table and sees no row. */
async function verifyRequestRoleIsConfined(client: pg.ClientBase, tables: readonly string[]): Promise<void> {
  await setRole(client, 'todo_app');
  const { rows } = await client.query<TableIsolation>(ISOLATION, [tables]);
  const faulty = rows.filter((table) => !table.rls_active || !table.rls_forced || table.policies !== 1);
  if (rows.length < 2 || faulty.length > 0) refuse(faulty);
  for (const name of tables) {
    const visible = await client.query(`select from ${name} limit 1`);
    if (visible.rowCount !== 0) refuse({ name, visible: true });
  }
}

/**
 * Checks that a transaction without a user sees no row, as `todo_app`; and as the login role by one sample row of each
 * table, if RLS applies to it and it may become `todo_operator`.
 */
async function verifyIsolation(client: pg.ClientBase): Promise<void> {
  await client.query('begin');
  try {
    await client.query(`select set_config('app.user_id', '', true)`);
    const tables = (await client.query<{ name: string }>(TABLES)).rows.map(({ name }) => name);
    await verifyLoginRoleIsConfined(client, tables);
    await verifyRequestRoleIsConfined(client, tables);
  } finally {
    await client.query('rollback').catch(() => undefined);
  }
}

/**
 * Migrates the schema and checks that the database confines each user to their own rows.
 * @throws {DatabaseUnusableError} if it must not be served from; the driver's errors otherwise.
 */
export async function migrateAndVerify(client: pg.ClientBase): Promise<void> {
  await migrateOnly(client);
  await verifyIsolation(client);
}

/** Migrates the schema, for a login role that only backs up and restores. @throws as `migrateAndVerify` does. */
export async function migrateOnly(client: pg.ClientBase): Promise<void> {
  await verifyServer(client);
  await migrate(client);
}
