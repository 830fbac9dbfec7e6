import assert from 'node:assert/strict';
import { test } from 'node:test';
import pg from 'pg';
import type { BoundStatement } from '../dist/database/sql.js';
import {
  ALL_ROWS,
  answerTo,
  assertNothingShown,
  attemptsOn,
  createVictim,
  rowsOf,
  SECRET,
  withoutChance,
  withoutOwner,
} from './support/apart.ts';
import { changesOf } from './support/changes.ts';
import { createList, listsOf } from './support/lists.ts';
import { asAdmin, onPostgres, type Person, type Service, startService, type Task } from './support/service.ts';

/** A service whose database has stopped confining users: what keeps them apart is in the statements alone. */
async function startUnguarded(): Promise<Service> {
  const service = await startService('postgres');
  for (const table of ['users', 'tasks', 'task_words', 'lists', 'replies']) {
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
      'another user’s deleted task is not shown, not restored and not blanked',
      async (owner, other, task) => {
        await owner.send('DELETE', `/api/tasks/${task.id}`);
        assert.equal((await other.send('GET', '/api/tasks?deleted=true')).body, '{"tasks":[]}');
        assert.equal(await statusOf(other, 'POST', `/api/tasks/${task.id}/restore`), 404);
        assert.equal(await statusOf(other, 'DELETE', `/api/tasks/${task.id}?permanent=true`), 404);
        const restored = await owner.send('POST', `/api/tasks/${task.id}/restore`);
        assert.deepEqual({ ...restored.json<Task>(), updated_at: '' }, { ...task, updated_at: '', version: 3 });
      },
    ],
    [
      'a reply that is kept for another user’s idempotency key is not given',
      async (owner, other) => {
        const key = { 'idempotency-key': 'same' };
        const body = { title: 'x' };
        const first = await owner.send('POST', '/api/tasks', body, key);
        const second = await other.send('POST', '/api/tasks', body, key);
        assert.equal(second.headers['idempotency-replayed'], undefined);
        assert.equal(second.json<Task>().user_id, other.sub);
        const again = await owner.send('POST', '/api/tasks', body, key);
        assert.deepEqual([again.headers['idempotency-replayed'], again.body], ['true', first.body]);
      },
    ],
    [
      'another user’s list is not shown, changed or deleted, and is none of the lists or changes of others',
      async (owner, other) => {
        const list = await createList(owner, 'guarded');
        for (const [method, body] of [
          ['GET', undefined],
          ['PUT', { name: 'mine' }],
          ['PATCH', { name: 'mine' }],
          ['DELETE', undefined],
        ] as const) {
          assert.equal(await statusOf(other, method, `/api/lists/${list.id}`, body), 404);
        }
        assert.deepEqual([await listsOf(other), await listsOf(owner)], [[], [list]]);
        assert.deepEqual((await changesOf(other)).changes, []);
        assert.equal((await createList(other, 'my own')).position, 'a0');
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
  test('no statement shows, changes or depends on what another user has', async () => {
    const service = await startUnguarded();
    try {
      const { database } = service.opened;
      const victim = await createVictim(service);
      const rows = await rowsOf(database, victim);
      for (const { name, attacker, own, bystander, ofNobody } of attemptsOn(victim)) {
        const answer = await answerTo(database, attacker, own);
        assertNothingShown(answer, victim, name);
        assert.equal(await rowsOf(database, victim), rows, `${name} changes what is another's`);
        assert.equal(answer, await answerTo(database, bystander, ofNobody), name);
      }
    } finally {
      await service.close();
    }
  });

  test('each of them would, without its owner', async () => {
    const service = await startUnguarded();
    const client = new pg.Client(service.opened.place);
    await client.connect();
    try {
      const victim = await createVictim(service);
      const rowsOfVictim = async () => JSON.stringify((await client.query(ALL_ROWS, [victim.person.sub])).rows);
      const rows = await rowsOfVictim();
      /** Runs a statement and rolls back. @returns its rows, or why it failed; null if the victim notices. */
      const answer = async (attacker: string, { statement: { text }, values }: BoundStatement) => {
        await client.query('begin');
        await client.query('insert into todo.users (id) values ($1)', [attacker]);
        await client.query("select set_config('role', 'todo_app', true), set_config('app.user_id', $1, true)", [
          attacker,
        ]);
        const outcome = await client.query(text, [...values]).then(
          async ({ rows: shown }) => {
            const isNoticed = JSON.stringify(shown).includes(SECRET) || (await rowsOfVictim()) !== rows;
            return isNoticed ? null : withoutChance(JSON.stringify(shown), attacker);
          },
          (error: Error) => error.message,
        );
        await client.query('rollback');
        return outcome;
      };
      const harmless: string[] = [];
      for (const { name, attacker, own } of attemptsOn(victim)) {
        const expected = await answer(attacker, own);
        assert.notEqual(expected, null, name);
        if ((await answer(attacker, withoutOwner(own, attacker))) === expected) harmless.push(name);
      }
      // They only insert; row-level security checks in whose name (test/second-fence.test.ts).
      assert.deepEqual(harmless.sort(), ['changes_user', 'reply_keep', 'user_lock']);
    } finally {
      await client.end();
      await service.close();
    }
  });

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
