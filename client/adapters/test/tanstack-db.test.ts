import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import type { LeaderElection, OnlineDetector, StorageAdapter } from '@tanstack/offline-transactions';
import { newTask } from 'todo-api/client/adapters/tanstack-db';
import { example } from './pages/tanstack-db/example.ts';
import { openTasks } from './pages/tanstack-db/tasks.ts';
import {
  createMany,
  createPlace,
  EMPTIED,
  eventually,
  fieldsOf,
  hasFields,
  STORED,
  startWorld,
  titlesOf,
  until,
  WRITTEN,
} from './world.ts';

type Opened = ReturnType<typeof openTasks>;

function memory(): StorageAdapter & { readonly values: Map<string, string> } {
  const values = new Map<string, string>();
  return {
    values,
    get: async (key) => values.get(key) ?? null,
    set: async (key, value) => void values.set(key, value),
    delete: async (key) => void values.delete(key),
    keys: async () => [...values.keys()],
    clear: async () => values.clear(),
  };
}

/** Tells of its leadership twice, as the one of browsers does: the outbox is then replayed twice. */
const leader: LeaderElection = {
  requestLeadership: async () => true,
  releaseLeadership: () => {},
  isLeader: () => true,
  onLeadershipChange: (callback) => {
    queueMicrotask(() => callback(true));
    return () => {};
  },
};

class Online implements OnlineDetector {
  isThere = true;
  readonly #listeners = new Set<() => void>();

  subscribe(callback: () => void) {
    this.#listeners.add(callback);
    return () => void this.#listeners.delete(callback);
  }

