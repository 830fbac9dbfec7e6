import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { BIG_LIST, BIG_USER, PEER_SCHEMA, type Schema, TASKS_EACH, tasksSql, USERS, usersSql } from './data.ts';
import type { BenchDatabase } from './database.ts';

/** Skips the foreign key check of each row, and the triggers. */
const WITHOUT_FK_CHECKS = 'set session_replication_role = replica';
const WITH_FK_CHECKS = 'reset session_replication_role';
const USERS_PER_BATCH = 10_000;

function* baseSql(schema: Schema, users: number): Generator<string> {
  yield usersSql(schema, 0, users - 1, TASKS_EACH);
  yield usersSql(schema, BIG_USER, BIG_USER, BIG_LIST);
  yield tasksSql(schema, 0, users - 1, TASKS_EACH);
  yield tasksSql(schema, BIG_USER, BIG_USER, BIG_LIST);
}

/** Fills the service's existing tables; creates and fills the peers'. */
export async function seedTables(database: BenchDatabase): Promise<void> {
  await database.run(PEER_SCHEMA);
  await database.run(WITHOUT_FK_CHECKS);
  for (const schema of ['todo', 'peer'] as const) {
    for (const sql of baseSql(schema, USERS)) await database.run(sql);
  }
  await database.run(WITH_FK_CHECKS);
  await database.run('vacuum (analyze)');
  await database.restore();
}

/** Empties the service's tables and drops the peers'. */
export async function emptyTables(database: BenchDatabase): Promise<void> {
  await database.run(WITHOUT_FK_CHECKS); // triggers too: one refuses TRUNCATE
  await database.run('truncate todo.replies, todo.tasks, todo.users');
  await database.run(WITH_FK_CHECKS);
  await database.run('drop schema peer cascade');
}

/** Inserts users number `existing` to `users` with their tasks into the service's tables. */
export async function growTables(database: BenchDatabase, existing: number, users: number): Promise<void> {
  await database.run(WITHOUT_FK_CHECKS);
  for (let from = existing; from < users; from += USERS_PER_BATCH) {
    const to = Math.min(from + USERS_PER_BATCH, users) - 1;
    await database.run(usersSql('todo', from, to, TASKS_EACH));
    await database.run(tasksSql('todo', from, to, TASKS_EACH));
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
    await database.exec(WITHOUT_FK_CHECKS);
    for (const sql of baseSql('todo', users)) await database.exec(sql);
    for (const sql of [WITH_FK_CHECKS, 'vacuum (analyze)', 'checkpoint']) await database.exec(sql);
  } finally {
    await database.close();
  }
}
