import type pg from 'pg';
import { UnusableDatabase } from '../pool/connector.ts';
import { migrate } from './migrate.ts';

const OLDEST_SERVER = 150_000;

interface Isolation {
  readonly tables: number;
  readonly confined: number;
  readonly policies: number;
  readonly visible: number;
}

/** Asked as the role that requests run as, with no user named: every table must be confined, and nothing visible. */
const ISOLATION = `
  select
    (select count(*)::int from pg_tables where schemaname = 'todo' and tablename in ('users', 'tasks')) as tables,
    (select count(*)::int from unnest(array['todo.users', 'todo.tasks']) as name where row_security_active(name)) as confined,
    (select count(*)::int from pg_policy
      where polrelid in ('todo.users'::regclass, 'todo.tasks'::regclass)
        and exists (
          select from unnest(polroles) as role
          where case when role = 0 then true else pg_has_role(current_user, role, 'member') end
        )) as policies,
    (select count(*)::int from (select from todo.users limit 1) as u)
      + (select count(*)::int from (select from todo.tasks limit 1) as t) as visible`;

/** Whether row-level security keeps the tables from the role that connected, as it does from all but superusers and the like. */
const LOGIN_IS_KEPT_OUT = `
  select coalesce(bool_and(row_security_active(name) and has_table_privilege(name, 'select')), false) as kept
  from unnest(array['todo.users', 'todo.tasks']) as name`;

/** One row of each table that has any, by its key: a search for none at all would read the whole table. */
const SAMPLE_TASK = 'select user_id, id from todo.tasks order by user_id, id limit 1';
const SAMPLE_USER = 'select id from todo.users order by id limit 1';

async function checkServer(client: pg.ClientBase): Promise<void> {
  const result = await client.query<{ version: number; encoding: string }>(
    `select current_setting('server_version_num')::int as version, current_setting('server_encoding') as encoding`,
  );
  const { version = 0, encoding = '' } = result.rows[0] ?? {};
  if (version < OLDEST_SERVER) throw new UnusableDatabase('The database server is older than PostgreSQL 15');
  if (encoding !== 'UTF8') throw new UnusableDatabase(`The database's encoding is ${encoding}; it must be UTF8`);
}

function refuse(found: unknown): never {
  throw new UnusableDatabase(
    `Row-level security does not confine the tables of schema "todo" (${JSON.stringify(found)}); refusing to serve`,
  );
}

const become = (client: pg.ClientBase, role: 'todo_app' | 'todo_operator' | 'none') =>
  client.query(`select set_config('role', $1, true)`, [role]);

/** Within a transaction that names no user. @throws {UnusableDatabase} where the role that connected sees a row by itself. */
async function checkLogin(client: pg.ClientBase): Promise<void> {
  const { rows } = await client.query<{ kept: boolean }>(LOGIN_IS_KEPT_OUT);
  if (rows[0]?.kept !== true) return;
  await client.query('savepoint as_operator');
  const mayOperate = await become(client, 'todo_operator').then(
    () => true,
    () => false,
  );
  if (!mayOperate) {
    await client.query('rollback to savepoint as_operator');
    return;
  }
  const task = (await client.query<{ user_id: string; id: string }>(SAMPLE_TASK)).rows[0];
  const user = (await client.query<{ id: string }>(SAMPLE_USER)).rows[0];
  await become(client, 'none');
  const tasks = await client.query('select from todo.tasks where user_id = $1 and id = $2', [task?.user_id, task?.id]);
  const users = await client.query('select from todo.users where id = $1', [user?.id]);
  if (tasks.rowCount !== 0 || users.rowCount !== 0) refuse({ visible_to_the_role_that_connects: true });
}

/**
 * @throws {UnusableDatabase} unless a transaction that names no user sees no row of anybody, be it as the role that
 * requests run as, or as the one that connected.
 */
async function checkIsolation(client: pg.ClientBase): Promise<void> {
  await client.query('begin');
  try {
    await client.query(`select set_config('app.user_id', '', true)`);
    await checkLogin(client);
    await become(client, 'todo_app');
    const isolation = (await client.query<Isolation>(ISOLATION)).rows[0];
    const holds =
      isolation?.tables === 2 && isolation.confined === 2 && isolation.policies === 2 && isolation.visible === 0;
    if (!holds) refuse(isolation);
  } finally {
    await client.query('rollback').catch(() => undefined);
  }
}

/**
 * Brings the schema up to date and proves that the database confines each user to their own rows.
 * @throws {UnusableDatabase} when it must not be served from; the driver's errors otherwise.
 */
export async function prepareToServe(client: pg.ClientBase): Promise<void> {
  await checkServer(client);
  await migrate(client);
  await checkIsolation(client);
}

/** Brings the schema up to date, for a role that need not be let in as users are. @throws as `prepareToServe` does. */
export async function prepareToOperate(client: pg.ClientBase): Promise<void> {
  await checkServer(client);
  await migrate(client);
}
