import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Database } from '../dist/database/database.js';
import { changesOf } from './support/changes.ts';
import { type OpenDatabase, onEachDatabase, type Service, startService, type Task } from './support/service.ts';
import { baseName, statement } from './support/statements.ts';

/** `database` with the owner removed from every statement; adds the names of those that named one to `changed`. */
function withoutOwners(database: Database, changed: Set<string>): Database {
  return {
    ping: () => database.ping(),
    close: () => Promise.resolve(),
    transaction: (identity, statements) =>
      database.transaction(
        identity,
        statements.map((bound) => {
          const owner = identity.kind === 'user' ? bound.values.indexOf(identity.userId) + 1 : 0;
          const condition = new RegExp(`\\b(user_)?id = \\$${owner}(?!\\d)`, 'g');
          const text = bound.statement.text.replace(condition, () => `$${owner}::text is not null`);
          if (text !== bound.statement.text) changed.add(baseName(bound.statement));
          return statement(text, bound.values, bound.statement.access);
        }),
      ),
  };
}

onEachDatabase('row-level security alone: with the owner removed from every statement', (service) => {
  const changed = new Set<string>();
  let broken: Service;
  before(async () => {
    const opened: OpenDatabase = { ...service().opened, database: withoutOwners(service().opened.database, changed) };
    broken = await startService({ ...opened, remove: () => Promise.resolve() });
  });
  after(() => broken.close());

  test("no request shows or changes another user's task", async () => {
    const owner = await broken.person();
    const other = await broken.person();
    const task = await owner.create('guarded');
    const mine = await other.create('my own');
    for (const _known of ['of unknown length', 'short']) assert.deepEqual(await other.list(), [mine]);
    for (const [method, path, body] of [
      ['GET', '', undefined],
      ['PUT', '', { title: 'taken' }],
      ['PATCH', '', { is_completed: true }],
      ['POST', '/toggle', undefined],
      ['DELETE', '', undefined],
    ] as const) {
      const answer = await other.send(method, `/api/tasks/${task.id}${path}`, body);
      assert.equal(answer.statusCode, 404, method);
      assert.equal(answer.body, '{"error":"Task not found","code":"NOT_FOUND"}');
    }
    assert.deepEqual(await owner.list(), [task]);
    const renamed = await owner.send('PUT', `/api/tasks/${task.id}`, { title: 'mine' });
    assert.equal(renamed.json<Task>().title, 'mine');
    await other.createLongTasks();
    assert.ok((await other.list()).every(({ user_id }) => user_id === other.sub));
    const { changes } = await changesOf(other);
    assert.ok(changes.every(({ task: shown }) => shown?.user_id === other.sub));
    const idle = await broken.person();
    assert.deepEqual((await changesOf(idle)).changes, []);
    assert.deepEqual([...changed].sort(), [
      'changes_read',
      ...['task_count', 'task_delete', 'task_get', 'task_insert'],
      ...['task_list', 'task_list_long', 'task_list_short', 'task_toggle', 'task_update'],
    ]);
  });
});
