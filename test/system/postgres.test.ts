import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { after, before, describe, test } from 'node:test';
import pg from 'pg';
import { EventClient } from '../support/event-client.ts';
import { findPostgres, PostgresServer } from '../support/postgres-server.ts';
import { skipUnless } from '../support/requirements.ts';
import { asAdmin, createPostgresDatabase, openPostgresAt, type Service, startService } from '../support/service.ts';
import { listen } from '../support/socket.ts';
import { runAs, statement } from '../support/statements.ts';

const programs = findPostgres(process.env.TEST_POSTGRES_BIN);
const statuses = (answers: readonly { statusCode: number }[]) =>
  [...new Set(answers.map((answer) => answer.statusCode))].sort();
const range = (length: number) => Array.from({ length }, (_, index) => index);

/** Asks again until `holds`: for what must come about by itself within the test's time limit. */
async function eventually(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20));
}

const open = (url: string, fatal: unknown[] = []) =>
  openPostgresAt(url, { onFatal: (error) => void fatal.push(error) });

/** SQL that makes the schema as migration 4 left it. */
const MIGRATED_TO_4 = `create schema todo;
  create table todo.migrations (
    number integer primary key, name text not null, applied_at timestamptz not null default now());
  ${['0001_users_and_tasks', '0002_operator', '0003_operator_alone', '0004_abort']
    .map((name, index) => {
      const sql = readFileSync(new URL(`../../src/database/schema/migrations/${name}.sql`, import.meta.url), 'utf8');
      return `${sql};\ninsert into todo.migrations (number, name) values (${index + 1}, '${name}.sql');`;
    })
    .join('\n')}`;

const skip = skipUnless(programs !== null, 'POSTGRES', 'no PostgreSQL programs (TEST_POSTGRES_BIN)');

