import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  type MirrorStorage,
  memoryStorage,
  type OpenStorage,
  type Task,
  type TaskCreate,
  type TaskUpdate,
  TodoApiError,
} from '../client/dist/index.js';
import { newDevice, newEpoch, settled, titles, until } from './support/mirrors.ts';
import { gate } from './support/network.ts';
import { ANY_DATABASE, asAdmin, type Service, startService } from './support/service.ts';
import { listen } from './support/socket.ts';

describe('a mirror', () => {
  let service: Service;
  let url: string;
  before(async () => {
    service = await startService(ANY_DATABASE);
    url = `http://127.0.0.1:${await listen(service.app)}`;
  });
  after(() => service.close());

  test('shows what is there, newest first, and what other devices change as it happens', async (t) => {
    const device = newDevice(t, url);
    const other = device.client();
    const first = await other.create({ title: 'First' });
    const second = await other.create({ title: 'Second' });
    const local = await device.open();
    await settled(local);
    assert.deepEqual(local.tasks(), [second, first]);
    assert.equal(local.tasks(), local.tasks());
    const changed = await other.patch(first.id, { title: 'Changed' });
    await until(local, () => local.get(first.id)?.title === 'Changed');
    assert.deepEqual(local.tasks(), [second, changed]);
    await other.delete(second.id);
    await until(local, () => local.tasks().length === 1);
    await other.restore(second.id);
    await until(local, () => local.tasks().length === 2);
    assert.deepEqual(titles(local), ['Second', 'Changed']);
  });

  test('goes on with a first copy where that was interrupted', async (t) => {
    const device = newDevice(t, url);
    const client = device.client();
    for (let batch = 0; batch < 11; batch += 1) {
      await client.batch(
        Array.from({ length: 100 }, (_, index) => ({ op: 'create' as const, title: `${batch}.${index}` })),
      );
    }
    const asked = gate();
    device.network.next('GET', '/api/changes?cursor', () => {
      asked.open();
      return new Promise(() => {});
    });
    const interrupted = await device.open();
    await asked.opened;
    assert.equal(interrupted.tasks().length, 1000);
    await interrupted.close();
    const before = device.network.of('GET', '/api/changes').length;
    const local = await device.open();
    assert.equal(local.tasks().length, 1000);
    await settled(local);
    assert.equal(local.tasks().length, 1100);
    const requests = device.network.of('GET', '/api/changes').slice(before);
    assert.deepEqual(
      requests.map(({ path }) => path.includes('cursor=')),
      [true],
    );
  });

  test('keeps writes made without a network, across restarts, and sends them in order when it returns', async (t) => {
    const device = newDevice(t, url);
    const task = await device.client().create({ title: 'Old', description: 'Kept' });
    const doomed = await device.client().create({ title: 'Doomed' });
    const first = await device.open();
    await settled(first);
    device.network.cut();
    await until(first, () => first.status === 'offline');
    const created = await first.create({ title: ' New ' });
    await first.update(created.id, { description: 'Written offline' });
    await first.toggle(task.id);
    await first.update(task.id, { title: 'Changed' });
    await first.delete(doomed.id);
    const seen = [
      ['New', 'Written offline', false],
      ['Changed', 'Kept', true],
    ];
    const shown = (tasks: ReturnType<typeof first.tasks>) =>
      tasks.map(({ title, description, is_completed }) => [title, description, is_completed]);
    assert.deepEqual(shown(first.tasks()), seen);
    await first.close();

    const second = await device.open();
    assert.deepEqual(shown(second.tasks()), seen);
    assert.equal(second.pending().length, 5);
    device.network.restore();
    second.sync();
    await settled(second);
    assert.deepEqual(second.pending(), []);
    assert.deepEqual(shown(second.tasks()), seen);
    assert.deepEqual(await device.client().list(), second.tasks());
    assert.equal(device.network.of('POST', '/api/batch').at(-1)?.body?.includes('Changed'), true);
    assert.deepEqual(device.conflicts, []);
  });

  for (const [what, writes] of [
    ['one write', 1],
    ['many writes', 3],
  ] as const) {
    test(`executes ${what} once whose answer is lost, although the application ends before it is sent again`, async (t) => {
      const device = newDevice(t, url);
      const { network } = device;
      const first = await device.open();
      await settled(first);
      network.cut();
      await until(first, () => first.status === 'offline');
      for (let number = 0; number < writes; number += 1) await first.create({ title: `Once ${number}` });
      const [method, path] = writes === 1 ? ['PUT', '/api/tasks/'] : ['POST', '/api/batch'];
      const lost = gate();
      network.next(method, path, async (_, go) => {
        await (await go()).text();
        network.cut();
        lost.open();
        throw new TypeError('fetch failed');
      });
      network.restore();
      first.sync();
      await lost.opened;
      await first.create({ title: 'Later' });
      await first.close();
      network.restore();
      const second = await device.open();
      await settled(second);
      const sent = network.of(method, path).filter(({ body }) => body?.includes(`Once ${Math.min(writes - 1, 1)}`));
      assert.ok(sent.length >= 2);
      assert.equal(new Set(sent.map(({ body, headers }) => `${headers['idempotency-key']} ${body}`)).size, 1);
      assert.equal(second.tasks().length, writes + 1);
      assert.deepEqual(await device.client().list(), second.tasks());
      assert.deepEqual(device.conflicts, []);
    });
  }

  test('sends a hundred writes and more, of any size, in batches that the service takes', async (t) => {
    const device = newDevice(t, url);
    const local = await device.open();
    await settled(local);
    device.network.cut();
    const description = '\u0001'.repeat(2000);
    for (let number = 0; number < 40; number += 1) await local.create({ title: `Long ${number}`, description });
    for (let number = 0; number < 110; number += 1) await local.create({ title: `Short ${number}` });
    device.network.restore();
    local.sync();
    await settled(local);
    assert.equal(device.conflicts.length, 0);
    assert.equal(local.tasks().length, 150);
    assert.ok(device.network.of('POST', '/api/batch').length >= 4);
  });

  describe('asks the application about a task that was changed on both sides', () => {
    for (const [decision, expected] of [
      ['mine', ['My title', 'Their text']],
      ['theirs', ['Their title', 'Their text']],
      [{ fields: { title: 'Both titles' } }, ['Both titles', 'Their text']],
    ] as const) {
      test(typeof decision === 'string' ? decision : 'merged', async (t) => {
        const device = newDevice(t, url);
        const task = await device.client().create({ title: 'Title' });
        const local = await device.open();
        await settled(local);
        device.network.cut();
        await local.update(task.id, { title: 'My title' });
        const theirs = await newDevice(t, url, { user: device.user })
          .client()
          .patch(task.id, { title: 'Their title', description: 'Their text' });
        device.decide = () => decision;
        device.network.restore();
        local.sync();
        await until(local, () => local.pending().length === 0);
        await settled(local);
        const { conflicts } = device;
        assert.deepEqual(
          conflicts.map(({ status, code, current, write }) => [status, code, current, write.kind, write.fields]),
          [[412, 'PRECONDITION_FAILED', theirs, 'update', { title: 'My title' }]],
        );
        const [shown] = local.tasks();
        assert.deepEqual([shown?.title, shown?.description], expected);
        assert.deepEqual(await device.client().list(), local.tasks());
      });
    }
  });

  test('goes on with other writes while the application decides, and asks again after a restart', async (t) => {
    const device = newDevice(t, url);
    const task = await device.client().create({ title: 'Title' });
    const first = await device.open();
    await settled(first);
    device.network.cut();
    await first.update(task.id, { title: 'Mine' });
    await newDevice(t, url, { user: device.user }).client().patch(task.id, { title: 'Theirs' });
    await first.create({ title: 'Unconcerned' });
    device.decide = () => new Promise(() => {});
    device.network.restore();
    first.sync();
    await until(first, () => first.pending().some(({ refusal }) => refusal !== null));
    await until(first, () => first.pending().length === 1);
    await first.update(task.id, { description: 'Written while it is open' });
    await nextTurn();
    await first.close();
    device.decide = () => 'mine';
    const second = await device.open();
    await until(second, () => second.pending().length === 0);
    assert.equal(device.conflicts.length, 2);
    const list = await device.client().list();
    assert.deepEqual(list.map(({ title }) => title).sort(), ['Mine', 'Unconcerned']);
    assert.equal(list.find(({ id }) => id === task.id)?.description, 'Written while it is open');
  });

  describe('asks the application about a task that was deleted elsewhere', () => {
    for (const [decision, expected] of [
      ['mine', ['Mine']],
      ['theirs', []],
    ] as const) {
      test(decision, async (t) => {
        const device = newDevice(t, url);
        const task = await device.client().create({ title: 'Title' });
        const local = await device.open();
        await settled(local);
        device.network.cut();
        await local.update(task.id, { title: 'Mine' });
        await newDevice(t, url, { user: device.user }).client().delete(task.id);
        device.decide = () => decision;
        device.network.restore();
        local.sync();
        await until(local, () => local.pending().length === 0);
        await settled(local);
        await until(local, () => titles(local).join() === expected.join());
        assert.deepEqual(
          device.conflicts.map(({ status, current }) => [status, current]),
          [[404, null]],
        );
        assert.deepEqual(await device.client().list(), local.tasks());
      });
    }
  });

  test('gives a write that the service does not accept back to the application, with the fields at fault', async (t) => {
    const device = newDevice(t, url);
    device.decide = () => ({ fields: { title: 'Mended' } });
    const local = await device.open();
    await local.create({ title: 'x'.repeat(201) });
    await until(local, () => local.pending().length === 0);
    assert.deepEqual(
      device.conflicts.map(({ status, details }) => [status, details]),
      [[400, [{ field: 'title', message: 'Title cannot exceed 200 characters' }]]],
    );
    assert.deepEqual(titles(local), ['Mended']);
  });

  test('deletes what was deleted elsewhere too, and restores', async (t) => {
    const device = newDevice(t, url);
    const task = await device.client().create({ title: 'Title' });
    const local = await device.open();
    await settled(local);
    device.network.cut();
    await local.delete(task.id);
    await newDevice(t, url, { user: device.user }).client().delete(task.id);
    device.network.restore();
    local.sync();
    await until(local, () => local.pending().length === 0);
    assert.deepEqual([local.tasks(), device.conflicts], [[], []]);
    await local.restore(task.id);
    await until(local, () => local.tasks().length === 1);
    await settled(local);
    assert.equal((await device.client().list()).length, 1);
    await assert.rejects(local.update('0199d3a4-7c1e-7b52-9d0f-3a2b1c4d5e6f', { title: 'x' }), { code: 'NOT_FOUND' });
  });

  for (const [what, others] of [
    ['its deletion', 0],
    ['a batch with its deletion', 2],
  ] as const) {
    test(`keeps a task restored elsewhere before the answer to ${what} has come`, async (t) => {
      const device = newDevice(t, url);
      const other = newDevice(t, url, { user: device.user }).client();
      const task = await other.create({ title: 'Restored' });
      const ids = [task.id];
      // The first of several flies alone.
      for (let count = 0; count < others; count += 1) ids.unshift((await other.create({ title: 'Another' })).id);
      const local = await device.open();
      await settled(local);
      const held = gate();
      const [method, path] = others === 0 ? ['DELETE', '/api/tasks/'] : ['POST', '/api/batch'];
      device.network.next(method, path, async (_, go) => {
        const answer = await go();
        await other.restore(task.id);
        await other.create({ title: 'Later' });
        await until(local, () => titles(local).includes('Later'));
        held.open();
        return answer;
      });
      device.network.cut();
      await until(local, () => local.status === 'offline');
      for (const id of ids) await local.delete(id);
      device.network.restore();
      local.sync();
      await held.opened;
      await until(local, () => local.pending().length === 0);
      assert.deepEqual(await other.list(), local.tasks());
    });
  }

  test('does not bring back a task that was deleted before the answer to its creation came, in another session', async (t) => {
    const device = newDevice(t, url);
    const other = newDevice(t, url, { user: device.user }).client();
    const first = await device.open();
    await settled(first);
    let isLosing = true;
    const executed = gate();
    device.network.next(
      'PUT',
      '/api/tasks/',
      async (_, go) => {
        const answer = await go();
        executed.open();
        if (!isLosing) return answer;
        throw new TypeError('fetch failed');
      },
      Number.POSITIVE_INFINITY,
    );
    const { id } = await first.create({ title: 'Deleted' });
    await executed.opened;
    await other.delete(id);
    await other.create({ title: 'Later' });
    await until(first, () => titles(first).includes('Later'));
    await first.close();
    isLosing = false;
    const second = await device.open();
    await settled(second);
    assert.deepEqual(titles(second), ['Later']);
  });

  test('makes a new copy if its cursor has expired: what is gone goes, what is pending stays', {
    skip: ANY_DATABASE === 'embedded' ? 'needs access to the database' : false,
  }, async (t) => {
    const device = newDevice(t, url);
    const other = newDevice(t, url, { user: device.user }).client();
    const [gone] = [await other.create({ title: 'Gone' }), await other.create({ title: 'Stays' })];
    const local = await device.open();
    await settled(local);
    device.network.cut();
    await local.create({ title: 'Pending' });
    await asAdmin(service.opened.place, `delete from todo.tasks where id = '${gone.id}'`);
    await newEpoch(service, device.user, asAdmin);
    assert.deepEqual(titles(local), ['Pending', 'Stays', 'Gone']);
    device.network.restore();
    local.sync();
    await settled(local);
    await until(local, () => local.tasks().length === 2);
    assert.deepEqual(titles(local), ['Pending', 'Stays']);
    assert.deepEqual(await other.list(), local.tasks());
    await other.create({ title: 'After' });
    await until(local, () => titles(local)[0] === 'After');
  });

  test('never shows or sends one user the data of another', async (t) => {
    const storage = memoryStorage();
    const ann = newDevice(t, url, { storage });
    const local = await ann.open();
    await local.create({ title: "Ann's" });
    await settled(local);
    const bob = newDevice(t, url, { storage });
    ann.network.cut();
    await until(local, () => local.status === 'offline');
    await local.create({ title: "Ann's secret" });
    ann.signedIn = bob.user; // the page was signed out and in again, and its mirror was forgotten
    ann.claims = { exp: 9_999_999_999 };
    ann.network.next('GET', '/api/events', async () => new Response('', { status: 401 }), 100);
    ann.network.next('PUT', '/api/tasks/', async () => new Response('', { status: 401 }), 100);
    ann.network.restore();
    local.sync();
    await until(local, () => local.error instanceof TodoApiError && local.error.code === 'USER_CHANGED');
    assert.equal(local.status, 'error');
    assert.equal(local.pending().length, 1);
    await local.close();
    const his = await bob.open();
    assert.deepEqual([his.tasks(), his.pending()], [[], []]);
    await settled(his);
    assert.deepEqual([his.tasks(), await bob.client().list()], [[], []]);
    ann.signedIn = ann.user;
    const again = await newDevice(t, url, { user: ann.user, storage }).open();
    await settled(again);
    assert.deepEqual(titles(again), ["Ann's secret", "Ann's"]);
  });

  test('keeps writes while no token is accepted, and sends them after a sign-in', async (t) => {
    const device = newDevice(t, url);
    device.claims = { iat: undefined, exp: Math.floor(Date.now() / 1000) - 3600 };
    const local = await device.open();
    await local.create({ title: 'Kept' });
    await until(local, () => local.status === 'error');
    assert.ok(local.error instanceof TodoApiError && local.error.status === 401);
    assert.equal(local.pending().length, 1);
    device.claims = {};
    local.sync();
    await settled(local);
    assert.equal((await device.client().list()).length, 1);
    assert.deepEqual(device.conflicts, []);
  });

  test('rejects a write that cannot be stored, and shows and sends nothing of it', async (t) => {
    const inner = memoryStorage();
    let isFull = false;
    const storage: OpenStorage = async (name, onLost) => {
      const opened = await inner(name, onLost);
      const write: MirrorStorage['write'] = async (change) => {
        if (isFull) throw new TodoApiError(0, { code: 'STORAGE_FULL', error: 'Full' });
        return opened.write(change);
      };
      return { name: null, load: () => opened.load(), clear: () => opened.clear(), close: () => opened.close(), write };
    };
    const device = newDevice(t, url, { storage });
    const local = await device.open();
    await settled(local);
    isFull = true;
    await assert.rejects(local.create({ title: 'Lost' }), { code: 'STORAGE_FULL' });
    assert.deepEqual([local.tasks(), local.pending()], [[], []]);
    isFull = false;
    await local.create({ title: 'Stored' });
    await settled(local);
    assert.deepEqual(
      (await device.client().list()).map(({ title }) => title),
      ['Stored'],
    );
  });

  test('builds later writes of a task on its own earlier one', async (t) => {
    const device = newDevice(t, url);
    const task = await device.client().create({ title: '0' });
    const local = await device.open();
    await settled(local);
    const held = gate();
    device.network.next('PATCH', '/api/tasks/', async (_, go) => {
      const response = await go();
      await held.opened;
      return response;
    });
    await local.update(task.id, { title: '1' });
    await local.update(task.id, { title: '2' });
    await local.update(task.id, { description: 'And' });
    held.open();
    await settled(local);
    const [shown] = await device.client().list();
    assert.deepEqual([shown?.title, shown?.description], ['2', 'And']);
    assert.deepEqual(device.conflicts, []);
    assert.deepEqual(local.tasks(), [shown]);
  });

  describe('fields of a task', () => {
    const FIELDS = {
      title: ' Call ',
      description: ' ',
      due_date: '2026-11-23',
      due_time: '18:30',
      due_time_zone: 'Europe/Berlin',
      priority: 'high' as const,
      tags: [' Home ', 'Büro'],
    };
    const { title: _, ...EMPTIED } = { ...FIELDS, due_date: null, due_time: null, due_time_zone: null, tags: [] };

    /** Without what only the service knows. */
    const shown = (task: Task | undefined) => ({
      ...task,
      ...{ position: '', created_at: '', updated_at: '', version: 0, completed_at: typeof task?.completed_at },
    });

    /** What is shown of a task before the service has seen `changes` of it, and afterwards. */
    async function beforeAndAfter(t: TestContext, changes: readonly TaskUpdate[], first: TaskCreate | null) {
      const device = newDevice(t, url);
      const there = first === null ? await device.client().create({ ...FIELDS, is_completed: true }) : null;
      const local = await device.open();
      await settled(local);
      device.network.cut();
      await until(local, () => local.status === 'offline');
      await local.create({ title: 'On its way' }); // what follows waits for it
      const { id } = there ?? (await local.create(first ?? FIELDS));
      for (const change of changes) await local.update(id, change);
      const before = local.get(id);
      device.network.restore();
      local.sync();
      await settled(local);
      assert.deepEqual(device.conflicts, []);
      assert.deepEqual(local.get(id), await device.client().get(id));
      const requests = [...device.network.of('PUT', `/api/tasks/${id}`), ...device.network.of('PATCH', '/api/tasks/')];
      return { before, after: local.get(id), bodies: requests.map(({ body }) => JSON.parse(body ?? '')) };
    }

    for (const [what, changes, first] of [
      ['created with all of them', [], FIELDS],
      ['created with none, and completed', [{ is_completed: true }], { title: 'x' }],
      ['created with tags and retagged', [{ add_tags: [' car', 'HOME'], remove_tags: ['büro '] }], FIELDS],
      ['created with others, and given new ones', [{ add_tags: ['a'] }, { tags: ['b'] }, { add_tags: ['c'] }], FIELDS],
      ['emptied', [EMPTIED], null],
      ['given other values', [{ priority: 'low', due_time: '00:00', position: 'a0V', is_completed: false }], null],
      ['retagged', [{ add_tags: ['car', 'bus'] }, { remove_tags: ['CAR', 'Home'] }, { add_tags: ['bike'] }], null],
      ['given the tags that were just removed', [{ remove_tags: ['home'] }, { add_tags: ['HOME'] }], null],
      [
        'retagged more often than one request takes',
        Array.from({ length: 25 }, (_, at) => ({ add_tags: [`${at}`], remove_tags: [`${at - 1}`] })),
        null,
      ],
    ] as const) {
      test(`a task ${what} is shown as the service will make it`, async (t) => {
        const { before, after } = await beforeAndAfter(t, changes, first);
        assert.deepEqual(shown(before), shown(after));
      });
    }

    test('tags added to and removed from a task that is not sent yet are sent with it', async (t) => {
      const changes = [{ add_tags: ['car'] }, { remove_tags: ['home'] }];
      const { after, bodies } = await beforeAndAfter(t, changes, FIELDS);
      assert.deepEqual(bodies, [{ ...FIELDS, title: 'Call', description: null, tags: ['Büro', 'car'] }]);
      assert.deepEqual(after?.tags, ['Büro', 'car']);
    });

    test('tags that two devices add and remove without a network are kept as both want them', async (t) => {
      const one = newDevice(t, url);
      const other = newDevice(t, url, { user: one.user });
      const { id } = await one.client().create({ title: 'x', tags: ['Home', 'later', 'old'] });
      const locals = [await one.open(), await other.open()] as const;
      for (const device of [one, other]) device.decide = () => 'mine';
      for (const local of locals) await settled(local);
      for (const device of [one, other]) device.network.cut();
      await locals[0].update(id, { add_tags: ['Büro'] });
      await locals[0].update(id, { remove_tags: ['LATER'], add_tags: ['car'] });
      await locals[1].update(id, { add_tags: ['CAR', 'bike'], remove_tags: ['old'] });
      for (const [at, device] of [one, other].entries()) {
        device.network.restore();
        locals[at]?.sync();
        const local = locals[at] ?? locals[0];
        await until(local, () => local.pending().length === 0);
      }
      const expected = ['Home', 'Büro', 'car', 'bike'];
      for (const local of locals) await until(local, () => String(local.get(id)?.tags) === String(expected));
      assert.deepEqual((await one.client().get(id)).tags, expected);
      assert.equal(other.conflicts.length, 1);
    });

    test('a time without a date is given back with the field named, and what is decided is sent', async (t) => {
      const device = newDevice(t, url);
      const { id } = await device.client().create({ title: 'x' });
      device.decide = ({ write }) => ({ fields: { ...write.fields, due_date: '2026-11-23' } });
      const local = await device.open();
      await settled(local);
      await local.update(id, { due_time: '18:30' });
      await until(local, () => local.pending().length === 0);
      assert.deepEqual(
        device.conflicts.map(({ status, details }) => [status, details]),
        [[400, [{ field: 'due_time', message: 'Due time needs a due date' }]]],
      );
      const task = await device.client().get(id);
      assert.deepEqual([task.due_date, task.due_time], ['2026-11-23', '18:30']);
    });
  });

  test('clear() leaves nothing', async (t) => {
    const device = newDevice(t, url);
    const local = await device.open();
    await local.create({ title: 'Private' });
    await settled(local);
    let seen = local.tasks();
    local.subscribe(() => {
      seen = local.tasks();
    });
    await local.clear();
    assert.equal(local.status, 'closed');
    assert.deepEqual([local.tasks(), seen, local.pending()], [[], [], []]);
    await assert.rejects(local.create({ title: 'Too late' }), { code: 'CLOSED' });
    device.network.cut();
    const again = await device.open();
    assert.deepEqual([again.tasks(), again.pending()], [[], []]);
  });
});
