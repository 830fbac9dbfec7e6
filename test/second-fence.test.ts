import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Database } from '../dist/database/database.js';
import { answerTo, assertNothingShown, attemptsOn, createVictim, rowsOf, withoutOwner } from './support/apart.ts';
import { createList, listsOf } from './support/lists.ts';
import { type OpenDatabase, onEachDatabase, type Service, startService, type Task } from './support/service.ts';

/** `database` with the owner removed from every statement. */
function withoutOwners(database: Database): Database {
  return {
    ping: () => database.ping(),
    close: () => Promise.resolve(),
    transaction: (identity, statements) => {
      if (identity.kind !== 'user') return database.transaction(identity, statements);
      const { userId } = identity;
      return database.transaction(
        identity,
        statements.map((bound) => withoutOwner(bound, userId)),
      );
    },
  };
}

onEachDatabase('row-level security alone: with the owner removed from every statement', (service) => {
  let broken: Service;
  before(async () => {
    const opened: OpenDatabase = { ...service().opened, database: withoutOwners(service().opened.database) };
    broken = await startService({ ...opened, remove: () => Promise.resolve() });
  });
  after(() => broken.close());

  test("no request shows or changes another user's task", async () => {
    const owner = await broken.person();
    const other = await broken.person();
    const task = await owner.create('guarded');
    const deleted = await owner.create('deleted');
    await owner.send('DELETE', `/api/tasks/${deleted.id}`);
    const mine = await other.create('my own');
    for (const _known of ['of unknown length', 'short']) assert.deepEqual(await other.list(), [mine]);
    assert.equal((await other.send('GET', '/api/tasks?deleted=true')).body, '{"tasks":[]}');
    for (const [method, path, body] of [
      ['GET', '', undefined],
      ['PUT', '', { title: 'taken' }],
      ['PATCH', '', { is_completed: true }],
      ['POST', '/toggle', undefined],
      ['POST', '/restore', undefined],
      ['DELETE', '', undefined],
      ['DELETE', '?permanent=true', undefined],
    ] as const) {
      for (const { id } of [task, deleted]) {
        for (const headers of [{}, { 'idempotency-key': `${method}${path}${id}` }]) {
          const answer = await other.send(method, `/api/tasks/${id}${path}`, body, headers);
          assert.equal(answer.statusCode, 404, method);
          assert.equal(answer.body, '{"error":"Task not found","code":"NOT_FOUND"}');
        }
      }
    }
    assert.deepEqual(await owner.list(), [task]);
    const renamed = await owner.send('PUT', `/api/tasks/${task.id}`, { title: 'mine' });
    assert.equal(renamed.json<Task>().title, 'mine');
    assert.equal((await owner.send('POST', `/api/tasks/${deleted.id}/restore`)).statusCode, 200);
    await other.createLongTasks();
    assert.ok((await other.list()).every(({ user_id }) => user_id === other.sub));
  });

  test("no request shows or changes another user's list", async () => {
    const [owner, other] = [await broken.person(), await broken.person()];
    const list = await createList(owner, 'guarded');
    for (const [method, body] of [
      ['GET', undefined],
      ['PUT', { name: 'taken' }],
      ['PATCH', { is_archived: true }],
      ['DELETE', undefined],
    ] as const) {
      for (const headers of [{}, { 'idempotency-key': method }]) {
        const answer = await other.send(method, `/api/lists/${list.id}`, body, headers);
        assert.equal(answer.body, '{"error":"List not found","code":"NOT_FOUND"}');
      }
    }
    const mine = await createList(other, 'my own');
    assert.deepEqual([mine.position, await listsOf(other)], ['a0', [mine]]);
    assert.deepEqual(await listsOf(owner), [list]);
  });

  test('no statement shows, changes or depends on what another user has', async () => {
    const { database } = service().opened;
    const victim = await createVictim(service());
    const rows = await rowsOf(database, victim);
    for (const { name, attacker, own, bystander, ofNobody } of attemptsOn(victim)) {
      const answer = await answerTo(database, attacker, withoutOwner(own, attacker));
      assertNothingShown(answer, victim, name);
      assert.equal(await rowsOf(database, victim), rows, `${name} changes what is another's`);
      assert.equal(answer, await answerTo(database, bystander, ofNobody), name);
    }
  });

  test('no statement shows or changes what another user has, if it names them as the owner', async () => {
    const { database } = service().opened;
    const victim = await createVictim(service());
    const rows = await rowsOf(database, victim);
    for (const { name, attacker, asVictim } of attemptsOn(victim)) {
      const answer = await answerTo(database, attacker, asVictim);
      assertNothingShown(answer, victim, name);
      assert.equal(await rowsOf(database, victim), rows, `${name} changes what is another's`);
    }
  });
});
