import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import type { UserId } from '../dist/core/user.js';
import type { BoundStatement } from '../dist/database/sql.js';
import { everyStatement, statementNames } from './support/every-statement.ts';
import { onEachDatabase } from './support/service.ts';
import { baseName, runAs, statement } from './support/statements.ts';

/** A statement takes no parameters under EXPLAIN, so they are written into it; test values need no escaping. */
function explained({ statement: { text }, values }: BoundStatement): BoundStatement {
  const literal = (index: number) => (values[index] == null ? 'null' : `'${values[index]}'`);
  return statement(`explain ${text.replace(/\$(\d+)/g, (_, n) => literal(Number(n) - 1))}`);
}

/** What finds the rows of the statements. */
const INDEXES = [
  [/^task_list(_short|_long)?$/, /Index (Only )?Scan using tasks_newest_first/],
  [/^task_list_deleted$/, /Index (Only )?Scan using tasks_newest_deletion/],
  [/^task_blank_oldest$/, /Index (Only )?Scan Backward using tasks_newest_deletion/],
  [/^task_(get|insert_as|put|update|toggle|delete|restore|blank_oldest)/, /Index Scan using tasks_pkey on tasks/],
  [/^(user_state|user_lock_existing|task_list(_short)?)$/, /Index Scan (using|on) users_pkey/],
  [/^list_list$/, /Index Scan using lists_by_position on lists/],
  [/^list_(get|insert|put|update|delete)/, /Index Scan using lists_pkey on lists/],
  [/^changes_read$/, /Index Scan using lists_by_version on lists/],
  [/^reply_(claim|get)$/, /Index (Only )?Scan (using|on) replies_pkey/],
] as const;

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
        `with made as (
           insert into todo.tasks (user_id, id, title, created_at, deleted_at)
           select '${sub}', gen_random_uuid(), 'task', now() - n * interval '1 minute', case when n % 5 = 0 then now() end
           from generate_series(1, 200) as n returning user_id, id
         )
         insert into todo.replies (user_id, key, part, request, kind, task_id)
         select user_id, id::text, 0, 'request', 'created', id from made`,
      );
      await run(
        `insert into todo.lists (user_id, id, name, position, deleted_at)
         select '${sub}', gen_random_uuid(), case when n % 5 > 0 then 'list' end, case when n % 5 > 0 then 'a' || n % 5 end,
           case when n % 5 = 0 then now() end
         from generate_series(1, 100) as n`,
      );
    }
    await service().opened.analyze();
    const subjects = { live: randomUUID(), deleted: randomUUID(), list: randomUUID(), key: 'key' };
    const names: string[] = [];
    for (const bound of [...everyStatement(owner, subjects), ...everyStatement(owner, subjects, [1])]) {
      const name = baseName(bound.statement);
      const [rows] = await database.transaction({ kind: 'user', userId: owner }, [explained(bound)]);
      const plan = (rows ?? []).flat().join('\n');
      assert.doesNotMatch(plan, /Seq Scan/, `${name}:\n${plan}`);
      // pages in an order that no index has, of tasks that are few or all that the user has
      if (!bound.statement.text.includes('matching as materialized')) {
        assert.doesNotMatch(plan, /\bSort\b/, `${name}:\n${plan}`);
      }
      for (const [of, index] of INDEXES) if (of.test(name)) assert.match(plan, index, `${name}:\n${plan}`);
      names.push(name);
    }
    assert.deepEqual(new Set(names), new Set(statementNames()));
  });

  test('the place of a new task is found by an index, in a list and in the inbox', async () => {
    const { database } = service().opened;
    const list = randomUUID();
    const owner = `places-${list}`;
    await runAs(database, owner, `insert into todo.users (id) values ('${owner}')`);
    const places = 'todo.positions_after(null, 2000)) with ordinality as places (position, place)';
    await runAs(
      database,
      owner,
      `insert into todo.tasks (user_id, id, title, position, list_id)
       select '${owner}', gen_random_uuid(), 'task', position, case when place % 2 = 0 then '${list}'::uuid end
       from unnest(${places}`,
    );
    const [[sibling] = []] = await runAs(
      database,
      owner,
      `select id from todo.tasks where user_id = '${owner}' and list_id is null order by position limit 1`,
    );
    for (const of of ['null', `'${list}'`]) {
      for (const place of [
        `todo.last_position('${owner}', ${of})`,
        `todo.place_task('${owner}', '${list}', null, null, '${sibling}', 'after', null)`,
      ]) {
        const call = `explain (analyze, buffers, timing off) select ${place}`;
        await runAs(database, owner, call);
        const plan = (await runAs(database, owner, call)).flat().join('\n');
        const pages = Number(/Buffers: shared hit=(\d+)/.exec(plan)?.[1]);
        assert.ok(pages < 40, `${place} reads ${pages} pages\n${plan}`);
      }
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
