import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertError } from './support/envelope.ts';
import { asAdmin, onEachDatabase, onPostgres, openPostgresAt, startService } from './support/service.ts';

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

    test('of creates at the same time exactly as many succeed as there is room for', async () => {
      const person = await service().person();
      await person.create('the first');
      const answers = await Promise.all(
        Array.from({ length: 40 }, (_, index) => person.send('POST', '/api/tasks', { title: `task ${index}` })),
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

  test('a limit of thousands is exact too, although not every create counts', async () => {
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
    const again = await restarted.person(person.sub);
    const answers = await Promise.all(
      Array.from({ length: 40 }, () => again.send('POST', '/api/tasks', { title: 'x' })),
    );
    assert.equal(answers.filter(({ statusCode }) => statusCode === 201).length, 20);
    await restarted.close();
    await service.close();
  });
});
