import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, type TestContext, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { getRxStorageMemory } from 'rxdb/plugins/storage-memory';
import { wrappedValidateAjvStorage } from 'rxdb/plugins/validate-ajv';
import type { Task } from 'todo-api/client';
import { newTask } from 'todo-api/client/adapters/rxdb';
import { example } from './pages/rxdb/example.ts';
import { openTasks } from './pages/rxdb/tasks.ts';
import {
  createMany,
  createPlace,
  EMPTIED,
  fieldsOf,
  hasFields,
  STORED,
  startWorld,
  titlesOf,
  until,
  WRITTEN,
} from './world.ts';

type Opened = Awaited<ReturnType<typeof openTasks>>;

/** Resolves once the documents fit. */
async function untilDocuments({ tasks }: Opened, holds: (all: readonly Task[]) => boolean): Promise<void> {
  let all = await tasks.find().exec();
  await until(
    () => holds(all),
    (look) => {
      const subscription = tasks.find().$.subscribe((found) => {
        all = found;
        look();
      });
      return () => subscription.unsubscribe();
    },
  );
}
const hasTitles = (opened: Opened, titles: readonly string[]) =>
  untilDocuments(opened, (all) => String(titlesOf(all)) === String(titles));

describe('RxDB', () => {
  const { device, restoreBackup } = startWorld();

  /** An application on a device of `user`. */
  async function start(t: TestContext, user?: string) {
    const local = device(t, user);
    const client = local.client();
    // Validated, so that a document that is not whole fails.
    const storage = wrappedValidateAjvStorage({ storage: getRxStorageMemory() });
    const opened = await openTasks(client, `tasks${randomBytes(6).toString('hex')}`, storage);
    opened.replication.retryTime = 20;
    const errors: string[] = [];
    opened.replication.error$.subscribe((error) => void errors.push(JSON.stringify(error.parameters.errors)));
    t.after(() => opened.database.close());
    return { ...opened, local, client, user: local.user, errors };
  }

  test('the example of the page creates, completes and deletes a task', async (t) => {
    const app = await start(t);
    await example(app);
    await app.replication.awaitInSync();
    assert.deepEqual(await app.client.list(), []);
    const [deleted] = await app.client.deleted();
    assert.deepEqual([deleted?.title, deleted?.is_completed], ['Buy oat milk', true]);
    assert.deepEqual(app.errors, []);
  });

  test('has everything of several full pages, and then what others create, change and delete', async (t) => {
    const user = device(t).user;
    const other = device(t, user).client();
    await createMany(other, 1000);
    const app = await start(t, user);
    await app.replication.awaitInitialReplication();
    const [first, ...more] = await app.tasks.find().exec();
    assert.equal(more.length, 999);
    const created = await other.create({ title: 'new' });
    await other.patch(created.id, { title: 'newer' });
    await other.delete(first?.id ?? '');
    await untilDocuments(
      app,
      (all) => all.length === 1000 && all.some(({ id, title }) => id === created.id && title === 'newer'),
    );
  });

  test('takes the deletion of a task whose content is gone', async (t) => {
    const app = await start(t);
    const kept = await app.client.create({ title: 'kept' });
    const { id } = await app.client.create({ title: 'erased' });
    await hasTitles(app, ['erased', 'kept']);
    await device(t, app.user).client().delete(id, { permanent: true });
    await hasTitles(app, ['kept']);
    assert.ok(kept.version > 0);
    assert.deepEqual(app.errors, []);
  });

  test('sends several changes of one task that follow each other at once', async (t) => {
    const app = await start(t);
    await app.replication.awaitInitialReplication();
    const task = await app.tasks.insert(newTask({ title: ' 0 ' }));
    for (const title of ['1 ', ' 2', '3']) {
      await task.getLatest().incrementalPatch({ title });
      await app.replication.awaitInSync();
    }
    await untilDocuments(app, (all) => all.some(({ title }) => title === '3'));
    await app.replication.awaitInSync();
    assert.deepEqual(titlesOf(await app.client.list()), ['3']);
    assert.deepEqual(app.errors, []);
  });

  test('goes on with a new token when the old one has expired, and drops nothing until there is one', async (t) => {
    const app = await start(t);
    await app.replication.awaitInitialReplication();
    app.local.claims = { exp: 1 };
    app.client.http.token.discard(await app.client.http.token.get());
    const failed = new Promise<void>((resolve) => app.replication.error$.subscribe(() => resolve()));
    await app.tasks.insert(newTask({ title: 'kept' }));
    await failed;
    app.local.claims = {};
    await app.replication.awaitInSync();
    assert.deepEqual(titlesOf(await app.client.list()), ['kept']);
  });

  test('executes writes once whose answers are lost', async (t) => {
    const app = await start(t);
    await app.replication.awaitInitialReplication();
    app.local.network.loseAnswers('POST', '/api/batch', 6); // also after RxDB has begun again, with other keys
    await app.tasks.bulkInsert(Array.from({ length: 150 }, (_, index) => newTask({ title: `${index}` })));
    await app.replication.awaitInSync();
    assert.equal((await app.client.list()).length, 150);
    assert.equal((await app.tasks.find().exec()).length, 150);
  });

  test('merges what two devices did offline: different fields of a task, creations, a deletion', async (t) => {
    const one = await start(t);
    const other = await start(t, one.user);
    const shared = await one.client.create({ title: 'shared' });
    const removed = await one.client.create({ title: 'gone' });
    for (const app of [one, other]) {
      await hasTitles(app, ['gone', 'shared']);
      app.local.network.cut();
    }
    await (await one.tasks.findOne(shared.id).exec(true)).incrementalPatch({ title: 'renamed' });
    await one.tasks.insert(newTask({ title: 'of one' }));
    await (await other.tasks.findOne(shared.id).exec(true)).incrementalPatch({ is_completed: true });
    await other.tasks.insert(newTask({ title: 'of the other' }));
    await (await other.tasks.findOne(removed.id).exec(true)).remove();
    for (const app of [one, other]) {
      app.local.network.restore();
      await app.replication.awaitInSync();
    }
    for (const app of [one, other]) {
      await hasTitles(app, ['of one', 'of the other', 'renamed']);
      await untilDocuments(app, (all) => all.some(({ id, is_completed }) => id === shared.id && is_completed));
    }
  });

  test('carries every field of a task there and back, also what is written without a network', async (t) => {
    const app = await start(t);
    const other = device(t, app.user).client();
    await app.replication.awaitInitialReplication();
    const offline = async (write: () => Promise<unknown>) => {
      app.local.network.cut();
      await write();
      app.local.network.restore();
      await app.replication.awaitInSync();
    };
    await createPlace(other);
    const { id } = newTask(WRITTEN);
    const change = async (fields: Partial<Task>) =>
      (await app.tasks.findOne(id).exec(true)).incrementalPatch({ ...fields });
    const arrived = (fields: object) => untilDocuments(app, (all) => all.some((task) => hasFields(task, fields)));
    await offline(() => app.tasks.insert({ ...newTask(WRITTEN), id }));
    assert.deepEqual(fieldsOf(await other.get(id)), STORED);
    await arrived(STORED);
    await other.patch(id, EMPTIED);
    await arrived(EMPTIED);
    await offline(() => change(WRITTEN));
    assert.deepEqual(fieldsOf(await other.get(id)), STORED);
    await offline(() => change(EMPTIED));
    assert.deepEqual(fieldsOf(await other.get(id)), EMPTIED);
    await offline(() => app.tasks.bulkInsert([newTask({ title: 'without a place' }), newTask({ title: 'nor this' })]));
    const positions = (await other.list()).map(({ position }) => position);
    assert.deepEqual([new Set(positions).size, positions.filter((position) => !position.startsWith('a'))], [4, []]);
    await untilDocuments(app, (all) => all.every(({ position }) => positions.includes(position)));
    assert.deepEqual(app.errors, []);
  });

  test('merges dates and tags that two devices changed offline, field by field', async (t) => {
    const one = await start(t);
    const other = await start(t, one.user);
    const both = [one, other];
    const due = { due_date: '2026-11-23', due_time: '18:30', due_time_zone: 'UTC' };
    const tagged = await one.client.create({ title: 'tagged', tags: ['home'], ...due });
    const undated = await one.client.create({ title: 'undated', tags: ['home'], ...due });
    const edit = async ({ tasks }: Opened, { id }: Task, fields: Partial<Task>) =>
      (await tasks.findOne(id).exec(true)).incrementalPatch({ ...fields });
    for (const app of both) {
      await hasTitles(app, ['tagged', 'undated']);
      app.local.network.cut();
    }
    await edit(one, tagged, { tags: ['home', 'car'] });
    await edit(one, undated, { due_date: null, due_time: null, due_time_zone: null });
    await edit(other, tagged, { due_time: '09:00', tags: ['home'] });
    await edit(other, undated, { due_time: '09:00', priority: 'low' });
    for (const app of both) {
      app.local.network.restore();
      await app.replication.awaitInSync();
    }
    const expected: readonly [Task, Partial<Task>][] = [
      [tagged, { ...due, due_time: '09:00', tags: ['home', 'car'] }],
      [undated, { due_date: null, due_time: null, due_time_zone: null, priority: 'low', tags: ['home'] }],
    ];
    for (const [{ id }, fields] of expected) {
      const present = await one.client.get(id);
      assert.deepEqual({ ...present, ...fields }, present);
      for (const app of both) {
        const isThere = (task: Task) =>
          task.id === id &&
          Object.entries(fields).every(([name, value]) => isDeepStrictEqual(Reflect.get(task, name), value));
        await untilDocuments(app, (all) => all.some(isThere));
      }
    }
  });

  test('drops a change of a task that was deleted elsewhere', async (t) => {
    const app = await start(t);
    const { id } = await app.client.create({ title: 'gone' });
    await hasTitles(app, ['gone']);
    app.local.network.cut();
    await (await app.tasks.findOne(id).exec(true)).incrementalPatch({ title: 'edited' });
    await device(t, app.user).client().delete(id);
    app.local.network.restore();
    await hasTitles(app, []);
    assert.deepEqual(titlesOf(await app.client.deleted()), ['gone']);
  });

  test('goes on after a write that the service refuses, and shows the task as it is there', async (t) => {
    const warnings = t.mock.method(console, 'warn', () => {});
    const app = await start(t);
    const { id } = await app.client.create({ title: 'right' });
    await hasTitles(app, ['right']);
    await (await app.tasks.findOne(id).exec(true)).incrementalPatch({ title: ' ' });
    await app.tasks.insert(newTask({ title: 'also' }));
    await hasTitles(app, ['also', 'right']);
    await app.replication.awaitInSync();
    assert.deepEqual(titlesOf(await app.client.list()), ['also', 'right']);
    assert.ok(warnings.mock.callCount() > 0);
  });

  test('has nothing left over after a restore of a database that moved on, and keeps what is unsent', async (t) => {
    const app = await start(t);
    const old = await app.client.create({ title: 'old' });
    const lost = await app.client.create({ title: 'lost' });
    await app.client.patch(old.id, { title: 'changed since' });
    await hasTitles(app, ['changed since', 'lost']);
    app.local.network.cut();
    await app.tasks.insert(newTask({ title: 'unsent' }));
    await restoreBackup(
      app.user,
      `delete from todo.tasks where id = '${lost.id}'; update todo.tasks set title = 'old' where id = '${old.id}'`,
    );
    app.local.network.restore();
    await hasTitles(app, ['old', 'unsent']);
    await app.replication.awaitInSync();
    assert.deepEqual(titlesOf(await app.client.list()), ['old', 'unsent']);
  });
});
