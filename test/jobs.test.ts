import assert from 'node:assert/strict';
import { mock, type TestContext, test } from 'node:test';
import pg from 'pg';
import { AppError } from '../dist/core/errors.js';
import type { UserId } from '../dist/core/user.js';
import type { Database } from '../dist/database/database.js';
import type { Rows } from '../dist/database/sql.js';
import { JobScheduler, type SchedulerOptions } from '../dist/jobs/scheduler.js';
import { purgeDeletedLists } from '../dist/lists/job-sql.js';
import { blankDeletedTasks, purgeBlankTasks } from '../dist/tasks/job-sql.js';
import { replyJobs } from '../dist/writes/job.js';
import { deleteOldReplies } from '../dist/writes/job-sql.js';
import { changesOf } from './support/changes.ts';
import { createList } from './support/lists.ts';
import { onEachDatabase, onPostgres, openPostgresAt, type Person, startService, type Task } from './support/service.ts';
import { statement } from './support/statements.ts';
import { stubDatabase } from './support/stub-database.ts';

const OFTEN = { jobsEveryMs: 20 };

/** Runs one statement on the rows of all users. */
async function asOperator(database: Database, text: string): Promise<Rows> {
  const [rows = []] = await database.transaction({ kind: 'admin' }, [statement(text)]);
  return rows;
}

/** Makes deleted tasks of `person` as old as if time had passed. */
const age = (
  database: Database,
  { sub }: Person,
  column: 'deleted_at' | 'updated_at',
  interval: string,
  ids: string[],
) =>
  asOperator(
    database,
    `update todo.tasks set ${column} = now() - interval '${interval}'
     where user_id = '${sub}' and id in (${ids.map((id) => `'${id}'`).join(', ')})`,
  );

async function trashOf(person: Person): Promise<Task[]> {
  return (await person.send('GET', '/api/tasks?deleted=true')).json<{ tasks: Task[] }>().tasks;
}

/** Writes something, so that the jobs have another turn, until `holds`. */
async function untilJobs(person: Person, holds: () => Promise<boolean>): Promise<void> {
  const own = await person.create('so that something is written');
  while (!(await holds())) await person.send('POST', `/api/tasks/${own.id}/toggle`);
}

async function deletedTasks(person: Person, count: number): Promise<string[]> {
  const tasks = await Promise.all(
    Array.from({ length: count }, (_, at) => person.create(`task ${at}`, { description: 'written' })),
  );
  for (const { id } of tasks) await person.send('DELETE', `/api/tasks/${id}`);
  return tasks.map(({ id }) => id);
}

