import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { BIG_LIST, BIG_USER, PEER_SCHEMA, TASKS_EACH, type Tables, tasksSql, USERS, usersSql } from './data.ts';
import type { BenchTables } from './database.ts';

/** Skips the foreign key check of each row, and the triggers. */
const WITHOUT_FK_CHECKS = 'set session_replication_role = replica';
const WITH_FK_CHECKS = 'reset session_replication_role';
const USERS_PER_BATCH = 10_000;

function* baseSql(tables: Tables, users: number): Generator<string> {
  yield usersSql(tables, 0, users - 1, TASKS_EACH);
  yield usersSql(tables, BIG_USER, BIG_USER, BIG_LIST);
  yield tasksSql(tables, 0, users - 1, TASKS_EACH);
  yield tasksSql(tables, BIG_USER, BIG_USER, BIG_LIST);
}

/** Returns a row for each of the columns that older builds lack. */
const LATE_COLUMNS = `select column_name from information_schema.columns
  where table_schema = 'todo' and table_name = 'tasks' and column_name in ('version', 'position')`;
const OWN_TABLES = { schema: 'todo', hasVersions: true, hasPositions: true } as const;

type LateColumn = { readonly column_name: string };

function tablesWith(rows: readonly LateColumn[]): Tables {
  const has = (name: string) => rows.some(({ column_name }) => column_name === name);
  return { schema: 'todo', hasVersions: has('version'), hasPositions: has('position') };
}

async function fill(database: BenchTables, tables: Tables): Promise<void> {
  await database.run(WITHOUT_FK_CHECKS);
  for (const sql of baseSql(tables, USERS)) await database.run(sql);
  await database.run(WITH_FK_CHECKS);
  await database.run('vacuum (analyze)');
}

/** Fills the existing tables of the service, or of an older build, which may lack columns. */
export async function seedTables(database: BenchTables): Promise<void> {
  await fill(database, tablesWith(await database.run<LateColumn>(LATE_COLUMNS)));
}

/** Creates and fills the tables of the peers. */
export async function seedPeerTables(database: BenchTables): Promise<void> {
  await database.run(PEER_SCHEMA);
  await fill(database, { schema: 'peer', hasVersions: false, hasPositions: false });
}

/** Empties the service's tables and drops the peers'. */
export async function emptyTables(database: BenchTables): Promise<void> {
  await database.run(WITHOUT_FK_CHECKS); // triggers too: one refuses TRUNCATE
  await database.run('truncate todo.replies, todo.task_words, todo.tasks, todo.lists, todo.users');
  await database.run(WITH_FK_CHECKS);
  await database.run('drop schema if exists peer cascade');
}

/** Inserts users number `existing` to `users` with their tasks into the service's tables. */
export async function growTables(database: BenchTables, existing: number, users: number): Promise<void> {
  await database.run(WITHOUT_FK_CHECKS);
  for (let from = existing; from < users; from += USERS_PER_BATCH) {
    const to = Math.min(from + USERS_PER_BATCH, users) - 1;
    await database.run(usersSql(OWN_TABLES, from, to, TASKS_EACH));
    await database.run(tasksSql(OWN_TABLES, from, to, TASKS_EACH));
    process.stderr.write(`  ${((to + 1) * TASKS_EACH).toLocaleString('en')} tasks\n`);
  }
  await database.run(WITH_FK_CHECKS);
  await database.run('vacuum (analyze) todo.tasks');
  await database.run('checkpoint');
}

/** Fills the embedded database that the service has created in `directory`; no service may have it open. */
export async function seedEmbedded(directory: string, users: number): Promise<void> {
  const database = await PGlite.create(join(directory, 'database'));
  try {
    const { rows } = await database.query<LateColumn>(LATE_COLUMNS);
    await database.exec(WITHOUT_FK_CHECKS);
    const tables = tablesWith(rows);
    for (const sql of baseSql(tables, users)) await database.exec(sql);
    for (const sql of [WITH_FK_CHECKS, 'vacuum (analyze)', 'checkpoint']) await database.exec(sql);
  } finally {
    await database.close();
  }
}
