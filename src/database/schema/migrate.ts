import { readdir, readFile } from 'node:fs/promises';
import type pg from 'pg';

const MIGRATIONS = new URL('../migrations/', import.meta.url);
const FILE_NAME = /^(\d{4})_[a-z0-9_]+\.sql$/;

/** Any number will do, as long as nobody else's advisory locks in the same database use it. */
const MIGRATION_LOCK = 7_401_958_226;

interface Migration {
  readonly number: number;
  readonly name: string;
  readonly sql: string;
}

async function readMigrations(): Promise<Migration[]> {
  const names = (await readdir(MIGRATIONS)).filter((name) => FILE_NAME.test(name)).sort();
  return Promise.all(
    names.map(async (name) => ({
      number: Number(name.slice(0, 4)),
      name,
      sql: await readFile(new URL(name, MIGRATIONS), 'utf8'),
    })),
  );
}

/** Reads the catalog itself: what a name was found to mean may be remembered from before another process's commit. */
const TABLE_EXISTS = `select exists (
  select from pg_catalog.pg_class
  where relname = 'migrations'
    and relnamespace in (select oid from pg_catalog.pg_namespace where nspname = 'todo')
) as exists`;

async function readApplied(client: pg.ClientBase): Promise<Set<number>> {
  const table = await client.query<{ exists: boolean }>(TABLE_EXISTS);
  if (table.rows[0]?.exists !== true) return new Set();
  const applied = await client.query<{ number: number }>('select number from todo.migrations');
  return new Set(applied.rows.map((row) => row.number));
}

async function apply(client: pg.ClientBase, migrations: readonly Migration[]): Promise<void> {
  await client.query('create schema if not exists todo');
  await client.query(
    `create table if not exists todo.migrations (
       number integer primary key, name text not null, applied_at timestamptz not null default now())`,
  );
  for (const { number, name, sql } of migrations) {
    await client.query(sql);
    await client.query('insert into todo.migrations (number, name) values ($1, $2)', [number, name]);
  }
}

/**
 * Brings the schema `todo` up to date: every numbered file not yet recorded is run, all in one transaction.
 * Any number of processes may do so at once: an advisory lock lets one work and the others find it done.
 * A schema that is up to date is only read, so that a read-only server can be served from.
 * @returns the names of the files applied by this call, in order.
 */
export async function migrate(client: pg.ClientBase): Promise<string[]> {
  const migrations = await readMigrations();
  const missing = async () => {
    const applied = await readApplied(client);
    return migrations.filter((migration) => !applied.has(migration.number));
  };
  if ((await missing()).length === 0) return [];
  await client.query('begin');
  try {
    await client.query('select pg_advisory_xact_lock($1)', [MIGRATION_LOCK]);
    const todo = await missing();
    await apply(client, todo);
    await client.query('commit');
    return todo.map((migration) => migration.name);
  } catch (error) {
    await client.query('rollback').catch(() => undefined);
    throw error;
  }
}
