import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { BIG_LIST, BIG_USER, PEER_SCHEMA, type Schema, TASKS_EACH, tasksSql, usersSql } from './data.ts';
import type { BenchDatabase } from './database.ts';

/** The whole rows at once go in without asking for each whether its user is there. */
const UNCHECKED = 'set session_replication_role = replica';
const CHECKED = 'reset session_replication_role';
const USERS_AT_ONCE = 10_000;

function* baseSql(schema: Schema, users: number): Generator<string> {
  yield usersSql(schema, 0, users - 1);
  yield usersSql(schema, BIG_USER, BIG_USER);
  yield tasksSql(schema, 0, users - 1, TASKS_EACH);
  yield tasksSql(schema, BIG_USER, BIG_USER, BIG_LIST);
}

/** Fills the service's tables, which are there already, and makes and fills the peers'. */
export async function seedBoth(database: BenchDatabase, users: number): Promise<void> {
  await database.run(PEER_SCHEMA);
  await database.run(UNCHECKED);
  for (const schema of ['todo', 'peer'] as const) {
    for (const sql of baseSql(schema, users)) await database.run(sql);
  }
  await database.run(CHECKED);
  await database.run('vacuum (analyze)');
  await database.restore();
}

/** Empties the service's tables, and lets go of the peers'. */
export async function emptyTables(database: BenchDatabase): Promise<void> {
  await database.run('truncate todo.tasks, todo.users');
  await database.run('drop schema peer cascade');
}

/** Adds users with tasks to the service's tables until there are `users` of them; `had` are there. */
export async function growTables(database: BenchDatabase, had: number, users: number): Promise<void> {
  await database.run(UNCHECKED);
  for (let from = had; from < users; from += USERS_AT_ONCE) {
    const to = Math.min(from + USERS_AT_ONCE, users) - 1;
    await database.run(usersSql('todo', from, to));
    await database.run(tasksSql('todo', from, to, TASKS_EACH));
    process.stderr.write(`  ${((to + 1) * TASKS_EACH).toLocaleString('en')} tasks\n`);
  }
  await database.run(CHECKED);
  await database.run('vacuum (analyze) todo.tasks');
  await database.run('checkpoint');
}

/** Fills the embedded database that a service has made in `directory`, while no service has it. */
export async function seedEmbedded(directory: string, users: number): Promise<void> {
  const database = await PGlite.create(join(directory, 'database'));
  try {
    await database.exec(UNCHECKED);
    for (const sql of baseSql('todo', users)) await database.exec(sql);
    for (const sql of [CHECKED, 'vacuum (analyze)', 'checkpoint']) await database.exec(sql);
  } finally {
    await database.close();
  }
}
