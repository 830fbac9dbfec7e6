import type pg from 'pg';
import { UnusableDatabase } from './connection-slots.ts';
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

/** The tables that row-level security keeps from the role that connected: all, but for a superuser and the like. */
const KEPT_FROM_LOGIN = `
  select name from unnest(array['todo.users', 'todo.tasks']) as name
  where row_security_active(name) and has_table_privilege(name, 'select')`;

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

/**
 * @throws {UnusableDatabase} unless a transaction that names no user sees no row of anybody, be it as the role that
 * requests run as, or as the one that connected.
 */
async function checkIsolation(client: pg.ClientBase): Promise<void> {
  await client.query('begin');
  try {
    await client.query(`select set_config('app.user_id', '', true)`);
    for (const { name } of (await client.query<{ name: string }>(KEPT_FROM_LOGIN)).rows) {
      const { rowCount } = await client.query(`select from ${name} limit 1`);
      if (rowCount !== 0) refuse({ visible_without_a_role: name });
    }
    await client.query(`select set_config('role', 'todo_app', true)`);
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
