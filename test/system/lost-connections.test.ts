import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { afterEach, beforeEach, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { assertError } from '../support/envelope.ts';
import { Relay, startServiceThrough } from '../support/relay.ts';
import {
  asAdmin,
  createPostgresDatabase,
  onPostgres,
  openPostgresAt,
  type Person,
  POSTGRES_URL,
  type Service,
  startService,
  type Task,
} from '../support/service.ts';

const LIMIT = { timeout: 30_000 };

/** The ErrorResponse (FATAL, 53300 too_many_connections) of a server that refuses a connection. */
const REFUSAL = Buffer.from('E\0\0\0\x20SFATAL\0VFATAL\0C53300\0Mfull\0\0', 'latin1');
const KEEP_ALIVE_TIMER = '02';
const TICKS_PER_SECOND = 100;

/** The timers of the established connections to `port` of the loopback interface: kind, and seconds left (proc_net(5)). */
function timersOf(port: number): { readonly kind: string; readonly seconds: number }[] {
  const rows = readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/));
  const peer = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return rows
    .filter(([, , remote, state]) => remote === peer && state === '01')
    .map(([, , , , , timer = '']) => ({
      kind: timer.slice(0, 2),
      seconds: Number.parseInt(timer.slice(3), 16) / TICKS_PER_SECOND,
    }));
}

onPostgres('connections to PostgreSQL that are lost', () => {
  let created: { url: string; remove: () => Promise<void> };
  let relay: Relay;
  let service: Service;
  let person: Person;
  beforeEach(async () => {
    created = await createPostgresDatabase(POSTGRES_URL ?? '');
    relay = await Relay.start(created.url);
    service = await startServiceThrough(relay, created.url, 1);
    person = await service.person();
  });
  afterEach(async () => {
    relay.close();
    await created.remove();
  });

  const failWrites = (sqlState: string) =>
    asAdmin(
      created.url,
      `create function todo.refuse() returns trigger language plpgsql as $$
       begin raise exception 'not here' using errcode = '${sqlState}'; end $$;
       create trigger refuse before insert on todo.tasks for each row execute function todo.refuse()`,
    );

  test(
    'a connection to a server that has become read-only is let go, also when the server never hangs up',
    LIMIT,
    async () => {
      await person.create('before');
      await failWrites('25006');
      relay.hangsUp = false;
      const before = relay.connections;
      const answer = await person.send('POST', '/api/tasks', { title: 'refused' });
      assertError(answer, 503, 'SERVICE_UNAVAILABLE', 'Service temporarily unavailable');
      assert.equal((await person.list()).length, 1);
      assert.equal(relay.connections, before + 1, 'the next request has a connection of its own');
      assert.equal(await relay.abandoned(), 1);
      await service.close();
    },
  );

  test(
    'a connection that says it ends is let go though it stays open, and the next write has another',
    LIMIT,
    async () => {
      await person.create('before');
      const before = relay.connections;
      await relay.sayFarewell();
      assert.equal((await person.send('POST', '/api/tasks', { title: 'after' })).statusCode, 201);
      assert.equal(relay.connections, before + 1);
      await service.close();
    },
  );

  test('a service that stops does not wait for a server that never hangs up', LIMIT, async () => {
    await person.create('x');
    relay.hangsUp = false;
    await service.close();
  });

  test('an idle connection is probed after 30 s, before a NAT gateway forgets it', LIMIT, async () => {
    await person.create('x');
    const port = Number(new URL(relay.urlOf(created.url)).port);
    const timers = () => timersOf(port).filter(({ kind }) => kind === KEEP_ALIVE_TIMER);
    while (timers().length === 0) await delay(10);
    assert.deepEqual(
      timers().filter(({ seconds }) => seconds > 30),
      [],
    );
    await service.close();
  });

  test('a write whose answer is lost is 500 and is not repeated; a read is repeated', LIMIT, async () => {
    const task = await person.create('flipped once');
    relay.loseNextAnswer();
    const answer = await person.send('POST', `/api/tasks/${task.id}/toggle`);
    assertError(answer, 500, 'DATABASE_ERROR', 'A database error occurred');
    relay.loseNextAnswer();
    const read = await person.send('GET', `/api/tasks/${task.id}`);
    assert.equal(read.statusCode, 200);
    assert.equal(read.json<Task>().is_completed, true);
    relay.loseNextAnswer();
    assert.equal((await person.send('POST', '/api/tasks', { title: 'made once' })).statusCode, 500);
    assert.deepEqual(
      (await person.list()).map(({ title }) => title),
      ['made once', 'flipped once'],
    );
    await service.close();
  });

  test('after connections have been killed while idle, the very next request is answered', LIMIT, async () => {
    const task = await person.create('x');
    for (let round = 0; round < 10; round += 1) {
      await asAdmin(
        created.url,
        'select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
      );
      assert.equal((await person.send('GET', `/api/tasks/${task.id}`)).statusCode, 200);
    }
    await service.close();
  });
});

