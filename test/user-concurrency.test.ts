import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { assertError } from './support/envelope.ts';
import { type Person, type Service, startService } from './support/service.ts';
import { exchange, listen, open, parseAnswers, readAll, wire } from './support/socket.ts';
import { type HeldDatabase, heldDatabase } from './support/stub-database.ts';

const IN_PROGRESS = 8;
const WAITING = 200;
const CLOSE = { Connection: 'close' };

let held: HeldDatabase;
let service: Service;
let port: number;
let person: Person;
beforeEach(async () => {
  held = heldDatabase();
  service = await startService(held.opened);
  port = await listen(service.app);
  person = await service.person();
  await person.send('GET', '/api/tasks/x'); // from now on the token is known
});
afterEach(() => service.close());

/** Answers whatever the database is asked, until all of `requests` are answered. */
async function releaseUntil<Result>(requests: readonly Promise<Result>[]): Promise<Result[]> {
  const timer = setInterval(() => held.release(), 1);
  return Promise.all(requests).finally(() => clearInterval(timer));
}

const metric = async (name: string) => {
  const { body } = await service.app.inject({ url: '/metrics' });
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(body)?.[1]);
};

async function untilMetric(name: string, value: number): Promise<void> {
  while ((await metric(name)) !== value) await exchange(port, wire('GET', '/health', CLOSE));
}

const lists = (count: number) => Array.from({ length: count }, () => person.send('GET', '/api/tasks'));

test('of one user 8 requests reach the database at once; others are not kept waiting by those behind them', async () => {
  const own = lists(100);
  await held.waiting(IN_PROGRESS);
  const other = await service.person();
  const others = [other.send('GET', '/api/tasks'), other.send('POST', '/api/tasks', { title: 'in between' })];
  await held.waiting(IN_PROGRESS + others.length);
  assert.equal(held.count, IN_PROGRESS + others.length);
  assert.equal(await metric('http_user_requests_in_progress'), IN_PROGRESS + others.length);
  await untilMetric('http_user_requests_waiting', 100 - IN_PROGRESS);
  const answers = await releaseUntil([...own, ...others]);
  assert.deepEqual([...new Set(answers.map(({ statusCode }) => statusCode))].sort(), [200, 201]);
  await untilMetric('http_user_requests_in_progress', 0);
});

test('200 more wait their turn; the next one gets 429 with Retry-After, and other users do not', async () => {
  const own = lists(IN_PROGRESS + WAITING);
  await untilMetric('http_user_requests_waiting', WAITING);
  const refused = await person.send('GET', '/api/tasks');
  assertError(refused, 429, 'RATE_LIMITED', 'Too many requests');
  assert.match(String(refused.headers['retry-after']), /^[1-9]\d*$/);
  assert.equal(service.log.lineOf(refused).reason, 'concurrency');
  const other = await service.person();
  const answers = await releaseUntil([...own, other.send('GET', '/api/tasks')]);
  assert.deepEqual([...new Set(answers.map(({ statusCode }) => statusCode))], [200]);
});

test('requests whose clients have gone count until the database has answered, and those that wait are dropped', async () => {
  const request = (id: string) =>
    wire('GET', '/api/tasks', { Authorization: `Bearer ${person.token}`, 'X-Request-Id': id });
  const sockets = await Promise.all(Array.from({ length: IN_PROGRESS + 4 }, () => open(port)));
  for (const [index, socket] of sockets.entries()) socket.write(request(`gone-${index}`));
  await held.waiting(IN_PROGRESS);
  await untilMetric('http_user_requests_waiting', 4);
  for (const socket of sockets) socket.resetAndDestroy();
  await untilMetric('http_user_requests_waiting', 0);
  const next = person.send('GET', '/api/tasks');
  await untilMetric('http_user_requests_waiting', 1);
  assert.equal(held.count, IN_PROGRESS);
  assert.equal((await releaseUntil([next]))[0]?.statusCode, 200);
  await untilMetric('http_user_requests_in_progress', 0);
});

test('no place is lost with requests that fail, are cut off, or wait behind others on a closed connection', async () => {
  const headers = { Authorization: `Bearer ${person.token}`, 'Content-Type': 'application/json' };
  for (let turn = 0; turn < IN_PROGRESS; turn += 1) {
    const cut = await open(port);
    cut.end(wire('POST', '/api/tasks', { ...headers, 'Content-Length': '100' }, '{"title":'));
    cut.resume();
    await new Promise((resolve) => cut.once('close', resolve));
    assert.equal((await person.send('POST', '/api/tasks', { title: 1 })).statusCode, 400);
    const pipelining = await open(port);
    pipelining.write(wire('GET', '/api/tasks', headers).repeat(4));
    await held.waiting(4);
    pipelining.resetAndDestroy();
    await service.log.until(({ status }) => status === 499);
    held.release();
  }
  const answers = await releaseUntil(lists(IN_PROGRESS));
  assert.deepEqual([...new Set(answers.map(({ statusCode }) => statusCode))], [200]);
  await untilMetric('http_user_requests_in_progress', 0);
});

test('a connection on which many requests are in progress is not read on until some are answered', async () => {
  const people = await Promise.all(Array.from({ length: 4 }, () => service.person()));
  const requests = people.flatMap(({ token }) =>
    Array.from({ length: IN_PROGRESS }, () => wire('GET', '/api/tasks', { Authorization: `Bearer ${token}` })),
  );
  const socket = await open(port);
  const all = readAll(socket);
  for (const request of requests) {
    socket.write(request);
    await exchange(port, wire('GET', '/health', CLOSE)); // by now the service has read what it reads
  }
  assert.equal(held.count, 17);
  const timer = setInterval(() => held.release(), 1);
  socket.write(wire('GET', '/health', CLOSE));
  assert.equal(parseAnswers(await all).length, requests.length + 1);
  clearInterval(timer);
});
