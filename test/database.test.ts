import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { UserId } from '../dist/core/user.js';
import type { Database } from '../dist/database/database.js';
import type { BoundStatement } from '../dist/database/sql.js';
import type { TaskId } from '../dist/tasks/task.js';
import { createTaskService } from '../dist/tasks/task-service.js';
import { createWriter } from '../dist/writes/writer.js';
import { onEachDatabase } from './support/service.ts';
import { baseName, runAs, statement } from './support/statements.ts';

const LONG_LIST = 'x'.repeat(1_500_000);

/** Runs the statements of every use case as EXPLAIN. @returns the plans, by the statement's name. */
async function explainEveryStatement(database: Database, owner: UserId): Promise<Map<string, string>> {
  const plans = new Map<string, string>();
  const id = '0199d3a4-7c1e-7b52-9d0f-3a2b1c4d5e6f' as TaskId;
  const explaining: Database = {
    ping: () => database.ping(),
    close: () => Promise.resolve(),
    transaction: async (identity, statements) => {
      const results = await database.transaction(identity, statements.map(explained));
      for (const [index, bound] of statements.entries()) {
        plans.set(baseName(bound.statement), (results[index] ?? []).flat().join('\n'));
      }
      return statements.map(({ statement: { name, access } }) => {
        if (access === 'write') return [['changed', id, '1', '{}']];
        return [
          name.startsWith('task_list_')
            ? ['state', null]
            : name.startsWith('task_list')
              ? ['state', LONG_LIST]
              : [id, '1', '{}'],
        ];
      });
    },
  };
  const writer = createWriter(explaining, () => undefined);
  const tasks = createTaskService(explaining, writer, { maxTasksPerUser: 1, deletedTasksDays: 30 });
  const user = { userId: owner, email: null };
  const guard = { expected: [1], retry: { key: 'key', request: 'request' } };
  for (let time = 0; time < 3; time += 1) await tasks.list(user, null); // of unknown length, short, long
  await tasks.listDeleted(user, null);
  await tasks.get(user, id);
  await tasks.create(user, { title: 'x' }, null);
  await tasks.update(user, id, { title: 'y' }, guard);
  await tasks.toggle(user, id, guard);
  await tasks.delete(user, id, guard);
  await tasks.restore(user, id, guard);
  return plans;
}

/** A statement takes no parameters under EXPLAIN, so they are written into it; test values need no escaping. */
function explained({ statement: { text }, values }: BoundStatement): BoundStatement {
  const literal = (index: number) => (values[index] == null ? 'null' : `'${values[index]}'`);
  return statement(`explain ${text.replace(/\$(\d+)/g, (_, n) => literal(Number(n) - 1))}`);
}

