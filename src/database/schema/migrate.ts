import { readdir, readFile } from 'node:fs/promises';
import type pg from 'pg';
import { DatabaseUnusableError } from '../errors.ts';

const MIGRATIONS = new URL('./migrations/', import.meta.url);
const FILE_NAME = /^(\d{4})_[a-z0-9_]+\.sql$/;

/** Key of the advisory lock; arbitrary, but unused by anything else in the same database. */
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

/** Reads the catalog tables: `to_regclass` may answer from a cache older than another process's commit. */
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

/** @returns the migrations not applied yet. @throws {DatabaseUnusableError} if a later program migrated the schema. */
async function pendingMigrations(client: pg.ClientBase, migrations: readonly Migration[]): Promise<Migration[]> {
  const applied = await readApplied(client);
  const newest = Math.max(...applied);
  const known = migrations.at(-1)?.number ?? 0;
  if (newest > known) {
    throw new DatabaseUnusableError(
      `The database was migrated to version ${newest} by a newer todo-api; this version supports up to ${known}. ` +
        'Run the newer todo-api, or restore a backup made with this one.',
    );
  }
  return migrations.filter(({ number }) => !applied.has(number));
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
 * Migrates the schema `todo`: runs every numbered file not recorded yet, all in one transaction. Safe to call from many
 * processes at once: an advisory lock lets one apply them. Only reads if the schema is up to date, so that a
 * read-only server can be served from.
 * @throws {DatabaseUnusableError} if the schema is newer than this program.
 */
export async function migrate(client: pg.ClientBase): Promise<void> {
  const migrations = await readMigrations();
  if ((await pendingMigrations(client, migrations)).length === 0) return;
  await client.query('begin');
  try {
    await client.query('select pg_advisory_xact_lock($1)', [MIGRATION_LOCK]);
    await apply(client, await pendingMigrations(client, migrations));
    await client.query('commit');
  } catch (error) {
    await client.query('rollback').catch(() => undefined);
    throw error;
  }
}
