import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Arrival, type Change, changes, events, TodoApiError, type TodoClient } from '../client/dist/index.js';
import { newDevice } from './support/mirrors.ts';
import { ANY_DATABASE, type Service, startService } from './support/service.ts';
import { listen } from './support/socket.ts';

/** The answer with its body in pieces of one byte. */
function inBytes(response: Response): Response {
  const split = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      for (const byte of chunk) controller.enqueue(Uint8Array.of(byte));
    },
  });
  return new Response(response.body?.pipeThrough(split), { status: response.status, headers: response.headers });
}

/** The answer with its body in one piece up to `part`, then as it comes. */
function joined(response: Response, part: string): Response {
  const decoder = new TextDecoder();
  const encoder = new TextEncoder();
  let held: string | null = '';
  const join = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      const text = decoder.decode(chunk, { stream: true });
      if (held === null) return controller.enqueue(chunk);
      held += text;
      if (!held.includes(part)) return;
      controller.enqueue(encoder.encode(held));
      held = null;
    },
  });
  return new Response(response.body?.pipeThrough(join), { status: response.status, headers: response.headers });
}

/** The end of what has been there so far. */
async function cursorNow(client: TodoClient): Promise<string> {
  let cursor = '';
  for await (const page of changes(client)) cursor = page.cursor;
  return cursor;
}

const titleOf = (change: Change) => (change.type === 'task' ? change.task?.title : undefined);

/** Reads arrivals until they hold `count` changes. */
async function read(source: AsyncGenerator<Arrival>, count: number) {
  const found: { title: string | undefined; deleted: boolean }[] = [];
  while (found.length < count) {
    const { value, done } = await source.next();
    if (done === true) throw new Error('The events ended');
    found.push(...value.changes.map((change) => ({ title: titleOf(change), deleted: change.deleted })));
  }
  return found.map(({ title, deleted }) => (deleted ? `-${title}` : title));
}

describe("the client's events and changes", () => {
  let service: Service;
  let url: string;
  before(async () => {
    service = await startService(ANY_DATABASE);
    url = `http://127.0.0.1:${await listen(service.app)}`;
  });
  after(() => service.close());

  test('follow the pages of changes from a cursor to the newest', async (t) => {
    const client = newDevice(t, url).client();
    for (const title of ['1', '2', '3']) await client.create({ title });
    const pages: string[][] = [];
    let cursor = '';
    for await (const page of changes(client, { limit: 2 })) {
      pages.push(page.changes.map((change) => titleOf(change) ?? ''));
      cursor = page.cursor;
    }
    assert.deepEqual(pages, [['1', '2'], ['3']]);
    await client.create({ title: '4' });
    for await (const page of changes(client, { cursor }))
      pages.push(page.changes.map((change) => titleOf(change) ?? ''));
    assert.deepEqual(pages.at(-1), ['4']);
  });

  test('arrive whole, however the stream is split', async (t) => {
    const device = newDevice(t, url);
    const client = device.client();
    device.network.next('GET', '/api/events', async (_, go) => inBytes(await go()));
    const arriving = events(client);
    await client.create({ title: '🥛 with\nlines' });
    assert.deepEqual(await read(arriving, 1), ['🥛 with\nlines']);
    await arriving.return();
  });

  test('are known to be complete although a change arrives together with that news', async (t) => {
    const device = newDevice(t, url);
    const client = device.client();
    await client.create({ title: '1' });
    const other = newDevice(t, url, { user: device.user }).client();
    device.network.next('GET', '/api/events', async (_, go) => {
      const response = await go();
      await other.create({ title: '2' });
      return joined(response, '"title":"2"');
    });
    const arriving = events(client);
    const { value } = await arriving.next();
    assert.equal(value?.synced, true);
    assert.equal(value?.changes.length, 2);
    await arriving.return();
  });

  test('are resumed after a lost connection, each once', async (t) => {
    const device = newDevice(t, url);
    const client = device.client();
    const other = newDevice(t, url, { user: device.user }).client();
    const arriving = events(client, { cursor: await cursorNow(client) });
    const first = await other.create({ title: '1' });
    assert.deepEqual(await read(arriving, 1), ['1']);
    device.network.cut();
    await other.create({ title: '2' });
    await other.delete(first.id);
    const rest = read(arriving, 2);
    device.network.restore();
    assert.deepEqual(await rest, ['2', '-1']);
    await other.create({ title: '3' });
    assert.deepEqual(await read(arriving, 1), ['3']);
    const [begin, ...resumed] = device.network.of('GET', '/api/events');
    assert.ok(begin !== undefined && resumed.length > 0);
    assert.ok(resumed.every(({ headers }) => headers['last-event-id'] !== begin.headers['last-event-id']));
    await arriving.return();
  });

  test('come by waiting requests after three streams that were closed at once', async (t) => {
    const device = newDevice(t, url);
    const client = device.client();
    const closed = async () => new Response('', { headers: { 'Content-Type': 'text/event-stream' } });
    device.network.next('GET', '/api/events', closed, 100);
    const arriving = events(client, { cursor: await cursorNow(client) });
    const found = read(arriving, 1);
    await client.create({ title: 'By waiting' });
    assert.deepEqual(await found, ['By waiting']);
    assert.equal(device.network.of('GET', '/api/events').length, 3);
    assert.ok(device.network.of('GET', '/api/changes').some(({ path }) => path.includes('wait=25')));
    const next = read(arriving, 1);
    await client.create({ title: 'Again' });
    assert.deepEqual(await next, ['Again']);
    await arriving.return();
  });

  test('go on with a new token when the old one is rejected', async (t) => {
    const device = newDevice(t, url);
    device.claims = { iat: undefined, exp: Math.floor(Date.now() / 1000) - 3600 };
    const client = device.client();
    const arriving = events(client);
    const found = read(arriving, 1);
    device.claims = {};
    await client.create({ title: 'Seen' });
    assert.deepEqual(await found, ['Seen']);
    await arriving.return();
  });

  test('end when their signal is aborted', async (t) => {
    const client = newDevice(t, url).client();
    const controller = new AbortController();
    const arriving = events(client, { signal: controller.signal });
    await arriving.next();
    const next = arriving.next();
    controller.abort();
    assert.equal((await next).done, true);
  });

  test('of an expired cursor are refused with 410', async (t) => {
    const client = newDevice(t, url).client();
    await client.create({ title: 'Mine' });
    const other = newDevice(t, url).client();
    await other.create({ title: "Another's" });
    await assert.rejects(events(client, { cursor: await cursorNow(other) }).next(), (error) => {
      assert.ok(error instanceof TodoApiError);
      assert.deepEqual([error.status, error.code], [410, 'CURSOR_EXPIRED']);
      return true;
    });
  });
});