describe('a PostgreSQL server of its own', { skip }, () => {
  let server: PostgresServer;
  before(async () => {
    if (programs !== null) server = await PostgresServer.create(programs);
  });
  after(() => server?.remove());

  async function serve(url?: string): Promise<Service> {
    return startService(await open(url ?? (await createPostgresDatabase(server.url())).url));
  }

  test('an owner who is no superuser, as on Neon, can prepare the database and is confined too', async () => {
    await asAdmin(server.url(), 'create role neon_owner login createrole');
    await asAdmin(server.url(), 'create database neondb owner neon_owner');
    const service = await serve(server.url('neondb', 'neon_owner'));
    const person = await service.person();
    const other = await service.person();
    await person.create('mine');
    assert.deepEqual(await other.list(), []);
    assert.equal((await person.list()).length, 1);
    await service.close();
    const again = await serve(server.url('neondb', 'neon_owner'));
    assert.equal((await again.app.inject('/ready')).statusCode, 200);
    await again.close();
  });

  test('no user’s transaction can create temporary tables, and the login role has no right of others before it takes their role', async () => {
    await asAdmin(server.url(), 'create role plain_owner login createrole');
    // As PostgreSQL grants it to whoever creates a role; the roles may be of another database's owner.
    const administer =
      'grant todo_app, todo_operator, todo_watcher to plain_owner with admin true, inherit false, set false';
    await asAdmin(server.url(), administer).catch(() => undefined);
    await asAdmin(server.url(), 'create database plain owner plain_owner');
    const url = server.url('plain', 'plain_owner');
    const { database, remove } = await open(url);
    const temporary = runAs(database, 'ann', 'create temporary table mine (id text)');
    await assert.rejects(temporary, (error: Error) =>
      /permission denied to create temporary/.test(String(error.cause)),
    );
    await remove();
    const { rows } = await asAdmin(
      url,
      `select role, pg_has_role(role, 'usage') as has, pg_has_role(role, 'member') as is_member
       from unnest(array['todo_app', 'todo_operator', 'todo_watcher']) as role
       where current_setting('server_version_num')::int >= 160000`,
    );
    for (const { role, has, is_member } of rows) assert.deepEqual([has, is_member], [false, true], role);
  });

  test('todo_watcher reads ids and counters of users, and nothing else', async () => {
    const service = await serve();
    const { database } = service.opened;
    const person = await service.person();
    await person.create('mine');
    const watch = (text: string) => database.transaction({ kind: 'watcher' }, [statement(text)]);
    assert.deepEqual(await watch('select id, version from todo.users'), [[[person.sub, '1']]]);
    for (const text of [
      'select email from todo.users',
      'select epoch from todo.users',
      'select from todo.tasks',
      'select from todo.replies',
      'update todo.users set version = version + 1',
      'insert into todo.users (id) values (1)',
      'delete from todo.users',
    ]) {
      await assert.rejects(
        watch(text),
        (error: Error) => /permission denied for table/.test(String(error.cause)),
        text,
      );
    }
    await service.close();
  });

  test('a default isolation level other than read committed is refused', async () => {
    const { url } = await createPostgresDatabase(server.url());
    await asAdmin(
      url,
      `alter database ${new URL(url).pathname.slice(1)} set default_transaction_isolation = 'repeatable read'`,
    );
    const unusable: unknown[] = [];
    const refused = await open(url, unusable);
    assert.match(String(unusable[0]), /default_transaction_isolation is repeatable read .*must be read committed/);
    await refused.remove();
  });

  test('a role that only serves can neither become todo_operator nor create anything', async () => {
    const { url } = await createPostgresDatabase(server.url());
    await (await open(url)).remove();
    await asAdmin(
      url,
      `create role serving login;
       grant todo_app to serving; grant usage on schema todo to serving; grant select on todo.migrations to serving`,
    );
    const own = new URL(url);
    own.username = 'serving';
    const service = await serve(own.href);
    const person = await service.person();
    const client = await EventClient.open(`http://127.0.0.1:${await listen(service.app)}`, person.token);
    await client.synced();
    await service.log.until(({ msg }) => msg === 'The database role may not become todo_watcher: streams are slow');
    const task = await person.create('mine');
    assert.deepEqual(await person.list(), [task]);
    await client.until(({ changes }) => changes.length === 1);
    const refusals: [string, RegExp][] = [
      [`perform set_config('role', 'todo_operator', true)`, /permission denied to set role/],
      ['create temporary table mine (id text)', /permission denied to create temporary/],
      ['create table todo.mine (id text)', /permission denied for schema/],
      ['create function public.mine() returns int language sql as $$ select 1 $$', /permission denied for schema/],
      ['alter table todo.tasks no force row level security', /must be owner/],
    ];
    for (const [sql, refusal] of refusals) {
      for (const role of ['todo_app', 'none']) {
        const block = `do $block$ begin perform set_config('role', '${role}', true); ${sql}; end $block$`;
        const attempt = runAs(service.opened.database, 'ann', block);
        await assert.rejects(attempt, (error: Error) => refusal.test(String(error.cause)), sql);
      }
    }
    await service.close();
  });

  test('times that no backup can hold are replaced by the migration, and the tasks can be changed again', async () => {
    await asAdmin(server.url(), 'create role timely_owner login createrole');
    await asAdmin(server.url(), 'grant todo_app, todo_operator, todo_watcher to timely_owner').catch(() => undefined);
    await asAdmin(server.url(), 'create database timely owner timely_owner');
    const url = server.url('timely', 'timely_owner');
    await asAdmin(url, MIGRATED_TO_4);
    const usual = '2026-11-21 09:30:00.123456+00';
    await asAdmin(
      server.url('timely'),
      `insert into todo.users (id, created_at) values ('ann', 'infinity');
       insert into todo.tasks (user_id, id, title, created_at, updated_at) values
         ('ann', gen_random_uuid(), 'endless', '${usual}', 'infinity'),
         ('ann', gen_random_uuid(), 'early', '0044-03-15 BC', '${usual}'),
         ('ann', gen_random_uuid(), 'usual', '${usual}', '${usual}')`,
    );
    const service = await serve(url);
    const person = await service.person('ann');
    const listed = await person.list();
    const tasks = new Map(listed.map((task) => [task.title, task]));
    const { created_at, updated_at } = tasks.get('usual') ?? assert.fail();
    assert.deepEqual([created_at, updated_at], Array(2).fill('2026-11-21T09:30:00.123456Z'));
    const isRecent = (time = '') => Math.abs(Date.parse(time) - Date.now()) < 3_600_000;
    assert.ok(isRecent(tasks.get('endless')?.updated_at));
    assert.ok(isRecent(tasks.get('early')?.created_at));
    assert.deepEqual(
      listed.map(({ version, deleted_at }) => [version, deleted_at]),
      [3, 2, 1].map((version) => [version, null]),
      'the oldest has the lowest version',
    );
    for (const { id } of tasks.values()) {
      assert.equal((await person.send('POST', `/api/tasks/${id}/toggle`)).statusCode, 200);
    }
    assert.deepEqual((await person.list()).map(({ version }) => version).sort(), [4, 5, 6]);
    const { rows } = await asAdmin(server.url('timely'), 'select isfinite(created_at) as finite from todo.users');
    assert.deepEqual(rows, [{ finite: true }]);
    await service.close();
  });

  test('a statement over 10 s is 500 by 10.5 s', async () => {
    const service = await serve();
    const startedAt = performance.now();
    const slow = runAs(service.opened.database, 'ann', 'select pg_sleep(60)');
    await assert.rejects(slow, { code: 'DATABASE_ERROR' });
    const seconds = (performance.now() - startedAt) / 1000;
    assert.ok(seconds > 9.9 && seconds <= 10.5, `${seconds} s`);
    await service.close();
  });

  test('a schema newer than the program is refused, and is left as it is', async () => {
    const { url } = await createPostgresDatabase(server.url());
    await (await open(url)).remove();
    await asAdmin(url, `insert into todo.migrations (number, name) values (9999, '9999_later.sql')`);
    const fatal: unknown[] = [];
    const refused = await open(url, fatal);
    assert.match(String(fatal[0]), /migrated to version 9999 by a newer todo-api; this version supports up to \d+\./);
    await refused.remove();
  });

  test('prepared statements lost by the server: requests succeed unnamed, and statements are named again later', async () => {
    const { url } = await createPostgresDatabase(server.url());
    const service = await startService(await openPostgresAt(url, { connections: 1, unnamedMs: 1 }));
    const { database, warnings } = service.opened;
    const person = await service.person();
    const task = await person.create('kept');
    const prepared = async () => {
      const [rows = []] = await database.transaction({ kind: 'login-role' }, [
        statement('select count(*) from pg_prepared_statements', [], 'read'),
      ]);
      return Number(rows[0]?.[0]);
    };
    assert.ok((await prepared()) > 1);
    await database.transaction({ kind: 'login-role' }, [statement('deallocate all')]);
    for (let round = 0; round < 10; round += 1) assert.deepEqual(await person.list(), [task]);
    assert.deepEqual(warnings, ['A prepared statement was lost: statements are sent unnamed for 0.001 s']);
    await eventually(async () => (await person.list()).length === 1 && (await prepared()) > 1);
    await service.close();
  });

  test('each transaction on a lost connection fails with its own error', async () => {
    const { url } = await createPostgresDatabase(server.url());
    const { database, remove } = await openPostgresAt(url, { connections: 1 });
    const sleeps = ['ann', 'ben'].map((user) => runAs(database, user, 'do $$ begin perform pg_sleep(60); end $$'));
    const outcomes = Promise.allSettled(sleeps);
    await eventually(async () => {
      const { rowCount } = await asAdmin(
        url,
        `select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and query like 'do %' and wait_event = 'PgSleep'`,
      );
      return rowCount === 1;
    });
    const causes = (await outcomes).map((outcome) =>
      outcome.status === 'rejected' ? String(outcome.reason.cause) : '',
    );
    assert.match(causes[0] ?? '', /terminating connection due to administrator command/);
    assert.match(causes[1] ?? '', /closed the connection|terminated/);
    await remove();
  });

  test('an owner who forgets to step down sees and changes nothing, and is not served from where that does not hold', async () => {
    await asAdmin(server.url(), 'create role careless_owner login createrole');
    await asAdmin(server.url(), 'grant todo_app, todo_operator, todo_watcher to careless_owner').catch(() => undefined);
    await asAdmin(server.url(), 'create database carelessdb owner careless_owner');
    const url = server.url('carelessdb', 'careless_owner');
    const service = await serve(url);
    await (await service.person()).create('somebody’s');
    await service.close();
    assert.equal((await asAdmin(url, 'select from todo.tasks')).rowCount, 0);
    assert.equal((await asAdmin(url, 'select from todo.users')).rowCount, 0);
    assert.equal((await asAdmin(url, `update todo.tasks set title = 'taken'`)).rowCount, 0);
    await asAdmin(url, 'alter policy operator_all on todo.tasks using (true)');
    const unusable: unknown[] = [];
    const refused = await open(url, unusable);
    assert.match(String(unusable[0]), /refusing to serve/);
    await refused.remove();
  });

  test('a database whose rows are not confined is not served from', async () => {
    const spoilt = [
      'alter table todo.tasks disable row level security',
      'alter table todo.tasks no force row level security',
      'create policy everybody on todo.tasks to todo_app using (true)',
      'drop policy owner_only on todo.users; create policy owner_only on todo.users to todo_app using (true)',
    ];
    for (const sql of spoilt) {
      const { url } = await createPostgresDatabase(server.url());
      const service = await serve(url);
      await (await service.person()).create('somebody’s');
      await service.close();
      await asAdmin(url, sql);
      const unusable: unknown[] = [];
      const refused = await open(url, unusable);
      assert.match(String(unusable[0]), /refusing to serve/, sql);
      await refused.remove();
    }
  });

  test('settings that can never work end the start instead of being tried again', async () => {
    for (const url of [server.url('no_such_database'), server.url('postgres', 'no_such_user')]) {
      const unusable: unknown[] = [];
      const refused = await open(url, unusable);
      assert.equal(unusable.length, 1, url);
      await refused.remove();
    }
  });

  test('connections killed while idle or in use: every request is answered, no acknowledged task is lost', async () => {
    const service = await serve();
    const people = await Promise.all(range(50).map(() => service.person()));
    const [person] = people;
    assert.ok(person !== undefined);
    await person.create('first');
    const kill = () =>
      asAdmin(
        service.opened.place,
        'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
      );
    await kill();
    await eventually(async () => (await person.send('GET', '/api/tasks')).statusCode === 200);
    const creating = range(6).flatMap((index) =>
      people.map((each) => each.send('POST', '/api/tasks', { title: `${index}` })),
    );
    await kill();
    const answers = await Promise.all(creating);
    assert.deepEqual(
      statuses(answers).filter((status) => ![201, 500, 503].includes(status)),
      [],
    );
    for (const answer of answers) {
      if (answer.statusCode === 500) assert.equal(answer.json<{ code: string }>().code, 'DATABASE_ERROR');
    }
    const kept = new Set((await Promise.all(people.map((each) => each.list()))).flat().map((task) => task.id));
    for (const answer of answers) {
      if (answer.statusCode === 201)
        assert.ok(kept.has(answer.json<{ id: string }>().id), 'an acknowledged task is gone');
    }
    await service.close();
  });

  test('connections that end one after another, each with the reads of the one before, cost no read', async () => {
    const service = await serve();
    const person = await service.person();
    await person.create('still here');
    const admin = new pg.Client(service.opened.place);
    await admin.connect();
    await admin.query('begin; lock table todo.tasks in access exclusive mode');
    const reading = range(8).map(() => person.send('GET', '/api/tasks'));
    for (let ended = 0; ended < 3; ended += 1) {
      await eventually(async () => {
        const { rowCount } = await admin.query(
          `select pg_terminate_backend(pid, 5000) from pg_stat_activity
           where datname = current_database() and wait_event_type = 'Lock' limit 1`,
        );
        return rowCount === 1;
      });
    }
    await admin.query('rollback');
    await admin.end();
    assert.deepEqual(statuses(await Promise.all(reading)), [200]);
    await service.close();
  });

  test('a request whose connections are all taken waits 2 s for one and is then answered 503', async () => {
    const service = await serve();
    const people = await Promise.all(range(50).map(() => service.person()));
    const blocker = new pg.Client(service.opened.place);
    await blocker.connect();
    await blocker.query('begin; lock table todo.tasks in access exclusive mode');
    const started = performance.now();
    const waiting = range(2).flatMap(() => people.map((person) => person.send('GET', '/api/tasks')));
    const refused = await Promise.race(waiting);
    assert.equal(Math.round((performance.now() - started) / 1000), 2, 'seconds');
    assert.deepEqual([refused.statusCode, refused.headers['retry-after']], [503, '1']);
    assert.equal(refused.json<{ code: string }>().code, 'SERVICE_UNAVAILABLE');
    assert.equal((await service.app.inject('/health')).statusCode, 200);
    await blocker.query('rollback');
    await blocker.end();
    assert.deepEqual(statuses(await Promise.all(waiting)), [200, 503]);
    for (const person of people) assert.deepEqual(await person.list(), []);
    await service.close();
  });

  test('a transaction that loses a race is run again, three times at most', async () => {
    const service = await serve();
    const person = await service.person();
    const task = await person.create('contended');
    await asAdmin(
      service.opened.place,
      `create sequence todo.attempts; grant usage on sequence todo.attempts to todo_app;
       create function todo.lose() returns trigger language plpgsql as $$
       begin
         if nextval('todo.attempts') % 6 in (3, 0) then return new; end if;
         raise exception 'lost the race' using errcode = 'serialization_failure';
       end $$;
       create trigger lose before update on todo.tasks for each row execute function todo.lose()`,
    );
    const first = await person.send('POST', `/api/tasks/${task.id}/toggle`);
    assert.equal(first.statusCode, 200);
    assert.equal(first.json<{ is_completed: boolean }>().is_completed, true);
    await asAdmin(service.opened.place, "select setval('todo.attempts', 6)");
    await asAdmin(
      service.opened.place,
      `create or replace function todo.lose() returns trigger language plpgsql as $$
       begin
         perform nextval('todo.attempts');
         raise exception 'lost the race' using errcode = 'deadlock_detected';
       end $$`,
    );
    assert.equal((await person.send('POST', `/api/tasks/${task.id}/toggle`)).statusCode, 500);
    const { rows } = await asAdmin(service.opened.place, 'select last_value from todo.attempts');
    assert.equal(Number(rows[0]?.last_value), 9);
    await service.close();
  });

  test('a server that has become read-only answers reads, refuses writes with 503, and recovers', async () => {
    const service = await serve();
    const person = await service.person();
    await person.create('before');
    const name = new URL(service.opened.place).pathname.slice(1);
    const readOnly = async (state: 'on' | 'off') => {
      await asAdmin(server.url(), `alter database ${name} set default_transaction_read_only = ${state}`);
      await asAdmin(server.url(), `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}'`);
    };
    await readOnly('on');
    await eventually(async () => (await person.send('POST', '/api/tasks', { title: 'x' })).statusCode === 503);
    assert.equal((await person.list()).length, 1);
    const restarted = await serve(service.opened.place);
    assert.equal((await restarted.app.inject('/ready')).statusCode, 200);
    await restarted.close();
    await readOnly('off');
    await eventually(async () => (await person.send('POST', '/api/tasks', { title: 'after' })).statusCode === 201);
    await service.close();
  });

  test('no connection left on the server is 503, and passes', async () => {
    const { url } = await createPostgresDatabase(server.url());
    const name = new URL(url).pathname.slice(1);
    await asAdmin(
      server.url(),
      `create role limited_${name} login createrole; alter database ${name} owner to limited_${name}`,
    );
    await asAdmin(server.url(), `grant todo_app, todo_operator, todo_watcher to limited_${name}`).catch(
      () => undefined,
    );
    const own = new URL(url);
    own.username = `limited_${name}`;
    const service = await serve(own.href);
    const person = await service.person();
    await asAdmin(server.url(), `alter role limited_${name} connection limit 0`);
    await asAdmin(server.url(), `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}'`);
    await eventually(async () => (await person.send('GET', '/api/tasks')).statusCode === 503);
    assert.equal((await service.app.inject('/ready')).statusCode, 503);
    await asAdmin(server.url(), `alter role limited_${name} connection limit -1`);
    await eventually(async () => (await person.send('GET', '/api/tasks')).statusCode === 200);
    await service.close();
  });
});

