import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { createClient, TodoApiError } from '../client/dist/index.js';
import { Network } from './support/network.ts';
import { ANY_DATABASE, type Service, signToken, startService } from './support/service.ts';
import { listen } from './support/socket.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const newUser = () => `user_${randomBytes(8).toString('hex')}`;
const isError = (status: number, code: string) => (error: unknown) => {
  assert.ok(error instanceof TodoApiError);
  assert.deepEqual([error.status, error.code], [status, code]);
  return true;
};

describe('the client', () => {
  let service: Service;
  let url: string;
  before(async () => {
    service = await startService(ANY_DATABASE);
    url = `http://127.0.0.1:${await listen(service.app)}`;
  });
  after(() => service.close());

  /** A client of a new user, or of `user`, and the network it uses. */
  function open(user = newUser(), claims: Record<string, unknown> = {}) {
    const network = new Network();
    const tokens = { given: 0, claims };
    const token = () => {
      tokens.given += 1;
      return signToken(user, tokens.claims);
    };
    return { user, network, tokens, client: createClient({ url, token, fetch: network.fetch, retryMs: 1 }) };
  }

  test('calls every route of a task', async () => {
    const { client, user, tokens } = open();
    const task = await client.create({ title: ' 🥛 Buy oat milk ' });
    assert.deepEqual([task.title, task.user_id, task.deleted_at], ['🥛 Buy oat milk', user, null]);
    assert.deepEqual(await client.get(task.id), task);
    assert.deepEqual(await client.list(), [task]);
    assert.equal((await client.put(task.id, { description: 'Two' })).description, 'Two');
    assert.equal((await client.patch(task.id, { title: 'Milk' })).title, 'Milk');
    assert.equal((await client.toggle(task.id)).is_completed, true);
    assert.equal((await client.delete(task.id)).id, task.id);
    assert.deepEqual(await client.list(), []);
    assert.deepEqual(
      (await client.deleted()).map(({ id }) => id),
      [task.id],
    );
    assert.equal((await client.restore(task.id)).deleted_at, null);
    await client.delete(task.id, { permanent: true });
    assert.deepEqual(await client.deleted(), []);
    assert.equal(tokens.given, 1);
  });

  test('reads pages of the tasks that are asked for, and counts', async () => {
    const { client } = open();
    for (const title of ['c', 'b', 'a']) await client.create({ title, tags: ['x', 'y & z'], due_date: '2000-01-01' });
    await client.create({ title: 'another' });
    const asked = {
      sort: 'title',
      tag: ['X', 'y & z'],
      is_completed: false,
      view: 'overdue',
      time_zone: 'Asia/Tokyo',
    } as const;
    const first = await client.page({ ...asked, limit: 2 });
    assert.deepEqual(
      first.tasks.map(({ title }) => title),
      ['a', 'b'],
    );
    const { next_cursor: cursor = '' } = first;
    const rest = await client.page({ ...asked, cursor });
    assert.deepEqual([rest.tasks.map(({ title }) => title), rest.next_cursor], [['c'], undefined]);
    assert.deepEqual((await client.page({ q: 'ano' })).tasks.length, 1);
    assert.equal((await client.page()).tasks.length, 4);
    const { open: number, overdue, tags } = await client.counts({ timeZone: 'Asia/Tokyo' });
    assert.deepEqual([number, overdue, tags], [4, 3, { x: 3, 'y & z': 3 }]);
  });

  test('creates a task under an id of its own, once', async () => {
    const { client } = open();
    const id = '0199d3a4-7c1e-7b52-9d0f-3a2b1c4d5e6f';
    const task = await client.create({ id, title: 'Mine' });
    assert.equal(task.id, id);
    await assert.rejects(client.create({ id, title: 'Another' }), (error) => {
      assert.ok(error instanceof TodoApiError);
      assert.deepEqual([error.status, error.code, error.current], [412, 'PRECONDITION_FAILED', task]);
      return true;
    });
  });

  test('changes nothing if the task is not at the version asked for, and says how it is now', async () => {
    const { client } = open();
    const task = await client.create({ title: 'First' });
    const now = await client.patch(task.id, { title: 'Second' }, { ifMatch: task.version });
    const late = client.patch(task.id, { title: 'Third' }, { ifMatch: task.version });
    await assert.rejects(late, (error) => {
      assert.ok(error instanceof TodoApiError);
      assert.deepEqual([error.status, error.current], [412, now]);
      return true;
    });
  });

  test('reads an unchanged list and task without their content', async () => {
    const { client, network } = open();
    const task = await client.create({ title: 'Unchanged' });
    const statuses: number[] = [];
    for (const path of ['/api/tasks', '/api/tasks/']) {
      network.next(
        'GET',
        path,
        async (_, go) => {
          const response = await go();
          statuses.push(response.status);
          return response;
        },
        10,
      );
    }
    assert.deepEqual([await client.list(), await client.list()], [[task], [task]]);
    assert.deepEqual([await client.get(task.id), await client.get(task.id)], [task, task]);
    assert.deepEqual(statuses, [200, 304, 200, 304]);
    const changed = await client.patch(task.id, { title: 'Changed' });
    assert.deepEqual([await client.list(), await client.get(task.id)], [[changed], changed]);
  });

  test('executes a write once whose answers are lost', async () => {
    const { client, network } = open();
    network.loseAnswers('POST', '/api/tasks', 2);
    const task = await client.create({ title: 'Once' });
    network.loseAnswers('POST', `/api/tasks/${task.id}/toggle`);
    assert.equal((await client.toggle(task.id)).is_completed, true);
    network.loseAnswers('DELETE', '/api/tasks/');
    await client.delete(task.id);
    assert.deepEqual(await client.list(), []);
    const keys = network.of('POST', '/api/tasks').map(({ headers }) => headers['idempotency-key']);
    assert.equal(keys.length, 5);
    assert.equal(new Set(keys).size, 2);
    assert.equal((await client.deleted()).length, 1);
  });

  for (const status of [429, 502, 503, 504]) {
    test(`tries again after ${status}`, async () => {
      const { client, network } = open();
      network.answer('POST', '/api/tasks', status, { 'Retry-After': '0' }, 2);
      await client.create({ title: 'At last' });
      assert.equal((await client.list()).length, 1);
    });
  }

  test('reports the failure when the service stays away, and does not try for ever', async () => {
    const { client, network } = open();
    network.cut();
    await assert.rejects(client.list(), isError(0, 'NETWORK'));
    assert.equal(network.sent.length, 4);
    network.restore();
    network.answer('GET', '/api/tasks', 503, {}, 4);
    await assert.rejects(client.list(), isError(503, 'UNKNOWN'));
  });

  test('does not repeat what the service refused', async () => {
    const { client, network } = open();
    await assert.rejects(client.create({ title: ' ' }), (error) => {
      assert.ok(error instanceof TodoApiError);
      assert.deepEqual(error.details, [{ field: 'title', message: 'Title cannot be empty' }]);
      return isError(400, 'VALIDATION_ERROR')(error);
    });
    assert.equal(network.sent.length, 1);
  });

  test('asks for a token once for five calls at once', async () => {
    const { client, tokens } = open();
    await Promise.all([1, 2, 3, 4, 5].map((number) => client.create({ title: `${number}` })));
    assert.equal(tokens.given, 1);
  });

  test('sends a write again with a new token if the first has expired, and with the same key', async () => {
    const now = Math.floor(Date.now() / 1000);
    const { client, tokens, network } = open(newUser(), { iat: undefined, exp: now - 3600 });
    const created = client.create({ title: 'Kept' });
    tokens.claims = {};
    await created;
    const sent = network.of('POST', '/api/tasks');
    assert.equal(new Set(sent.map(({ headers }) => headers['idempotency-key'])).size, 1);
    assert.equal((await client.list()).length, 1);
  });

  test('reports 401 once two tokens in a row were rejected', async () => {
    const now = Math.floor(Date.now() / 1000);
    const { client, tokens } = open(newUser(), { iat: undefined, exp: now - 3600 });
    await assert.rejects(client.list(), isError(401, 'TOKEN_EXPIRED'));
    assert.equal(tokens.given, 2);
    tokens.claims = {};
    assert.deepEqual(await client.list(), []);
  });

  for (const [direction, offset] of [
    ['behind', -DAY_MS],
    ['ahead', DAY_MS],
  ] as const) {
    test(`renews its token in time on a device whose clock is a day ${direction}`, async (t) => {
      const nowMs = Date.now();
      const at = { ms: 0 };
      const other = await startService(ANY_DATABASE, { clock: () => nowMs - offset + at.ms });
      t.after(() => other.close());
      const origin = `http://127.0.0.1:${await listen(other.app)}`;
      let given = 0;
      const answers: number[] = [];
      const client = createClient({
        url: origin,
        token: () => {
          given += 1;
          const iat = Math.floor((nowMs - offset + at.ms) / 1000);
          return signToken('somebody', { iat, exp: iat + 600 });
        },
        fetch: async (...request) => {
          const response = await fetch(...request);
          answers.push(response.status);
          const headers = new Headers(response.headers);
          headers.set('Date', new Date(nowMs - offset + at.ms).toUTCString());
          return new Response(response.body, { status: response.status, headers });
        },
      });
      await client.list();
      await client.list();
      assert.equal(given, 1);
      at.ms = 9 * 60_000;
      await client.list(); // from its answer the client learns that nine minutes have passed
      at.ms = 11 * 60_000;
      t.mock.method(Date, 'now', () => nowMs + at.ms);
      await client.list();
      assert.equal(given, 2);
      assert.ok(!answers.includes(401), String(answers));
    });
  }

  test('refuses a token of another user', async () => {
    const network = new Network();
    let user = newUser();
    const client = createClient({ url, fetch: network.fetch, token: () => signToken(user, { exp: 9_999_999_999 }) });
    await client.create({ title: "Ann's" });
    user = newUser();
    network.answer('GET', '/api/tasks', 401);
    await assert.rejects(client.list(), isError(0, 'USER_CHANGED'));
    await assert.rejects(client.list(), isError(0, 'USER_CHANGED'));
    assert.equal(network.of('GET', '/api/tasks').length, 1);
  });

  test('says that there is no token if the function fails', async () => {
    const client = createClient({ url, token: () => Promise.reject(new Error('Not signed in')) });
    await assert.rejects(client.list(), isError(0, 'TOKEN'));
  });

  test('ends a call whose signal is aborted', async () => {
    const { client, network } = open();
    const controller = new AbortController();
    network.next('GET', '/api/tasks', async (_, go) => {
      controller.abort(new Error('No longer wanted'));
      return go();
    });
    await assert.rejects(client.list({ signal: controller.signal }), /No longer wanted/);
    assert.equal(network.sent.length, 1);
  });

  test('sends a batch once, each operation with its own result', async () => {
    const { client, network } = open();
    const [first, second] = [await client.create({ title: 'First' }), await client.create({ title: 'Second' })];
    network.loseAnswers('POST', '/api/batch');
    const { results } = await client.batch([
      { op: 'create', title: 'Third' },
      { op: 'update', id: first.id, if_version: first.version + 100, title: 'Never' },
      { op: 'toggle', id: second.id },
    ]);
    assert.deepEqual(
      results.map(({ status }) => status),
      [201, 412, 200],
    );
    assert.equal(results[2]?.task?.is_completed, true);
    assert.equal((await client.list()).length, 3);
    await assert.rejects(
      client.batch(
        [
          { op: 'create', title: 'Never' },
          { op: 'delete', id: first.id, if_version: 1_000_000 },
        ],
        { atomic: true },
      ),
      isError(412, 'PRECONDITION_FAILED'),
    );
    assert.equal((await client.list()).length, 3);
  });
});
