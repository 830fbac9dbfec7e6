import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import { describe, type TestContext, test } from 'node:test';
import { appSchema, tableSchema } from '@nozbe/watermelondb';
import { taskColumns } from 'todo-api/client/adapters/watermelondb';
import { example } from './pages/watermelondb/example.ts';
import { openTasks, schema } from './pages/watermelondb/tasks.ts';
import { createMany, createPlace, EMPTIED, fieldsOf, STORED, startWorld, titlesOf, WRITTEN } from './world.ts';

/** Of CommonJS, whose default export Node's `import` does not give. */
const { default: LokiJSAdapter }: typeof import('@nozbe/watermelondb/adapters/lokijs') = createRequire(import.meta.url)(
  '@nozbe/watermelondb/adapters/lokijs',
);

describe('WatermelonDB', () => {
  const { device, restoreBackup } = startWorld();

  /** An application on a device of `user`. */
  function start(t: TestContext, user?: string, tables = schema) {
    const local = device(t, user);
    const adapter = new LokiJSAdapter({
      schema: tables,
      dbName: randomBytes(8).toString('hex'),
      useWebWorker: false,
      useIncrementalIndexedDB: true,
      extraLokiOptions: { autosave: false },
    });
    const client = local.client();
    const opened = openTasks(client, adapter);
    const { database, tasks } = opened;
    return {
      ...opened,
      local,
      client,
      user: local.user,
      titles: async () => titlesOf(await tasks.query().fetch()),
      create: (title: string, rest: object = {}) =>
        database.write(() => tasks.create((draft) => Object.assign(draft, { title, ...rest }))),
      edit: (id: string, change: object) =>
        database.write(async () => {
          const task = await tasks.find(id);
          await task.update((draft) => Object.assign(draft, change));
        }),
      remove: (id: string) => database.write(async () => (await tasks.find(id)).markAsDeleted()),
    };
  }

  test('the example of the page creates, completes and deletes a task', async (t) => {
    const app = start(t);
    await example(app);
    assert.deepEqual([await app.titles(), await app.client.list()], [[], []]);
    assert.deepEqual(titlesOf(await app.client.deleted()), ['Buy oat milk']);
  });

  test('synchronizes a user who has nothing yet, and then the first task of another device', async (t) => {
    const app = start(t);
    await app.sync();
    await device(t, app.user).client().create({ title: 'first' });
    await app.sync();
    assert.deepEqual(await app.titles(), ['first']);
  });

  test('pulls everything, of several pages, and then only what others create, change and delete', async (t) => {
    const app = start(t);
    const other = device(t, app.user).client();
    await createMany(other, 1001);
    await app.sync();
    const [first, second] = await app.tasks.query().fetch();
    await other.create({ title: 'new' });
    await other.patch(second?.id ?? '', { title: 'changed' });
    await other.delete(first?.id ?? '');
    const before = app.local.network.of('GET', '/api/changes').length;
    await app.sync();
    const pulls = app.local.network.of('GET', '/api/changes').slice(before);
    assert.match(pulls.map(({ path }) => path).join(), /^\/api\/changes\?since=1001&epoch=[-\w]+&limit=1000$/);
    const titles = await app.titles();
    assert.equal(titles.length, 1001);
    assert.deepEqual([titles.includes('new'), titles.includes('changed')], [true, true]);
  });

  test('pushes with a new token when the old one has expired, and keeps everything until there is one', async (t) => {
    const app = start(t);
    await app.sync();
    await app.create('kept');
    app.local.claims = { exp: 1 };
    app.client.http.token.discard(await app.client.http.token.get());
    await assert.rejects(app.sync(), { status: 401 });
    app.local.claims = {};
    await app.sync();
    assert.deepEqual(titlesOf(await app.client.list()), ['kept']);
  });

  test('makes a push once whose answer is lost', async (t) => {
    const app = start(t);
    await app.create('once');
    app.local.network.loseAnswers('POST', '/api/batch', 5); // all attempts: the next synchronization pushes again
    await assert.rejects(app.sync(), { code: 'NETWORK' });
    await app.sync();
    await app.sync();
    assert.deepEqual([await app.titles(), titlesOf(await app.client.list())], [['once'], ['once']]);
  });

  test('merges what two devices did offline: different columns of a task, creations, a deletion', async (t) => {
    const one = start(t);
    const other = start(t, one.user);
    const { id } = await one.client.create({ title: 'shared' });
    const removed = await one.client.create({ title: 'gone' });
    await Promise.all([one.sync(), other.sync()]);
    await one.edit(id, { title: 'renamed' });
    await one.create('of one');
    await other.edit(id, { isCompleted: true });
    await other.create('of the other');
    await other.remove(removed.id);
    for (const app of [one, other, one]) await app.sync();
    for (const app of [one, other]) {
      assert.deepEqual(await app.titles(), ['of one', 'of the other', 'renamed']);
      assert.equal((await app.tasks.find(id)).isCompleted, true);
    }
  });

  /** The fields by the names of the model. */
  const ofModel = (fields: object) =>
    Object.fromEntries(
      Object.entries(fields).map(([name, value]) => [name.replace(/_(.)/g, (_, next) => next.toUpperCase()), value]),
    );

  test('carries every field of a task there and back, also what is written without a network', async (t) => {
    const app = start(t);
    const other = device(t, app.user).client();
    await createPlace(other);
    const { id } = await app.create('', ofModel(WRITTEN));
    await app.sync();
    assert.deepEqual(fieldsOf(await other.get(id)), STORED);
    const record = await app.tasks.find(id);
    const shown = () => Object.entries(ofModel(STORED)).map(([name]) => Reflect.get(record, name));
    await app.sync();
    assert.deepEqual(shown(), Object.values(STORED));
    assert.ok(record.completedAt instanceof Date);
    await other.patch(id, EMPTIED);
    await app.sync();
    assert.deepEqual(shown(), Object.values(EMPTIED));
    assert.equal(record.completedAt, null);
    await app.edit(id, ofModel(WRITTEN));
    await app.sync();
    assert.deepEqual(fieldsOf(await other.get(id)), STORED);
    await app.edit(id, ofModel(EMPTIED));
    await app.sync();
    assert.deepEqual(fieldsOf(await other.get(id)), EMPTIED);
    await app.create('without a place');
    await app.create('nor this');
    await app.sync();
    const positions = (await other.list()).map(({ position }) => position);
    assert.deepEqual([new Set(positions).size, positions.filter((position) => !position.startsWith('a'))], [4, []]);
  });

  test('merges a date that one device cleared with a time that another set: both are cleared, and all is synchronized', async (t) => {
    const one = start(t);
    const other = start(t, one.user);
    const { id } = await one.client.create({ title: 'x', due_date: '2026-11-23', due_time: '18:30' });
    const { id: untimed } = await one.client.create({ title: 'y', due_date: '2026-11-23' });
    await Promise.all([one.sync(), other.sync()]);
    await one.edit(id, { dueDate: null, dueTime: null });
    await one.edit(untimed, { dueTime: '09:00', dueTimeZone: 'UTC' });
    await other.edit(id, { dueTime: '09:00', priority: 'low' });
    await other.edit(untimed, { dueDate: null });
    for (const app of [one, other, one]) await app.sync();
    for (const task of [id, untimed].map((each) => one.client.get(each))) {
      const { due_date, due_time, due_time_zone } = await task;
      assert.deepEqual([due_date, due_time, due_time_zone], [null, null, null]);
    }
    assert.equal((await one.tasks.find(id)).priority, 'low');
  });

  test('leaves alone the fields that its table does not have', async (t) => {
    const columns = [...taskColumns].filter(({ name }) => ['title', 'created_at', 'updated_at'].includes(name));
    const tables = [tableSchema({ name: 'tasks', columns })];
    const old = start(t, undefined, appSchema({ version: 1, tables }));
    await createPlace(old.client);
    const { id } = await old.client.create(STORED);
    await old.sync();
    await old.edit(id, { title: 'renamed' });
    await old.sync();
    assert.deepEqual(fieldsOf(await old.client.get(id)), { ...STORED, title: 'renamed' });
  });

  test('pushes nothing of a batch if one of its tasks was changed since the pull, and then merges', async (t) => {
    const app = start(t);
    const { id } = await app.client.create({ title: 'shared' });
    await app.sync();
    await app.edit(id, { title: 'mine' });
    await app.create('beside');
    const other = device(t, app.user).client();
    app.local.network.next('POST', '/api/batch', async (_, go) => {
      await other.patch(id, { description: 'theirs' });
      const answer = await go();
      assert.equal(answer.status, 412);
      assert.deepEqual(titlesOf(await other.list()), ['shared']);
      return answer;
    });
    await app.sync();
    const tasks = await other.list();
    assert.deepEqual(titlesOf(tasks), ['beside', 'mine']);
    assert.equal(tasks.find((task) => task.id === id)?.description, 'theirs');
  });

  test('sends the rest of a push of 250 tasks that was interrupted, and nothing twice', async (t) => {
    const app = start(t);
    await app.sync();
    for (let count = 0; count < 250; count += 1) await app.create(`${count}`);
    app.local.network.next('POST', '/api/batch', (_, go) => go());
    app.local.network.next('POST', '/api/batch', () => Promise.reject(new TypeError('cut')), 4);
    await assert.rejects(app.sync(), { code: 'NETWORK' });
    assert.equal((await app.client.list()).length, 100);
    await app.sync();
    assert.equal((await app.client.list()).length, 250);
    assert.equal((await app.titles()).length, 250);
  });

  test('has nothing left over after a restore of a database that moved on, and keeps what is unsent', async (t) => {
    const app = start(t);
    const old = await app.client.create({ title: 'old' });
    const lost = await app.client.create({ title: 'lost' });
    await app.client.patch(old.id, { title: 'changed since' });
    await app.sync();
    await app.create('unsent');
    await restoreBackup(
      app.user,
      `delete from todo.tasks where id = '${lost.id}'; update todo.tasks set title = 'old' where id = '${old.id}'`,
    );
    await app.sync();
    assert.deepEqual(
      [await app.titles(), titlesOf(await app.client.list())],
      [
        ['old', 'unsent'],
        ['old', 'unsent'],
      ],
    );
  });

  test('makes a whole copy again if it ended between learning of a restore and storing what it pulled', async (t) => {
    const app = start(t);
    const lost = await app.client.create({ title: 'lost' });
    await app.sync();
    await restoreBackup(app.user, `delete from todo.tasks where id = '${lost.id}'`);
    const write = t.mock.method(app.database, 'write', () => Promise.reject(new Error('ended')));
    await assert.rejects(app.sync(), { message: 'ended' });
    write.mock.restore();
    await app.sync();
    assert.deepEqual(await app.titles(), []);
  });
});
