import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import pg from 'pg';
import { assertError } from './support/envelope.ts';
import { asAdmin, onEachDatabase, onPostgres, openPostgresAt, startService, type Task } from './support/service.ts';
import { statement } from './support/statements.ts';

const LIMIT = 5;
const options = { config: { maxTasksPerUser: LIMIT } };
const MESSAGE = `The limit of ${LIMIT} tasks is reached`;

onEachDatabase(
  'MAX_TASKS_PER_USER',
  (service) => {
    test('one task more is 409 LIMIT_REACHED; others may create, and so may the user after a deletion', async () => {
      const person = await service().person();
      const tasks = [];
      for (let count = 0; count < LIMIT; count += 1) tasks.push(await person.create(`task ${count}`));
      const refused = await person.send('POST', '/api/tasks', { title: 'one too many' });
      assertError(refused, 409, 'LIMIT_REACHED', MESSAGE);
      assert.equal(refused.headers.location, undefined);
      assert.equal((await person.list()).length, LIMIT);
      await (await service().person()).create('of another user');
      assert.equal((await person.send('PATCH', `/api/tasks/${tasks[0]?.id}`, { title: 'changed' })).statusCode, 200);
      assert.equal((await person.send('DELETE', `/api/tasks/${tasks[0]?.id}`)).statusCode, 200);
      await person.create('in its place');
      assert.equal((await person.send('POST', '/api/tasks', { title: 'again' })).statusCode, 409);
    });

    test('a task created under an id of the client’s and a restored one are held to it too', async () => {
      const person = await service().person();
      const [deleted, ...kept] = await Promise.all(Array.from({ length: LIMIT }, () => person.create('one of them')));
      assert.equal((await person.send('DELETE', `/api/tasks/${deleted?.id}`)).statusCode, 200);
      const createAs = () =>
        person.send('PUT', `/api/tasks/${randomUUID()}`, { title: 'mine' }, { 'if-none-match': '*' });
      const restore = () => person.send('POST', `/api/tasks/${deleted?.id}/restore`);
      assert.equal((await createAs()).statusCode, 201);
      for (const send of [createAs, restore]) assertError(await send(), 409, 'LIMIT_REACHED', MESSAGE);
      assert.equal((await person.send('DELETE', `/api/tasks/${kept[0]?.id}?permanent=true`)).statusCode, 200);
      assert.equal((await restore()).statusCode, 200);
      assertError(await createAs(), 409, 'LIMIT_REACHED', MESSAGE);
      assert.equal((await person.list()).length, LIMIT);
    });

    test('of more deleted tasks than that, the oldest lose their content', async () => {
      const person = await service().person();
      const ids = [];
      for (let count = 0; count < LIMIT + 2; count += 1) {
        const { id } = await person.create(`task ${count}`);
        await person.send('DELETE', `/api/tasks/${id}`);
        ids.push(id);
      }
      const answer = await person.send('GET', '/api/tasks?deleted=true');
      const listed = answer.json<{ tasks: Task[] }>().tasks.map(({ id }) => id);
      assert.deepEqual(listed, ids.slice(2).reverse());
      assert.equal((await person.send('POST', `/api/tasks/${ids[1]}/restore`)).statusCode, 404);
      assert.equal((await person.send('POST', `/api/tasks/${ids[2]}/restore`)).statusCode, 200);
    });

    test('of very many more, as after the limit was lowered, some with each deletion', async () => {
      const person = await service().person();
      const tasks = [await person.create('first'), await person.create('second')];
      const text = `insert into todo.tasks (user_id, id, title, deleted_at)
        select '${person.sub}', gen_random_uuid(), 'old', now() - interval '1 day' from generate_series(1, 300)`;
      await service().opened.database.transaction({ kind: 'admin' }, [statement(text)]);
      const left = [];
      for (const { id } of tasks) {
        assert.equal((await person.send('DELETE', `/api/tasks/${id}`)).statusCode, 200);
        const answer = await person.send('GET', '/api/tasks?deleted=true');
        left.push(answer.json<{ tasks: Task[] }>().tasks.length);
      }
      assert.deepEqual(left, [101, LIMIT]);
    });

    test('of creates at the same time exactly as many succeed as there is room for', async () => {
      const person = await service().person();
      await person.create('the first');
      const answers = await Promise.all(
        Array.from({ length: 40 }, (_, index) =>
          index % 2
            ? person.send('POST', '/api/tasks', { title: `task ${index}` })
            : person.send('PUT', `/api/tasks/${randomUUID()}`, { title: `task ${index}` }, { 'if-none-match': '*' }),
        ),
      );
      const statuses = answers.map(({ statusCode }) => statusCode).sort();
      assert.deepEqual(statuses, [...Array(LIMIT - 1).fill(201), ...Array(41 - LIMIT).fill(409)]);
      assert.equal((await person.list()).length, LIMIT);
    });
  },
  options,
);

