import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Database, defineStatement } from '../dist/database/database.js';
import { type OpenDatabase, onEachDatabase, type Service, startService, type Task } from './support/service.ts';

const OWNER = /\buser_id = \$1\b/g;

/** `database`, but that no statement says any more whose tasks are meant. Notes the names of those that did. */
function careless(database: Database, changed: Set<string>): Database {
  return {
    ping: () => database.ping(),
    close: () => Promise.resolve(),
    asUser: (user, { name, text, access }, values) => {
      const anybody = text.replace(OWNER, '$1::text is not null');
      if (anybody !== text) changed.add(name.replace(/_[0-9a-f]{8}$/, ''));
      return database.asUser(user, defineStatement(`careless_${name}`, access, anybody), values);
    },
  };
}

onEachDatabase('with the owner taken out of every statement', (service) => {
  const changed = new Set<string>();
  let broken: Service;
  before(async () => {
    const opened: OpenDatabase = { ...service().opened, database: careless(service().opened.database, changed) };
    broken = await startService({ ...opened, remove: () => Promise.resolve() });
  });
  after(() => broken.close());

  test("still no request shows or changes another's task", async () => {
    const owner = await broken.person();
    const other = await broken.person();
    const task = await owner.create('guarded');
    const mine = await other.create('my own');
    assert.deepEqual(await other.list(), [mine]);
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
    assert.deepEqual([...changed].sort(), ['task_delete', 'task_get', 'task_list', 'task_toggle', 'task_update']);
  });
});
