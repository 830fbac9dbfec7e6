import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { TodoApiError } from '../client/dist/index.js';
import { newDevice, settled, until } from './support/mirrors.ts';
import { ANY_DATABASE, type Service, startService } from './support/service.ts';
import { listen } from './support/socket.ts';

describe('lists of the client', () => {
  let service: Service;
  let url: string;
  before(async () => {
    service = await startService(ANY_DATABASE);
    url = `http://127.0.0.1:${await listen(service.app)}`;
  });
  after(() => service.close());

  test('every route is called', async (t) => {
    const { lists, ...client } = newDevice(t, url).client();
    const list = await lists.create({ name: ' Groceries ' });
    const id = '0199d3a4-7c1e-7b52-9d0f-3a2b1c4d5e6f';
    const own = await lists.create({ id, name: 'Own', color: '#ffffff' });
    assert.deepEqual([list.name, own.id, own.position > list.position], ['Groceries', id, true]);
    assert.deepEqual(await lists.get(id), own);
    assert.deepEqual(await lists.all(), [list, own]);
    assert.equal((await lists.put(id, { is_archived: true })).is_archived, true);
    const changed = await lists.patch(id, { name: 'Changed' }, { ifMatch: 3 });
    await assert.rejects(lists.patch(id, { name: 'x' }, { ifMatch: 2 }), (error) => {
      assert.ok(error instanceof TodoApiError);
      assert.deepEqual([error.status, error.current], [412, changed]);
      return true;
    });
    assert.equal((await lists.delete(id, { tasks: 'delete', ifMatch: changed.version })).id, id);
    assert.deepEqual(await lists.all(), [list]);
    const { results } = await client.batch([
      { op: 'create', type: 'list', name: 'In a batch' },
      { op: 'delete', type: 'list', id: list.id, tasks: 'inbox' },
    ]);
    assert.deepEqual(
      results.map(({ status, list: made }) => [status, made?.name]),
      [
        [201, 'In a batch'],
        [200, undefined],
      ],
    );
  });

  test('a mirror shows them by position, and what other devices change as it happens', async (t) => {
    const device = newDevice(t, url);
    const other = device.client();
    const last = await other.lists.create({ name: 'last' });
    await other.create({ title: 'a task' });
    const first = await other.lists.create({ name: 'first', position: 'Zz' });
    const local = await device.open();
    await settled(local);
    assert.deepEqual(local.lists(), [first, last]);
    assert.equal(local.lists(), local.lists());
    assert.equal(local.tasks().length, 1);
    const changed = await other.lists.patch(first.id, { name: 'Changed' });
    await until(local, () => local.lists()[0]?.name === 'Changed');
    assert.deepEqual(local.lists(), [changed, last]);
    await other.lists.delete(last.id);
    await until(local, () => local.lists().length === 1);
    assert.equal(local.get(first.id), undefined);
  });

  test('a mirror keeps what is written to them without a network, also to a task with the same id', async (t) => {
    const device = newDevice(t, url);
    const online = device.client();
    const id = '0199d3a4-7c1e-7b52-9d0f-3a2b1c4d5e6f';
    const list = await online.lists.create({ id, name: 'Old', color: '#abcdef' });
    const doomed = await online.lists.create({ name: 'Doomed' });
    await online.create({ id, title: 'Of the same id' });
    const first = await device.open();
    await settled(first);
    device.network.cut();
    await until(first, () => first.status === 'offline');
    const made = await first.createList({ name: ' New ', color: '#FFFFFF' });
    assert.deepEqual([made.name, made.color, made.version], ['New', '#ffffff', 0]);
    await first.updateList(made.id, { is_archived: true });
    await first.updateList(list.id, { name: 'Changed' });
    await first.toggle(id);
    await first.deleteList(doomed.id, 'delete');
    await assert.rejects(first.updateList(doomed.id, { name: 'x' }), /List not found/);
    const seen = [
      ['Changed', '#abcdef', false],
      ['New', '#ffffff', true],
    ];
    const shown = (lists: ReturnType<typeof first.lists>) =>
      lists.map(({ name, color, is_archived }) => [name, color, is_archived]);
    assert.deepEqual(shown(first.lists()), seen);
    await first.close();

    const second = await device.open();
    assert.deepEqual(shown(second.lists()), seen);
    assert.deepEqual(
      second.tasks().map(({ is_completed }) => is_completed),
      [true],
    );
    device.network.restore();
    second.sync();
    await settled(second);
    assert.deepEqual([second.pending(), device.conflicts], [[], []]);
    assert.deepEqual(shown(second.lists()), seen);
    assert.deepEqual(await device.client().lists.all(), second.lists());
    assert.deepEqual(await device.client().list(), second.tasks());
  });

  test('each write of a mirror is sent by itself too, and a later one builds on it', async (t) => {
    const device = newDevice(t, url);
    const local = await device.open();
    await settled(local);
    const list = await local.createList({ name: 'one' });
    await settled(local);
    await local.updateList(list.id, { name: 'two' });
    await settled(local);
    await local.deleteList(list.id, 'delete');
    assert.deepEqual(local.lists(), []);
    await settled(local);
    const sent = ['PUT', 'PATCH', 'DELETE'].map((method) => device.network.of(method, '/api/lists/').length);
    assert.deepEqual(sent, [1, 1, 1]);
    assert.ok(device.network.of('DELETE', '/api/lists/')[0]?.path.endsWith('?tasks=delete'));
    assert.deepEqual([await device.client().lists.all(), device.conflicts], [[], []]);
  });

  for (const tasks of ['inbox', 'delete'] as const) {
    test(`a mirror shows at once what becomes of the tasks of a list that is deleted: ${tasks}`, async (t) => {
      const device = newDevice(t, url);
      const online = device.client();
      const list = await online.lists.create({ name: 'To be deleted' });
      const task = await online.create({ title: 'In the list', list_id: list.id });
      const local = await device.open();
      await settled(local);
      device.network.cut();
      await until(local, () => local.status === 'offline');
      await local.deleteList(list.id, tasks);
      const seen = tasks === 'inbox' ? [{ ...task, list_id: null }] : [];
      assert.deepEqual([local.lists(), local.tasks(), local.get(task.id)], [[], seen, seen[0]]);
      device.network.restore();
      local.sync();
      await settled(local);
      await until(local, () => local.tasks().every(({ list_id }) => list_id === null));
      assert.deepEqual(local.tasks(), await online.list());
      assert.equal(local.tasks().length, seen.length);
    });
  }

  test('a mirror puts a task into a list that the service has not seen', async (t) => {
    const device = newDevice(t, url);
    const local = await device.open();
    await settled(local);
    device.network.cut();
    await until(local, () => local.status === 'offline');
    const list = await local.createList({ name: 'New' });
    await local.create({ title: 'In it', list_id: list.id });
    device.network.restore();
    local.sync();
    await settled(local);
    assert.deepEqual(
      (await device.client().list()).map(({ title, list_id }) => [title, list_id]),
      [['In it', list.id]],
    );
    assert.deepEqual(device.conflicts, []);
  });

  for (const decision of ['mine', 'theirs'] as const) {
    test(`a change of what was changed elsewhere is decided by the application: ${decision}`, async (t) => {
      const device = newDevice(t, url);
      const online = device.client();
      const [list, gone] = [await online.lists.create({ name: 'Old' }), await online.lists.create({ name: 'Gone' })];
      device.decide = () => decision;
      const local = await device.open();
      await settled(local);
      device.network.cut();
      await until(local, () => local.status === 'offline');
      await local.updateList(list.id, { name: 'Mine' });
      await local.updateList(gone.id, { name: 'Not any more' });
      const other = newDevice(t, url, { user: device.user }).client();
      await other.lists.patch(list.id, { name: 'Theirs', color: '#000000' });
      await other.lists.delete(gone.id);
      device.network.restore();
      local.sync();
      await until(local, () => local.status === 'live' && local.pending().length === 0);
      assert.deepEqual(device.conflicts.map(({ status, write }) => [write.type, status]).sort(), [
        ['list', 404],
        ['list', 412],
      ]);
      const [left, ...more] = await online.lists.all();
      assert.deepEqual([left?.name, left?.color, more], [decision === 'mine' ? 'Mine' : 'Theirs', '#000000', []]);
      assert.deepEqual(local.lists(), [left]);
    });
  }
});