onEachDatabase(
  'background jobs',
  (service) => {
    test('the row of a list goes a year after its deletion, and then a position before that is expired', async () => {
      const person = await service().person();
      const [old, recent] = [await createList(person, 'old'), await createList(person, 'recent')];
      const { cursor } = await changesOf(person);
      for (const { id } of [old, recent]) await person.send('DELETE', `/api/lists/${id}`);
      const { database } = service().opened;
      const idsLeft = () => asOperator(database, `select id from todo.lists where user_id = '${person.sub}'`);
      await asOperator(
        database,
        `update todo.lists set deleted_at = now() - interval '366 days' where user_id = '${person.sub}' and id = '${old.id}'`,
      );
      await untilJobs(person, async () => (await idsLeft()).length === 1);
      assert.deepEqual(await idsLeft(), [[recent.id]]);
      assert.equal((await person.send('GET', `/api/changes?cursor=${cursor}`)).statusCode, 410);
    });

    test('the content of tasks deleted more than DELETED_TASKS_DAYS ago goes, a change for each, and no other', async () => {
      const { database } = service().opened;
      const [person, writer] = [await service().person(), await service().person()];
      const ids = await deletedTasks(person, 203);
      const live = await person.create('live');
      const [recent = '', ...old] = ids;
      const counters = `select version, tasks, trash from todo.users where id = '${person.sub}'`;
      const [[counter] = []] = await asOperator(database, counters);
      const before = Number(counter) + ids.length; // each change of a time is one too
      await age(database, person, 'deleted_at', '29 days 23 hours', [recent]);
      await age(database, person, 'deleted_at', '30 days', old);
      await untilJobs(writer, async () => (await trashOf(person)).length === 1);
      assert.deepEqual(
        (await trashOf(person)).map(({ id }) => id),
        [recent],
      );
      assert.deepEqual(await person.list(), [live]);
      assert.deepEqual(await asOperator(database, counters), [[`${before + old.length}`, '1', '1']]);
      const rows = await asOperator(
        database,
        `select title, description, is_completed, updated_at > deleted_at + interval '29 days', version > ${before}
         from todo.tasks where user_id = '${person.sub}' and title is null`,
      );
      assert.equal(rows.length, old.length);
      assert.ok(rows.every((row) => JSON.stringify(row) === JSON.stringify([null, null, 'f', 't', 't'])));
      assert.equal((await person.send('POST', `/api/tasks/${old[0]}/restore`)).statusCode, 404);
      assert.equal((await person.send('POST', `/api/tasks/${recent}/restore`)).statusCode, 200);
    });

    test('the row of a task that was blanked a year ago goes, and its id is free again', async () => {
      const { database } = service().opened;
      const [person, writer] = [await service().person(), await service().person()];
      const [old = '', recent = ''] = await deletedTasks(person, 2);
      for (const id of [old, recent]) await person.send('DELETE', `/api/tasks/${id}?permanent=true`);
      const createAs = (id: string) =>
        person.send('PUT', `/api/tasks/${id}`, { title: 'again' }, { 'if-none-match': '*' });
      assert.equal((await createAs(old)).statusCode, 409);
      await age(database, person, 'updated_at', '364 days', [recent]);
      const counter = `select version from todo.users where id = '${person.sub}'`;
      const [[version] = []] = await asOperator(database, counter);
      await age(database, person, 'updated_at', '365 days', [old]); // the last change of the row
      const remaining = `select id from todo.tasks where user_id = '${person.sub}'`;
      await untilJobs(writer, async () => (await asOperator(database, remaining)).length === 1);
      assert.deepEqual(await asOperator(database, remaining), [[recent]]);
      const [[swept] = []] = await asOperator(database, `select swept from todo.users where id = '${person.sub}'`);
      assert.equal(swept, `${Number(version) + 1}`);
      assert.equal((await createAs(recent)).statusCode, 409);
      assert.equal((await createAs(old)).statusCode, 201);
    });

    test('who waits for changes is told of content that goes', async () => {
      const { database } = service().opened;
      const [person, writer] = [await service().person(), await service().person()];
      const [id = ''] = await deletedTasks(person, 1);
      await age(database, person, 'deleted_at', '29 days', [id]);
      const { cursor } = await changesOf(person);
      await age(database, person, 'deleted_at', '31 days', [id]);
      let from = cursor;
      const content = async () => {
        const page = await changesOf(person, { cursor: from, wait: 25 });
        from = page.cursor;
        return page.changes.map(({ deleted, task }) => [deleted, task === null]);
      };
      const blanked = (async () => {
        for (;;) if ((await content()).some(([deleted, isBlank]) => deleted && isBlank)) return true;
      })();
      let isSeen = false;
      void blanked.then(() => {
        isSeen = true;
      });
      await untilJobs(writer, async () => isSeen);
      assert.ok(await blanked);
    });

    test('what was kept for retries is deleted after a day', async () => {
      const { database } = service().opened;
      const [person, writer] = [await service().person(), await service().person()];
      for (const key of ['old', 'recent']) {
        await person.send('POST', '/api/tasks', { title: key }, { 'idempotency-key': key });
      }
      const move = (key: string, interval: string) =>
        asOperator(
          database,
          `update todo.replies set created_at = now() - interval '${interval}'
           where user_id = '${person.sub}' and key = '${key}'`,
        );
      await move('old', '24 hours');
      await move('recent', '23 hours');
      const keys = () => asOperator(database, `select key from todo.replies where user_id = '${person.sub}'`);
      await untilJobs(writer, async () => (await keys()).length === 1);
      assert.deepEqual(await keys(), [['recent']]);
      const retry = await person.send('POST', '/api/tasks', { title: 'recent' }, { 'idempotency-key': 'recent' });
      assert.equal(retry.headers['idempotency-replayed'], 'true');
    });
  },
  OFTEN,
);

onEachDatabase('the statements of background jobs', (service) => {
  test('find their rows by an index, the oldest first, and write each by its key', async () => {
    const { database } = service().opened;
    const users = Array.from({ length: 40 }, (_, at) => `('planner-${at}')`).join(', ');
    await asOperator(database, `insert into todo.users (id) values ${users}`);
    await asOperator(
      database,
      `insert into todo.tasks (user_id, id, title, deleted_at, updated_at)
       select id, gen_random_uuid(), case when n % 3 < 2 then 'task' end, case when n % 3 > 0 then now() end, now()
       from todo.users, generate_series(1, 100) as n`,
    );
    await asOperator(
      database,
      `insert into todo.replies (user_id, key, part, request, kind)
       select id, n::text, 0, 'x', 'created' from todo.users, generate_series(1, 100) as n`,
    );
    await asOperator(
      database,
      `insert into todo.lists (user_id, id, deleted_at) select id, gen_random_uuid(), now()
       from todo.users, generate_series(1, 100)`,
    );
    await service().opened.analyze();
    for (const [bound, index] of [
      [blankDeletedTasks({ days: 30 }), 'tasks_to_blank'],
      [purgeBlankTasks({}), 'tasks_to_purge'],
      [purgeDeletedLists({}), 'lists_to_purge'],
      [deleteOldReplies({}), 'replies_oldest_first'],
    ] as const) {
      const text = bound.statement.text.replaceAll('$1', bound.values[0] ?? '');
      const plan = (await asOperator(database, `explain ${text}`)).flat().join('\n');
      assert.match(plan, new RegExp(`Index Scan using ${index}`), plan);
      assert.match(plan, /Index Scan (using|on) (tasks|lists|replies)_pkey/, plan);
      assert.doesNotMatch(plan, /Seq Scan|\bSort\b/, plan);
    }
  });
});