onEachDatabase(
  'MAX_TASKS_PER_USER=0',
  (service) => {
    test('there is no limit', async () => {
      const person = await service().person();
      for (let count = 0; count <= LIMIT; count += 1) await person.create(`task ${count}`);
    });
  },
  { config: { maxTasksPerUser: 0 } },
);

onPostgres('MAX_TASKS_PER_USER of several processes', () => {
  test('creates at the same time through two of them are counted together', async () => {
    const first = await startService('postgres', options);
    const second = await startService(await openPostgresAt(first.opened.place), options);
    const [one, two] = [await first.person('both'), await second.person('both')];
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, index) => (index % 2 ? one : two).send('POST', '/api/tasks', { title: 'x' })),
    );
    assert.equal(answers.filter(({ statusCode }) => statusCode === 201).length, LIMIT);
    assert.equal(answers.filter(({ statusCode }) => statusCode === 409).length, 40 - LIMIT);
    await second.close();
    await first.close();
  });

  test('the limit is exact for tasks that were not made by requests too, and after a restart', async () => {
    const limit = 2_010;
    const service = await startService('postgres', { config: { maxTasksPerUser: limit } });
    const person = await service.person();
    await person.create('the first');
    await asAdmin(
      service.opened.place,
      `insert into todo.tasks (user_id, id, title) select user_id, gen_random_uuid(), title from todo.tasks, generate_series(1, ${limit - 21})`,
    );
    const restarted = await startService(await openPostgresAt(service.opened.place), {
      config: { maxTasksPerUser: limit },
    });
    const processes = [person, await restarted.person(person.sub)] as const;
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, index) => processes[index % 2 ? 1 : 0].send('POST', '/api/tasks', { title: 'x' })),
    );
    assert.equal(answers.filter(({ statusCode }) => statusCode === 201).length, 20);
    const { rows } = await asAdmin(service.opened.place, 'select count(*)::integer as stored from todo.tasks');
    assert.deepEqual(rows, [{ stored: limit }]);
    await asAdmin(service.opened.place, 'delete from todo.tasks where id in (select id from todo.tasks limit 3)');
    const again = await Promise.all(Array.from({ length: 5 }, () => person.send('POST', '/api/tasks', { title: 'x' })));
    assert.equal(again.filter(({ statusCode }) => statusCode === 201).length, 3);
    await restarted.close();
    await service.close();
  });

  test('a task that two insert in SQL at the same time, if it is not there, is counted once', async () => {
    const service = await startService('postgres');
    const person = await service.person();
    await person.create('the first');
    const [first, second] = [new pg.Client(service.opened.place), new pg.Client(service.opened.place)];
    await Promise.all([first.connect(), second.connect()]);
    const insert = `insert into todo.tasks (user_id, id, title)
      values ('${person.sub}', '${randomUUID()}', 'x') on conflict (user_id, id) do nothing`;
    await first.query('begin');
    await first.query(insert);
    const waiting = second.query(insert);
    const isWaiting = 'select from pg_locks where not granted and pid <> pg_backend_pid()';
    while ((await first.query(isWaiting)).rowCount === 0);
    await first.query('commit');
    assert.equal((await waiting).rowCount, 0);
    const { rows } = await first.query('select version, tasks from todo.users');
    assert.deepEqual(rows, [{ version: '2', tasks: 2 }]);
    await Promise.all([first.end(), second.end()]);
    await service.close();
  });
});