onEachDatabase('the database', (service) => {
  test('every statement finds its rows by an index, in order, without a sort or a sequential scan', async () => {
    const { database } = service().opened;
    const owner = 'planner-0' as UserId;
    // many users with many tasks, so that the planner has something to choose between
    for (let index = 0; index < 40; index += 1) {
      const sub = `planner-${index}`;
      const run = (text: string) => runAs(database, sub, text);
      await run(`insert into todo.users (id) values ('${sub}')`);
      await run(
        `insert into todo.tasks (user_id, id, title, created_at)
         select '${sub}', gen_random_uuid(), 'task', now() - n * interval '1 minute' from generate_series(1, 500) as n`,
      );
    }
    await service().opened.analyze();
    const plans = await explainEveryStatement(database, owner);
    assert.deepEqual(
      [...plans.keys()],
      [
        ...['task_list_short', 'task_list', 'task_list_long', 'task_get', 'task_lock_count', 'task_count'],
        ...['task_insert', 'task_update', 'task_toggle', 'task_delete'],
      ],
    );
    for (const [name, plan] of plans) {
      assert.doesNotMatch(plan, /Seq Scan/, `${name}:\n${plan}`);
      assert.doesNotMatch(plan, /\bSort\b/, `${name}:\n${plan}`);
    }
    for (const name of ['task_list_short', 'task_list', 'task_list_long']) {
      assert.match(plans.get(name) ?? '', /Index (Only )?Scan using tasks_newest_first/, name);
    }
    assert.match(plans.get('task_count') ?? '', /Index Only Scan/);
    for (const name of ['task_get', 'task_update', 'task_toggle', 'task_delete']) {
      assert.match(plans.get(name) ?? '', /Index Scan using tasks_pkey on tasks/, name);
    }
  });

  test('users take turns: what one has queued does not delay another', async () => {
    const { database } = service().opened;
    const answered: string[] = [];
    const ask = async (user: string, what: string) => {
      await runAs(database, user, what);
      answered.push(user);
    };
    const own = Array.from({ length: 300 }, () => ask('with-many', 'select 1'));
    const others = ['one-more', 'another'].map((user) => ask(user, 'select 1'));
    await Promise.all(others);
    assert.ok(answered.length < 200, `${answered.length} were answered before the others`);
    await Promise.all(own);
  });

  test('the lengths hold in the database too, and times have a time zone', async () => {
    const { database } = service().opened;
    const user = 'constrained';
    const run = (text: string, values: readonly (string | null)[] = []) => runAs(database, user, text, values);
    await run("insert into todo.users (id) values ('constrained')");
    const insert = (title: string, description: string | null) =>
      run(
        "insert into todo.tasks (user_id, id, title, description) values ('constrained', gen_random_uuid(), $1, $2)",
        [title, description],
      );
    await insert('😀'.repeat(200), 'e\u0301'.repeat(1000));
    await assert.rejects(insert('', null), { code: 'DATABASE_ERROR' });
    await assert.rejects(insert('😀'.repeat(201), null), { code: 'DATABASE_ERROR' });
    await assert.rejects(insert('x', ''), { code: 'DATABASE_ERROR' });
    await assert.rejects(insert('x', 'y'.repeat(2001)), { code: 'DATABASE_ERROR' });
    const types = await run(
      `select distinct data_type from information_schema.columns where table_schema = 'todo' and column_name like '%\\_at'`,
    );
    assert.deepEqual(types, [['timestamp with time zone']]);
  });

  test('a transaction whose server shuts down is 503, and the next has a new session without what was prepared', async () => {
    const { database, warnings } = service().opened;
    const person = await service().person();
    const task = await person.create('kept');
    const shutdown = `do $$ begin raise exception 'shutting down' using errcode = 'admin_shutdown'; end $$`;
    await assert.rejects(runAs(database, person.sub, shutdown), { code: 'SERVICE_UNAVAILABLE' });
    for (let round = 0; round < 3; round += 1) assert.deepEqual(await person.list(), [task]);
    assert.deepEqual(warnings, []);
  });

  test('an aborted transaction keeps nothing of the statements before, and skips those after', async () => {
    const { database } = service().opened;
    const user = 'aborting' as UserId;
    const insert = statement(`insert into todo.users (id) values ('aborting')`);
    const abort = statement(`select todo.abort('TD123', 'why')`);
    const outcome = database.transaction({ kind: 'user', userId: user }, [insert, abort, statement('select 1/0')]);
    await assert.rejects(outcome, { name: 'TransactionAbortedError', code: 'TD123' });
    assert.deepEqual(await runAs(database, user, 'select id from todo.users'), []);
  });

  test('a transaction returns the rows of each of its statements, in order', async () => {
    const { database } = service().opened;
    const texts = ['select 1', 'select where false', `select 'a', null union all select 'b', 'c'`];
    const results = await database.transaction(
      { kind: 'user', userId: 'several' as UserId },
      texts.map((text) => statement(text, [], 'read')),
    );
    assert.deepEqual(results, [
      [['1']],
      [],
      [
        ['a', null],
        ['b', 'c'],
      ],
    ]);
  });
});

onEachDatabase(
  'a statement that runs over the limit',
  (service) => {
    test('is 500, /health answers meanwhile, and what follows is clean', async () => {
      const { app, opened } = service();
      const person = await service().person();
      await person.create('still here');
      const slow = runAs(opened.database, person.sub, 'select pg_sleep(60)');
      const failed = assert.rejects(slow, { code: 'DATABASE_ERROR' });
      assert.equal((await app.inject('/health')).statusCode, 200);
      await failed;
      while ((await app.inject('/ready')).statusCode !== 200);
      assert.deepEqual(
        (await person.list()).map((task) => task.title),
        ['still here'],
      );
      const identity = "select current_setting('app.user_id', true)";
      assert.deepEqual(await runAs(opened.database, 'next', identity), [['next']]);
    });
  },
  { database: { statementTimeoutMs: 3_000 } },
);

onEachDatabase(
  'maintenance, which runs as the login role and writes',
  (service) => {
    test('may take longer than a request', async () => {
      const vacuum = statement('select pg_sleep(1)', [], 'write');
      await service().opened.database.transaction({ kind: 'login-role' }, [vacuum]);
    });
  },
  { database: { statementTimeoutMs: 300 } },
);
