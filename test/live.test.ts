import assert from 'node:assert/strict';
import { once } from 'node:events';
import { afterEach, before, test } from 'node:test';
import { TASK_COLUMNS } from '../dist/changes/change-sql.js';
import { AppError } from '../dist/core/errors.js';
import { apply, type Change, changesOf } from './support/changes.ts';
import { assertError } from './support/envelope.ts';
import { EventClient } from './support/event-client.ts';
import { onAnyDatabase, onEachDatabase, type Person, type Service, startService } from './support/service.ts';
import { listen, open, readAll, wire } from './support/socket.ts';
import { statement } from './support/statements.ts';
import { stubDatabase } from './support/stub-database.ts';
import { TestClock } from './support/tokens.ts';

const clients: EventClient[] = [];
afterEach(() => {
  for (const client of clients.splice(0)) client.close();
});

async function follow(
  origin: string,
  person: Person,
  from: { readonly cursor?: string; readonly lastId?: string | undefined } = {},
): Promise<EventClient> {
  const client = await EventClient.open(origin, person.token, from);
  clients.push(client);
  return client;
}

const ids = (client: EventClient) => client.changes.map(({ id }) => id);

onEachDatabase('the event stream', (service) => {
  let origin = '';
  before(async () => {
    origin = `http://127.0.0.1:${await listen(service().app)}`;
  });

  test('everything that is there, then synced, then each change as in /api/changes; every event has a cursor', async () => {
    const person = await service().person();
    const there = await person.create('there');
    const client = await follow(origin, person);
    await client.synced();
    assert.deepEqual(
      client.events.map(({ event }) => event),
      ['change', 'synced'],
    );
    assert.equal(client.events[1]?.data, `{"version":${there.version}}`);
    const task = await person.create('live');
    await client.until(({ changes }) => changes.length === 2);
    await person.send('DELETE', `/api/tasks/${there.id}`);
    await client.until(({ changes }) => changes.length === 3);
    const { changes } = await changesOf(person, { cursor: client.events[1]?.id ?? '' });
    assert.deepEqual(client.changes.slice(1), changes);
    assert.deepEqual(client.changes[1]?.task, task);
    for (const { id } of client.events) assert.match(id ?? '', /^[\w-]+$/);
    assert.equal(client.events.filter(({ event }) => event === 'synced').length, 1);
  });

  test('headers: an event stream that is neither stored, buffered nor compressed; retry differs', async () => {
    const person = await service().person();
    const several = await Promise.all(Array.from({ length: 5 }, () => follow(origin, person)));
    for (const client of several) {
      await client.synced();
      const { headers } = client.response;
      assert.equal(headers['content-type'], 'text/event-stream');
      assert.equal(headers['cache-control'], 'no-store');
      assert.equal(headers['x-accel-buffering'], 'no');
      assert.equal(headers['content-encoding'], undefined);
      assert.match(String(headers['x-request-id']), /./);
      assert.ok(client.retry !== null && client.retry >= 1_000 && client.retry <= 5_000);
    }
    assert.ok(new Set(several.map(({ retry }) => retry)).size > 1);
  });

  test('from a cursor, or behind the last event, only what is new; the last event wins', async () => {
    const person = await service().person();
    const [first, second, third] = [await person.create('1'), await person.create('2'), await person.create('3')];
    const { cursor } = await changesOf(person, { limit: 1 });
    const behind = await changesOf(person, { limit: 2 });
    const [all, fromCursor, resumed] = await Promise.all([
      follow(origin, person),
      follow(origin, person, { cursor }),
      follow(origin, person, { cursor, lastId: behind.cursor }),
    ]);
    await Promise.all([all.synced(), fromCursor.synced(), resumed.synced()]);
    assert.deepEqual(ids(all), [first.id, second.id, third.id]);
    assert.deepEqual(ids(fromCursor), [second.id, third.id]);
    assert.deepEqual(ids(resumed), [third.id]);
  });

  test('an expired cursor is 410 before the stream starts, a faulty one 400', async () => {
    const person = await service().person();
    await person.create('there');
    const other = await service().person();
    await other.create('theirs');
    const { cursor } = await changesOf(other);
    const refused = await person.send('GET', `/api/events?cursor=${cursor}`);
    assertError(refused, 410, 'CURSOR_EXPIRED', 'Start again without a cursor');
    const resumed = await person.send('GET', '/api/events', undefined, { 'last-event-id': cursor });
    assertError(resumed, 410, 'CURSOR_EXPIRED', 'Start again without a cursor');
    for (const [url, headers, field] of [
      ['/api/events?cursor=x', {}, 'cursor'],
      ['/api/events?wait=1', {}, 'wait'],
      ['/api/events', { 'last-event-id': 'x' }, 'last-event-id'],
    ] as const) {
      const answer = await person.send('GET', url, undefined, headers);
      assert.deepEqual(
        [answer.statusCode, answer.json<{ details: { field: string }[] }>().details[0]?.field],
        [400, field],
      );
    }
  });

  test('HEAD answers with the headers alone, and 410 as GET does', async () => {
    const person = await service().person();
    const answer = await fetch(`${origin}/api/events`, {
      method: 'HEAD',
      headers: { authorization: `Bearer ${person.token}` },
    });
    assert.deepEqual([answer.status, answer.headers.get('content-type')], [200, 'text/event-stream']);
    assert.equal(await answer.text(), '');
  });

  test('a stream that is interrupted again and again misses nothing and repeats nothing, while several write', async () => {
    const person = await service().person();
    let writing = 3;
    const write = async (writer: number) => {
      for (let index = 0; index < 25; index += 1) {
        const { id } = await person.create(`${writer}.${index}`);
        if (index % 3 > 0) await person.send('PATCH', `/api/tasks/${id}`, { title: `${writer}.${index} renamed` });
        if (index % 5 === 0) await person.send('DELETE', `/api/tasks/${id}`);
      }
      writing -= 1;
    };
    const written = Promise.all([write(1), write(2), write(3)]);
    const seen: Change[] = [];
    let lastId: string | undefined;
    for (let isLast = false; !isLast; ) {
      isLast = writing === 0;
      const client = await follow(origin, person, { lastId });
      if (isLast) await client.synced();
      else await client.until(({ changes }) => changes.length >= 3 || writing === 0);
      client.close();
      await client.ended();
      seen.push(...client.changes);
      lastId = client.lastId ?? lastId;
    }
    await written;
    const versions = seen.map(({ version }) => version);
    assert.deepEqual(
      versions,
      [...new Set(versions)].sort((a, b) => a - b),
    );
    const byId = (a: { id: string }, b: { id: string }) => (a.id < b.id ? -1 : 1);
    assert.deepEqual([...apply(seen).values()].sort(byId), (await person.list()).sort(byId));
  });

  test('a first copy of many tasks that is interrupted goes on where it was, and shows what is deleted meanwhile', async () => {
    const person = await service().person();
    const description = '\u0001'.repeat(2_000);
    const tasks = await Promise.all(Array.from({ length: 150 }, (_, n) => person.create(`${n}`, { description })));
    const byVersion = tasks.toSorted((a, b) => a.version - b.version).map(({ id }) => id);
    const first = await follow(origin, person);
    await first.until(({ changes }) => changes.length >= 10);
    first.response.pause();
    first.close();
    const [gone] = byVersion;
    await person.send('DELETE', `/api/tasks/${gone}`);
    const rest = await follow(origin, person, { lastId: first.lastId });
    await rest.synced();
    assert.deepEqual([...ids(first), ...ids(rest)], [...byVersion, gone]);
    assert.equal(rest.changes.at(-1)?.deleted, true);
  });

  test('streams and waiting requests show their own user’s changes alone', async () => {
    const [one, other] = [await service().person(), await service().person()];
    const [ofOne, ofOther] = [await follow(origin, one), await follow(origin, other)];
    await Promise.all([ofOne.synced(), ofOther.synced()]);
    const created = await Promise.all(Array.from({ length: 20 }, (_, n) => (n % 2 === 0 ? one : other).create(`${n}`)));
    await Promise.all([ofOne, ofOther].map((client) => client.until(({ changes }) => changes.length === 10)));
    for (const [client, { sub }] of [
      [ofOne, one],
      [ofOther, other],
    ] as const) {
      assert.ok(client.changes.every(({ task }) => task?.user_id === sub));
    }
    assert.equal(new Set([...ids(ofOne), ...ids(ofOther)]).size, created.length);
  });

  test('a restored database ends the stream, and the client learns by 410 to start again', async () => {
    const person = await service().person();
    await person.create('there');
    const client = await follow(origin, person);
    await client.synced();
    const restore = 'update todo.users set epoch = gen_random_uuid(), version = version + 4294967296 where id = $1';
    await service().opened.database.transaction({ kind: 'admin' }, [statement(restore, [person.sub])]);
    await client.ended();
    assert.equal(client.events.at(-1)?.event, 'synced');
    const refused = await person.send('GET', `/api/events?cursor=${client.lastId}`);
    assertError(refused, 410, 'CURSOR_EXPIRED', 'Start again without a cursor');
  });

  test('what is changed past the service, by a restore or psql, is seen too', async () => {
    const person = await service().person();
    const task = await person.create('there');
    const client = await follow(origin, person);
    await client.synced();
    const change = "update todo.tasks set title = 'from psql' where user_id = $1";
    await service().opened.database.transaction({ kind: 'admin' }, [statement(change, [person.sub])]);
    await client.until(({ changes }) => changes.at(-1)?.task?.title === 'from psql');
    assert.deepEqual(ids(client), [task.id, task.id]);
  });

  test('20 streams and waiting requests of a user; the next is 429, others are not kept, and ordinary requests go on', async () => {
    const person = await service().person();
    const { cursor } = await changesOf(person);
    const several = await Promise.all(Array.from({ length: 19 }, () => follow(origin, person)));
    await Promise.all(several.map((client) => client.synced()));
    const waiting = person.send('GET', `/api/changes?cursor=${cursor}&wait=25`);
    const metrics = async () => (await fetch(`${origin}/metrics`)).text();
    while (!/^http_long_requests 20$/m.test(await metrics()));
    const refused = await person.send('GET', `/api/changes?cursor=${cursor}&wait=1`);
    assertError(refused, 429, 'RATE_LIMITED', 'Too many requests');
    assert.match(String(refused.headers['retry-after']), /^[1-9]\d*$/);
    assert.equal((await person.send('GET', '/api/events')).statusCode, 429);
    const other = await service().person();
    await (await follow(origin, other)).synced();
    await person.create('seen by all');
    assert.equal((await waiting).json<{ changes: unknown[] }>().changes.length, 1);
    await Promise.all(several.map((client) => client.until(({ changes }) => changes.length === 1)));
  });
});