onPostgres('a database that falls asleep', () => {
  let created: { url: string; remove: () => Promise<void> };
  let relay: Relay;
  beforeEach(async () => {
    created = await createPostgresDatabase(POSTGRES_URL ?? '');
    relay = await Relay.start(created.url);
  });
  afterEach(async () => {
    relay.close();
    await created.remove();
  });

  test(
    'while it wakes up, everybody who comes waits for it, though the first attempt was turned away',
    LIMIT,
    async () => {
      const service = await startServiceThrough(relay, created.url, 1);
      const person = await service.person();
      await person.create('before');
      const before = relay.connections;
      relay.sleep({ wakeMs: 4_500, resets: 1 });
      const first = person.send('GET', '/api/tasks');
      while (relay.connections === before) await new Promise((resolve) => setTimeout(resolve, 10));
      const people = await Promise.all(Array.from({ length: 50 }, () => service.person()));
      const others = people.flatMap((other) =>
        Array.from({ length: 6 }, (_, index) => other.send('POST', '/api/tasks', { title: `${index}` })),
      );
      const asking = setInterval(() => others.push(person.send('GET', '/api/tasks')), 250);
      assert.equal((await first).statusCode, 200);
      clearInterval(asking);
      assert.deepEqual(
        [...new Set((await Promise.all(others)).map(({ statusCode }) => statusCode))].sort(),
        [200, 201],
      );
      await service.close();
    },
  );

  test('whoever wakes it waits for it, though it had no room for a further connection for long', LIMIT, async () => {
    const crowded = await startServiceThrough(relay, created.url, 2);
    const person = await crowded.person();
    await person.create('before');
    relay.most = 1;
    relay.sleep({ wakeMs: 0 });
    while (relay.turnedAway < 8) {
      const answers = await Promise.all(Array.from({ length: 20 }, () => person.send('GET', '/api/tasks')));
      for (const { statusCode } of answers) assert.equal(statusCode, 200);
    }
    assert.ok(crowded.opened.warnings.length <= 2, `each of the attempts is reported: ${crowded.opened.warnings}`);
    relay.most = Number.POSITIVE_INFINITY;
    relay.sleep({ wakeMs: 500, resets: 1 });
    assert.equal((await person.send('GET', '/api/tasks')).statusCode, 200);
    await crowded.close();
  });

  test('whoever wakes it waits for it, though it was out of reach when last somebody asked', LIMIT, async () => {
    const service = await startServiceThrough(relay, created.url, 1);
    const person = await service.person();
    await person.create('before');
    relay.refuse();
    while ((await person.send('GET', '/api/tasks')).statusCode !== 500);
    await delay(4_000); // nobody asks any more
    await relay.listen();
    relay.sleep({ wakeMs: 500, resets: 1 });
    assert.equal((await person.send('GET', '/api/tasks')).statusCode, 200);
    await service.close();
  });
});

test('a connection that is refused with an error is closed, though the server leaves it open', LIMIT, async () => {
  const ended: Promise<unknown>[] = [];
  const refusing = createServer({ allowHalfOpen: true }, (socket: Socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => socket.write(REFUSAL));
    ended.push(once(socket, 'end').then(() => socket.destroy()));
  });
  refusing.listen(0, '127.0.0.1');
  await once(refusing, 'listening');
  const address = refusing.address();
  assert.ok(typeof address === 'object' && address !== null);
  const opened = await openPostgresAt(`postgresql://x@127.0.0.1:${address.port}/x`);
  assert.ok(ended.length > 0);
  await Promise.all(ended);
  await opened.remove();
  refusing.close();
});

test('a server that refuses at the start is tried again by itself, with longer and longer pauses', LIMIT, async () => {
  const attempts: number[] = [];
  const refusing = createServer((socket) => {
    attempts.push(performance.now());
    refusing.emit('attempt');
    socket.destroy();
  });
  refusing.listen(0, '127.0.0.1');
  await once(refusing, 'listening');
  const address = refusing.address();
  assert.ok(typeof address === 'object' && address !== null);
  const service = await startService(await openPostgresAt(`postgresql://x@127.0.0.1:${address.port}/x`));
  while (attempts.length < 7) await once(refusing, 'attempt');
  const pauses = attempts.slice(1).map((time, index) => time - (attempts[index] ?? time));
  for (const [index, least] of [100, 200, 400, 800, 1_000, 1_000].entries()) {
    assert.ok((pauses[index] ?? 0) > least * 0.95, `pauses of ${pauses.map(Math.round).join(', ')} ms`);
  }
  const answer = await (await service.person()).send('GET', '/api/tasks');
  assertError(answer, 500, 'DATABASE_ERROR', 'A database error occurred');
  assert.equal((await service.app.inject('/health')).statusCode, 200);
  const ready = await service.app.inject('/ready');
  assertError(ready, 503, 'SERVICE_UNAVAILABLE', 'Service temporarily unavailable');
  assert.match(String(ready.headers['retry-after']), /^[1-9]\d*$/);
  await service.close();
  refusing.close();
});