onPostgres('background jobs of several processes', () => {
  test('each task is blanked once, and a user whose row is locked holds up nobody', async () => {
    const first = await startService('postgres', OFTEN);
    const second = await startService(await openPostgresAt(first.opened.place), OFTEN);
    const holder = new pg.Client(first.opened.place);
    try {
      const [locked, other] = [await first.person(), await second.person()];
      const { database } = first.opened;
      const inTrash = async (person: Person) => (await trashOf(person)).length;
      const both = [await deletedTasks(locked, 120), await deletedTasks(other, 120)];
      await holder.connect();
      await holder.query('begin');
      await holder.query('select from todo.users where id = $1 for update', [locked.sub]);
      const old = `now() - interval '31 days'`;
      // the trigger that numbers would wait for the lock
      await holder.query('set local session_replication_role = replica');
      await holder.query(`update todo.tasks set deleted_at = ${old} where id = any($1::uuid[])`, [both.flat()]);
      const version = async (person: Person) => {
        const [[found] = []] = await asOperator(database, `select version from todo.users where id = '${person.sub}'`);
        return Number(found);
      };
      const before = await version(other);
      await holder.query('commit; begin');
      await holder.query('select from todo.users where id = $1 for update', [locked.sub]);
      const writers = [await first.person(), await second.person()] as const;
      await untilJobs(writers[0], async () => (await inTrash(other)) === 0);
      assert.equal(await version(other), before + 120);
      assert.equal(await inTrash(locked), 120);
      await holder.query('commit');
      await untilJobs(writers[1], async () => (await inTrash(locked)) === 0);
      assert.equal(await version(other), before + 120);
    } finally {
      await holder.end();
      await second.close();
      await first.close();
    }
  });
});

/** A scheduler of one job, with mocked time. */
function scheduled(t: TestContext, options: Partial<SchedulerOptions>) {
  mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  t.after(() => mock.timers.reset());
  let steps = 0;
  const stop = new AbortController();
  const scheduler = new JobScheduler({
    jobs: [{ title: 'work', step: async () => ({ users: new Set([`user ${++steps}` as UserId]), isLast: true }) }],
    everyMs: 60_000,
    clock: Date.now,
    signal: stop.signal,
    onWritten: () => undefined,
    onWarning: (message) => assert.fail(message),
    ...options,
  });
  const pass = async (ms: number) => {
    for (let passed = 0; passed < ms; passed += 60_000) {
      mock.timers.tick(60_000);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return { scheduler, stop, pass, steps: () => steps };
}

test('while nobody writes, jobs run once a day, so that a database can sleep', async (t) => {
  const { scheduler, pass, steps } = scheduled(t, {});
  await pass(3_600_000);
  assert.equal(steps(), 1);
  scheduler.noteWrite();
  await pass(3_600_000);
  assert.equal(steps(), 2);
  await pass(86_400_000);
  assert.equal(steps(), 3);
});

test('users whose rows a job has written are woken', async (t) => {
  const woken: UserId[] = [];
  const { pass } = scheduled(t, { onWritten: (user) => void woken.push(user) });
  await pass(60_000);
  assert.deepEqual(woken, ['user 1']);
});

test('no step is begun once the service stops', async (t) => {
  const { stop, pass, steps } = scheduled(t, {});
  stop.abort();
  await pass(3_600_000);
  assert.equal(steps(), 0);
});

test('a database role that may not run jobs is one warning', async (t) => {
  const warnings: string[] = [];
  const denied = Object.assign(new Error('permission denied to set role'), { code: '42501' });
  const refusing = stubDatabase(async () => {
    throw new AppError('DATABASE_ERROR', { cause: denied });
  });
  const { scheduler, pass } = scheduled(t, {
    jobs: replyJobs(refusing.database),
    onWarning: (message) => void warnings.push(message),
  });
  for (let turn = 0; turn < 3; turn += 1) {
    scheduler.noteWrite();
    await pass(60_000);
  }
  assert.deepEqual(warnings, ['Background jobs need a process whose database role may become todo_operator']);
});

test('a job that fails is one warning a turn, and is tried again at the next', async () => {
  let attempts = 0;
  const database = stubDatabase(async () => {
    attempts += 1;
    throw new Error('no database');
  });
  const service = await startService(database, { jobsEveryMs: 5 });
  while (attempts < 3) await new Promise((resolve) => setTimeout(resolve, 5));
  await service.close();
  const warnings = service.log.lines().filter(({ level }) => level === 'warn');
  assert.equal(warnings.length, attempts);
  assert.equal(warnings[0]?.msg, 'A background job failed and will be tried again: blanking deleted tasks');
});