describe('a PostgreSQL server that comes and goes', { skip }, () => {
  test('down at the start: /health 200, /ready 503, the API 500; served by itself once it is up, also after a crash', async () => {
    assert.ok(programs);
    const server = await PostgresServer.create(programs);
    const { url } = await createPostgresDatabase(server.url());
    await server.stop('fast');
    const service = await startService(await open(url));
    const person = await service.person();
    assert.equal((await service.app.inject('/health')).statusCode, 200);
    const answer = await person.send('GET', '/api/tasks');
    assert.equal(answer.statusCode, 500);
    assert.equal(answer.body, '{"error":"A database error occurred","code":"DATABASE_ERROR"}');
    assert.equal((await service.app.inject('/ready')).statusCode, 503);
    await server.start();
    await eventually(async () => (await service.app.inject('/ready')).statusCode === 200);
    await person.create('kept');
    await server.stop('immediate');
    await server.start();
    await eventually(async () => (await person.send('GET', '/api/tasks')).statusCode === 200);
    assert.deepEqual(
      (await person.list()).map((task) => task.title),
      ['kept'],
    );
    assert.equal(service.opened.warnings.includes('The database cannot be reached; retrying'), true);
    await service.close();
    await server.remove();
  });

  test('after an outage nobody asked about any more, the first request is answered', async () => {
    assert.ok(programs);
    const server = await PostgresServer.create(programs);
    const { url } = await createPostgresDatabase(server.url());
    const service = await startService(await open(url));
    const person = await service.person();
    await person.create('kept');
    await server.stop('immediate');
    await eventually(async () => (await person.send('GET', '/api/tasks')).statusCode === 500);
    await eventually(async () =>
      service.opened.database.ping().then(
        () => false,
        () => true,
      ),
    );
    await server.start();
    await new Promise((resolve) => setTimeout(resolve, 1_500)); // longer than any pause between attempts
    assert.deepEqual(
      (await person.list()).map((task) => task.title),
      ['kept'],
    );
    await service.close();
    await server.remove();
  });

  test('a server that takes connections and says nothing does not keep the service from serving', async () => {
    const silent = createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const address = silent.address();
    assert.ok(typeof address === 'object' && address !== null);
    const service = await startService(await open(`postgresql://x@127.0.0.1:${address.port}/x`));
    assert.equal((await service.app.inject('/health')).statusCode, 200);
    assert.equal((await service.app.inject('/ready')).statusCode, 503);
    await service.close();
    silent.close();
  });

  test('a parameter of the URL that cannot be used ends the start', async () => {
    const url = 'postgresql://x@127.0.0.1:1/x?sslmode=verify-full&sslrootcert=/no/such/file.pem';
    await assert.rejects(open(url), /DATABASE_URL has a parameter that cannot be used/);
  });

  test('a server that is refused at first and wakes within seconds: the request waits and succeeds', async () => {
    assert.ok(programs);
    const server = await PostgresServer.create(programs);
    const { url } = await createPostgresDatabase(server.url());
    const service = await startService(await open(url));
    const person = await service.person();
    await person.create('asleep');
    await server.stop('fast');
    const waiting = person.send('GET', '/api/tasks');
    await server.start();
    assert.equal((await waiting).statusCode, 200);
    await service.close();
    await server.remove();
  });
});