onAnyDatabase('a stream on a connection with other requests', (service) => {
  test('a request behind a stream or a waiting one on its connection ends that one, and is answered', async () => {
    const person = await service().person();
    await person.create('there');
    const { cursor } = await changesOf(person);
    const port = await listen(service().app);
    const get = (path: string, more = {}) => wire('GET', path, { Authorization: `Bearer ${person.token}`, ...more });
    const waiting = get(`/api/changes?cursor=${cursor}&wait=25`);
    const last = get('/api/tasks', { Connection: 'close' });
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => void warnings.push(warning);
    process.on('warning', onWarning);
    const socket = await open(port);
    const all = readAll(socket);
    socket.write(get('/api/events') + waiting.repeat(12) + last);
    const text = await all;
    process.off('warning', onWarning);
    const starts = text.match(/HTTP\/1\.1 200/g);
    assert.equal(starts?.length, 14);
    assert.match(text, /event: synced/);
    assert.match(text, /"tasks":\[\{/);
    assert.deepEqual(warnings, []);
  });
});

onAnyDatabase('the times of an event stream', () => {
  const started: Service[] = [];
  const start = async (...options: Parameters<typeof startService>): Promise<[Service, string, number]> => {
    const service = await startService(...options);
    started.push(service);
    const port = await listen(service.app);
    return [service, `http://127.0.0.1:${port}`, port];
  };
  /** A user without tasks, whose counter is 7. */
  const quiet = () => stubDatabase(async (_identity, statements) => statements.map(() => [['7', EPOCH, '0', null]]));
  afterEach(async () => {
    for (const service of started.splice(0)) await service.close();
  });

  test('a heartbeat with the version', async () => {
    const [service, origin] = await start(quiet(), { streamTickMs: 5 });
    const client = await follow(origin, await service.person());
    await client.until(({ comments }) => comments.length === 3);
    assert.deepEqual(client.comments, ['7', '7', '7']);
  });

  test('the end of its token ends it', async () => {
    const clock = new TestClock();
    const [service, origin] = await start(quiet(), { streamTickMs: 5, clock: clock.read });
    const person = await service.person(undefined, { iat: clock.seconds, exp: clock.seconds + 60 });
    const client = await follow(origin, person);
    await client.synced();
    clock.advance(59);
    await client.until(({ comments }) => comments.length > 1);
    clock.advance(1);
    assert.deepEqual(JSON.parse((await client.ended()) ?? ''), { reason: 'token_expired', cursor: client.lastId });
  });

  test('it ends after an hour', async () => {
    const [service, origin] = await start(quiet(), { streamTickMs: 1 });
    const client = await follow(origin, await service.person());
    assert.deepEqual(JSON.parse((await client.ended()) ?? ''), { reason: 'max_age', cursor: client.lastId });
  });

  test('a stop ends streams and waiting requests at once, and tells them', async () => {
    const [service, origin] = await start(quiet());
    const person = await service.person();
    const client = await follow(origin, person);
    await client.synced();
    const waiting = fetch(`${origin}/api/changes?wait=25`, { headers: { authorization: `Bearer ${person.token}` } });
    while (!(await (await fetch(`${origin}/metrics`)).text()).includes('http_long_requests 2'));
    const stopped = service.app.close();
    assert.deepEqual(JSON.parse((await client.ended()) ?? ''), { reason: 'shutting_down', cursor: client.lastId });
    assert.deepEqual(((await (await waiting).json()) as { changes: unknown[] }).changes, []);
    await stopped;
  });

  test('a stream outlives an outage of the database', async () => {
    let [counter, isBroken] = [7, false];
    const flaky = stubDatabase(async ({ kind }, statements) => {
      if (kind === 'watcher') return [[[person.sub, `${counter}`]]];
      if (isBroken) throw new AppError('DATABASE_ERROR');
      const last = rowOf('8', 'after the outage');
      return statements.map(() => [[`${counter}`, EPOCH, '0', ...(counter === 7 ? [null] : last)]]);
    });
    const [service, origin] = await start(flaky);
    const person = await service.person();
    const client = await follow(origin, person);
    await client.synced();
    [counter, isBroken] = [8, true];
    setTimeout(() => (isBroken = false), 1_000);
    await client.until(({ changes }) => changes.at(-1)?.task?.title === 'after the outage');
  });

  test('a client that does not read is disconnected, and what it has not read is not kept', async () => {
    const long = '\u0001'.repeat(2_000);
    const rows = Array.from({ length: 100 }, (_, n) => ['9000000', EPOCH, '0', ...rowOf(`${n + 1}`, long)]);
    let reads = 0;
    const endless = stubDatabase(async (_identity, statements) => {
      reads += 1;
      return statements.map(() => rows);
    });
    const [service, , port] = await start(endless, { streamTickMs: 20 });
    const person = await service.person();
    const socket = await open(port);
    socket.write(wire('GET', '/api/events', { Authorization: `Bearer ${person.token}`, 'X-Request-Id': 'unread' }));
    await once(socket, 'data');
    socket.pause();
    await service.log.until(({ request_id }) => request_id === 'unread');
    socket.destroy();
    assert.ok(reads < 200, `${reads} pages were read`); // of 0.4 MB each: what the kernel keeps, and one more
  });
});

const EPOCH = '29f1d20d-65b1-4dba-ad13-bed0fe5159c3';
/** A task as in a row of `readChanges`. */
const rowOf = (version: string, title: string) => [
  'task',
  version,
  'f',
  'f',
  null,
  ...TASK_COLUMNS.map(({ name, isJson }) => (name === 'title' || name === 'description' ? title : isJson ? '1' : name)),
];
