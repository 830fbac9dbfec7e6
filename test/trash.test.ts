import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { onEachDatabase, type Person, type Task } from './support/service.ts';
import { statement } from './support/statements.ts';

async function trash(person: Person): Promise<Task[]> {
  const answer = await person.send('GET', '/api/tasks?deleted=true');
  assert.equal(answer.statusCode, 200);
  return answer.json<{ tasks: Task[] }>().tasks;
}

onEachDatabase('deleting and restoring', (service) => {
  test('a deleted task is listed as deleted, newest deletion first, and comes back as it was', async () => {
    const person = await service().person();
    const tasks = [
      await person.create('a', { description: 'kept' }),
      await person.create('b'),
      await person.create('c'),
    ];
    for (const { id } of tasks.slice(0, 2)) await person.send('DELETE', `/api/tasks/${id}`);
    assert.deepEqual(
      (await person.list()).map(({ title }) => title),
      ['c'],
    );
    const deleted = await trash(person);
    assert.deepEqual(
      deleted.map(({ title }) => title),
      ['b', 'a'],
    );
    assert.ok(deleted.every(({ deleted_at }) => deleted_at !== null));
    const [a] = tasks;
    const restored = await person.send('POST', `/api/tasks/${a?.id}/restore`);
    const { version, updated_at, ...task } = restored.json<Task>();
    assert.deepEqual(task, (({ version: _, updated_at: __, ...rest }) => rest)(a as Task));
    assert.deepEqual([version, updated_at > String(a?.updated_at)], [6, true]);
    assert.deepEqual(
      (await trash(person)).map(({ title }) => title),
      ['b'],
    );
  });

  test('restoring what is not deleted, or foreign, or blank, is 404', async () => {
    const [person, other] = [await service().person(), await service().person()];
    const [live, gone, blank] = [
      await person.create('live'),
      await person.create('gone'),
      await person.create('blank'),
    ];
    await person.send('DELETE', `/api/tasks/${gone.id}`);
    await person.send('DELETE', `/api/tasks/${blank.id}?permanent=true`);
    for (const [who, id] of [
      [person, live.id],
      [other, gone.id],
      [person, blank.id],
      [person, randomUUID()],
    ] as const) {
      assert.equal((await who.send('POST', `/api/tasks/${id}/restore`)).statusCode, 404);
    }
    assert.deepEqual(await trash(other), []);
  });

  test('a task deleted for good is in no list, also if it was deleted before', async () => {
    const person = await service().person();
    const [live, deleted] = [await person.create('live'), await person.create('deleted')];
    await person.send('DELETE', `/api/tasks/${deleted.id}`);
    for (const { id } of [live, deleted]) {
      const answer = await person.send('DELETE', `/api/tasks/${id}?permanent=true`);
      assert.deepEqual(answer.json(), { message: 'Task deleted successfully', id });
      assert.equal((await person.send('DELETE', `/api/tasks/${id}?permanent=true`)).statusCode, 404);
    }
    assert.deepEqual([await person.list(), await trash(person)], [[], []]);
  });

  test('the list of deleted tasks has an ETag of its own', async () => {
    const person = await service().person();
    const task = await person.create('x');
    const [live, deleted] = [
      await person.send('GET', '/api/tasks'),
      await person.send('GET', '/api/tasks?deleted=true'),
    ];
    assert.notEqual(live.headers.etag, deleted.headers.etag);
    const known = { 'if-none-match': String(deleted.headers.etag) };
    assert.equal((await person.send('GET', '/api/tasks?deleted=true', undefined, known)).statusCode, 304);
    assert.equal((await person.send('GET', '/api/tasks', undefined, known)).statusCode, 200);
    await person.send('DELETE', `/api/tasks/${task.id}`);
    const changed = await person.send('GET', '/api/tasks?deleted=true', undefined, known);
    assert.equal(changed.statusCode, 200);
    const text = `delete from todo.tasks where user_id = '${person.sub}'`;
    await service().opened.database.transaction({ kind: 'admin' }, [statement(text)]);
    const stale = { 'if-none-match': String(changed.headers.etag) };
    const empty = await person.send('GET', '/api/tasks?deleted=true', undefined, stale);
    assert.equal(empty.body, '{"tasks":[]}', 'also after a row was deleted past the service');
  });

  test('a query parameter with another value than true or false is 400 with its name', async () => {
    const person = await service().person();
    for (const [method, url, field] of [
      ['GET', '/api/tasks?deleted=yes', 'deleted'],
      ['GET', '/api/tasks?deleted=true&deleted=true', 'deleted'],
      ['DELETE', `/api/tasks/${randomUUID()}?permanent=1`, 'permanent'],
      ['GET', '/api/tasks?permanent=true', 'permanent'],
    ] as const) {
      const answer = await person.send(method, url);
      assert.equal(answer.statusCode, 400, url);
      assert.deepEqual(
        answer.json<{ details: { field: string }[] }>().details.map((one) => one.field),
        [field],
      );
    }
  });
});

onEachDatabase(
  'deleting and restoring with a limit of 3 tasks',
  (service) => {
    test('deleted tasks do not count; restoring beyond the limit is 409; of more deleted ones the oldest are blanked', async () => {
      const person = await service().person();
      const ids: string[] = [];
      for (let index = 0; index < 5; index += 1) {
        const { id } = await person.create(`${index}`);
        ids.push(id);
        await person.send('DELETE', `/api/tasks/${id}`);
      }
      assert.deepEqual(
        (await trash(person)).map(({ title }) => title),
        ['4', '3', '2'],
      );
      for (const title of ['x', 'y', 'z']) await person.create(title);
      const refused = await person.send('POST', `/api/tasks/${ids[4]}/restore`);
      assert.equal(refused.statusCode, 409);
      assert.deepEqual(refused.json(), { error: 'The limit of 3 tasks is reached', code: 'LIMIT_REACHED' });
      assert.equal((await person.send('POST', '/api/tasks', { title: 'one more' })).statusCode, 409);
    });
  },
  { config: { maxTasksPerUser: 3 } },
);

onEachDatabase(
  'deleting without keeping anything',
  (service) => {
    test('a deleted task cannot be restored', async () => {
      const person = await service().person();
      const task = await person.create('x');
      await person.send('DELETE', `/api/tasks/${task.id}`);
      assert.deepEqual(await trash(person), []);
      assert.equal((await person.send('POST', `/api/tasks/${task.id}/restore`)).statusCode, 404);
    });
  },
  { config: { deletedTasksDays: 0 } },
);