  notifyOnline() {
    this.isThere = true;
    for (const listener of this.#listeners) listener();
  }

  isOnline = () => this.isThere;
  dispose() {}
}

const until$ = ({ tasks }: Opened, holds: () => boolean) =>
  until(holds, (look) => {
    const subscription = tasks.subscribeChanges(look, { includeInitialState: true });
    return () => subscription.unsubscribe();
  });
const hasTitles = (opened: Opened, titles: readonly string[]) =>
  until$(opened, () => String(titlesOf(opened.tasks.toArray)) === String(titles));

describe('TanStack DB', () => {
  const { device, restoreBackup, admin } = startWorld();

  /** An application on a device of `user`; `storage` is what it finds there. */
  function start(t: TestContext, { user, storage = memory() }: { user?: string; storage?: StorageAdapter } = {}) {
    const local = device(t, user);
    const online = new Online();
    const client = local.client();
    const opened = openTasks(client, { storage, leaderElection: leader, onlineDetector: online, jitter: false });
    const end = async () => {
      opened.outbox.dispose();
      await opened.tasks.cleanup();
    };
    t.after(end);
    const load = async () => {
      opened.tasks.subscribeChanges(() => {}); // without a subscriber a timer of five minutes runs
      await opened.tasks.preload();
    };
    return { ...opened, local, online, storage, client, user: local.user, load, end };
  }

  test('the example of the page creates, completes and deletes a task', async (t) => {
    const app = start(t);
    await example(app);
    assert.deepEqual(titlesOf(await app.client.list()), []);
    assert.deepEqual(titlesOf(await app.client.deleted()), ['Buy oat milk']);
    assert.equal(app.tasks.size, 0);
  });

  test('has everything that is there, of several pages, and then what others create, change and delete', async (t) => {
    const app = start(t);
    const other = device(t, app.user).client();
    await createMany(other, 1001);
    await app.load();
    assert.equal(app.tasks.size, 1001);
    const [first] = app.tasks.toArray;
    const created = await other.create({ title: 'new' });
    await other.patch(created.id, { title: 'newer' });
    await other.delete(first?.id ?? '');
    await until$(app, () => app.tasks.get(created.id)?.title === 'newer' && !app.tasks.has(first?.id ?? ''));
    assert.equal(app.tasks.size, 1001);
  });

  test('shows a write at once, and afterwards the task as the service has it', async (t) => {
    const app = start(t);
    await app.load();
    const task = newTask({ title: '  Oat milk ' });
    const saved = app.save(() => app.tasks.insert(task));
    await until$(app, () => app.tasks.get(task.id)?.version === 0);
    await saved;
    assert.deepEqual([app.tasks.get(task.id)?.title, app.tasks.get(task.id)?.user_id], ['Oat milk', app.user]);
  });

  test('waits for a new token with a write whose token has expired, instead of dropping it', async (t) => {
    const app = start(t);
    await app.load();
    app.local.claims = { exp: 1 };
    app.client.http.token.discard(await app.client.http.token.get());
    const saved = app.save(() => app.tasks.insert(newTask({ title: 'kept' })));
    const refused = () => app.local.network.of('POST', '/api/batch').length > 3;
    await eventually(refused);
    app.local.claims = {};
    await saved;
    assert.deepEqual(titlesOf(await app.client.list()), ['kept']);
  });

  test('keeps a write that a proxy answers with 401 or 403 in an error page', async (t) => {
    const app = start(t);
    await app.load();
    app.local.network.answer('POST', '/api/batch', 403);
    app.local.network.answer('POST', '/api/batch', 401, {}, 3);
    await app.save(() => app.tasks.insert(newTask({ title: 'kept' })));
    assert.deepEqual(titlesOf(await app.client.list()), ['kept']);
  });

  test('executes a transaction once that is replayed twice after a reload', async (t) => {
    const app = start(t);
    await app.load();
    app.local.network.loseAnswers('POST', '/api/batch', 100);
    const { id } = await app.client.create({ title: 'counted' });
    await until$(app, () => app.tasks.has(id));
    void app.save(() => {
      app.tasks.update(id, (draft) => {
        draft.title = 'mine';
      });
    });
    await eventually(() => app.local.network.of('POST', '/api/batch').length >= 4);
    await app.end();
    const other = device(t, app.user).client();
    await other.patch(id, { title: 'theirs, later' });

    const again = start(t, { user: app.user, storage: app.storage });
    await again.outbox.waitForInit();
    await again.load();
    await hasTitles(again, ['theirs, later']);
    await eventually(() => again.outbox.getPendingCount() === 0);
    assert.ok(again.local.network.of('POST', '/api/batch').length >= 2, 'replayed twice');
    assert.deepEqual(titlesOf(await other.list()), ['theirs, later']);
    assert.deepEqual(await again.outbox.peekOutbox(), []);
  });

  test('merges what two devices did offline: different fields of a task, creations, a deletion', async (t) => {
    const one = start(t);
    const other = start(t, { user: one.user });
    const [shared, removed] = [
      await one.client.create({ title: 'shared' }),
      await one.client.create({ title: 'gone' }),
    ];
    for (const app of [one, other]) {
      await app.load();
      await hasTitles(app, ['gone', 'shared']);
      app.local.network.cut();
      app.online.isThere = false;
    }
    const saved = [
      one.save(() =>
        one.tasks.update(shared.id, (draft) => {
          draft.title = 'renamed';
        }),
      ),
      one.save(() => one.tasks.insert(newTask({ title: 'of one' }))),
      other.save(() =>
        other.tasks.update(shared.id, (draft) => {
          draft.is_completed = true;
        }),
      ),
      other.save(() => other.tasks.insert(newTask({ title: 'of the other' }))),
      other.save(() => other.tasks.delete(removed.id)),
    ];
    await eventually(() => one.outbox.getPendingCount() === 2 && other.outbox.getPendingCount() === 3);
    assert.deepEqual(titlesOf(one.tasks.toArray), ['gone', 'of one', 'renamed']);
    for (const app of [one, other]) {
      app.local.network.restore();
      app.online.notifyOnline();
    }
    await Promise.all(saved);
    for (const app of [one, other]) {
      await hasTitles(app, ['of one', 'of the other', 'renamed']);
      await until$(app, () => app.tasks.get(shared.id)?.is_completed === true);
    }
  });

  test('carries every field of a task there and back, also what is written without a network', async (t) => {
    const app = start(t);
    const other = device(t, app.user).client();
    await app.load();
    const offline = async (change: () => void) => {
      app.local.network.cut();
      app.online.isThere = false;
      const saved = app.save(change);
      await eventually(() => app.outbox.getPendingCount() === 1);
      app.local.network.restore();
      app.online.notifyOnline();
      await saved;
    };
    await createPlace(other);
    const task = newTask(WRITTEN);
    await offline(() => app.tasks.insert(task));
    assert.deepEqual(fieldsOf(await other.get(task.id)), STORED);
    assert.equal(app.tasks.get(task.id)?.completed_at, (await other.get(task.id)).completed_at);
    await other.patch(task.id, EMPTIED);
    await until$(app, () => hasFields(app.tasks.get(task.id), EMPTIED));
    await offline(() => app.tasks.update(task.id, (draft) => void Object.assign(draft, WRITTEN)));
    assert.deepEqual(fieldsOf(await other.get(task.id)), STORED);
    await offline(() => app.tasks.update(task.id, (draft) => void Object.assign(draft, EMPTIED)));
    assert.deepEqual(fieldsOf(await other.get(task.id)), EMPTIED);
    await offline(() => app.tasks.insert([newTask({ title: 'without a place' }), newTask({ title: 'nor this' })]));
    const positions = (await other.list()).map(({ position }) => position);
    assert.deepEqual(positions, [...new Set(positions)].sort().reverse());
    assert.deepEqual(
      positions.filter((position) => !position.startsWith('a')),
      [],
    );
  });

  test('tells of a write that the service refuses, and shows the task as it is there', async (t) => {
    const app = start(t);
    const { id } = await app.client.create({ title: 'right' });
    await app.load();
    const saved = app.save(() =>
      app.tasks.update(id, (draft) => {
        draft.title = ' ';
      }),
    );
    await assert.rejects(saved, { message: 'Validation failed' });
    assert.equal(app.tasks.get(id)?.title, 'right');
    assert.deepEqual(await app.outbox.peekOutbox(), []);
  });

  test('has nothing left over after a restore of a database that moved on, and keeps what is unsent', async (t) => {
    const app = start(t);
    const old = await app.client.create({ title: 'old' });
    const lost = await app.client.create({ title: 'lost' });
    await app.client.patch(old.id, { title: 'changed since' });
    await app.load();
    await hasTitles(app, ['changed since', 'lost']);
    app.local.network.cut();
    app.online.isThere = false;
    const saved = app.save(() => app.tasks.insert(newTask({ title: 'unsent' })));
    await eventually(() => app.outbox.getPendingCount() === 1);
    await restoreBackup(
      app.user,
      `delete from todo.tasks where id = '${lost.id}'; update todo.tasks set title = 'old' where id = '${old.id}'`,
    );
    app.local.network.restore();
    app.online.notifyOnline();
    await saved;
    await hasTitles(app, ['old', 'unsent']);
    const answers = await admin(`select count(*)::int from todo.tasks where user_id = '${app.user}'`);
    assert.deepEqual(answers.rows, [{ count: 2 }]);
  });
});
