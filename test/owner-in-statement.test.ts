import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changesOf } from './support/changes.ts';
import { asAdmin, onPostgres, type Person, type Service, startService, type Task } from './support/service.ts';

/** A service whose database has stopped confining users: what keeps them apart is in the statements alone. */
async function startUnguarded(): Promise<Service> {
  const service = await startService('postgres');
  for (const table of ['users', 'tasks']) {
    const policy = `create policy unguarded on todo.${table} to todo_app using (true) with check (true)`;
    await asAdmin(service.opened.place, policy);
  }
  return service;
}

async function statusOf(person: Person, method: string, url: string, body?: object): Promise<number> {
  return (await person.send(method, url, body)).statusCode;
}

onPostgres('with row-level security out of the way', () => {
  const cases: [string, (owner: Person, other: Person, task: Task) => Promise<void>][] = [
    [
      'a list has its owner’s tasks alone',
      async (owner, other, task) => {
        assert.deepEqual(await other.list(), []);
        const own = await other.create('my own');
        for (const _known of ['of unknown length', 'short']) assert.deepEqual(await other.list(), [own]);
        await other.createLongTasks();
        assert.ok((await other.list()).every(({ user_id }) => user_id === other.sub));
        assert.deepEqual(await owner.list(), [task]);
      },
    ],
    [
      'changes have their owner’s tasks alone, and a user without any is not another',
      async (owner, other, task) => {
        assert.deepEqual((await changesOf(other)).changes, []);
        const own = await other.create('my own');
        assert.deepEqual(
          (await changesOf(other)).changes.map(({ id }) => id),
          [own.id],
        );
        assert.deepEqual(
          (await changesOf(owner)).changes.map(({ id }) => id),
          [task.id],
        );
        assert.notEqual((await changesOf(owner)).epoch, (await changesOf(other)).epoch);
      },
    ],
    [
      'another user’s task is not shown',
      async (_owner, other, task) => assert.equal(await statusOf(other, 'GET', `/api/tasks/${task.id}`), 404),
    ],
    [
      'another user’s task is not changed by PUT or PATCH',
      async (owner, other, task) => {
        for (const method of ['PUT', 'PATCH']) {
          assert.equal(await statusOf(other, method, `/api/tasks/${task.id}`, { title: 'mine' }), 404);
        }
        assert.deepEqual(await owner.list(), [task]);
      },
    ],
    [
      'another user’s task is not toggled',
      async (owner, other, task) => {
        assert.equal(await statusOf(other, 'POST', `/api/tasks/${task.id}/toggle`), 404);
        assert.deepEqual(await owner.list(), [task]);
      },
    ],
    [
      'another user’s task is not deleted',
      async (owner, other, task) => {
        assert.equal(await statusOf(other, 'DELETE', `/api/tasks/${task.id}`), 404);
        assert.deepEqual(await owner.list(), [task]);
      },
    ],
    [
      'a new user is made beside those there are, and none of them is changed',
      async (_owner, other) => assert.equal((await other.create('first')).user_id, other.sub),
    ],
  ];
  for (const [title, holds] of cases) {
    test(title, async () => {
      const service = await startUnguarded();
      try {
        const owner = await service.person('owner', { email: 'owner@example.com' });
        const task = await owner.create('guarded', { description: 'by the statement alone' });
        await holds(owner, await service.person('other'), task);
        const { rows } = await asAdmin(service.opened.place, "select id, email from todo.users where id = 'owner'");
        assert.deepEqual(rows, [{ id: 'owner', email: 'owner@example.com' }]);
      } finally {
        await service.close();
      }
    });
  }
});
