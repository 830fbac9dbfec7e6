import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, mock, test } from 'node:test';
import { assertError } from './support/envelope.ts';
import { type Person, type Service, startService } from './support/service.ts';
import { exchange, listen, open, parseAnswers, readAll, wire } from './support/socket.ts';
import { stubDatabase } from './support/stub-database.ts';

/** The interval at which the service samples the event loop, and how long it sheds load after a stall. */
const SAMPLE_INTERVAL_MS = 100;
const COOL_DOWN_MS = 250;
const LIMIT = { maxEventLoopDelayMs: 1_000 };

let service: Service;
let person: Person;
beforeEach(async () => {
  service = await startService(stubDatabase(), LIMIT);
  person = await service.person();
});
afterEach(() => service.close());

/** Blocks the event loop. */
function stall(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

test('requests received while the event loop was blocked get 503 with Retry-After; later ones succeed', async () => {
  const port = await listen(service.app);
  const request = (id: string) =>
    wire('GET', '/api/tasks', { Authorization: `Bearer ${person.token}`, Connection: 'close', 'X-Request-Id': id });
  const sockets = await Promise.all(Array.from({ length: 20 }, () => open(port)));
  const answers = sockets.map(readAll);
  for (const [index, socket] of sockets.entries()) socket.write(request(`stalled-${index}`));
  stall(2_500);
  const now = performance.now();
  const clock = mock.method(performance, 'now', () => now); // however long it takes to read the responses
  for (const [index, text] of (await Promise.all(answers)).entries()) {
    const [answer, ...more] = parseAnswers(text);
    assert.ok(answer !== undefined && more.length === 0);
    assertError(answer, 503, 'SERVICE_UNAVAILABLE', 'Service temporarily unavailable');
    assert.match(String(answer.headers['retry-after']), /^[1-9]\d*$/);
    assert.equal(answer.headers['x-request-id'], `stalled-${index}`);
    const { level, status } = service.log.lineOf(answer);
    assert.deepEqual([level, status], ['warn', 503]);
  }
  clock.mock.restore();
  while ((await exchange(port, request('again')))[0]?.statusCode !== 200);
});

describe('with a mocked clock and timer', () => {
  let nowMs = 0;
  beforeEach(async () => {
    mock.timers.enable({ apis: ['setInterval'] });
    mock.method(performance, 'now', () => nowMs);
    await service.close();
    service = await startService(stubDatabase(), LIMIT);
  });
  afterEach(() => {
    mock.timers.reset();
    mock.restoreAll();
  });

  /** Simulates an event loop that is blocked for `ms` before it runs its timers. */
  function block(ms: number): void {
    nowMs += ms;
    mock.timers.tick(SAMPLE_INTERVAL_MS);
  }

  const ask = async () => (await service.person()).send('GET', '/api/tasks');
  const statusOf = async (url: string) => (await service.app.inject({ url })).statusCode;

  test('requests for tasks get 503 while the event loop is delayed by over 1 s, and for 250 ms more', async () => {
    block(SAMPLE_INTERVAL_MS);
    assert.equal((await ask()).statusCode, 200);
    nowMs += 1_001;
    assert.equal((await ask()).statusCode, 503, 'before the next sample');
    for (const ms of [0, 1_100, 60_000]) {
      block(ms);
      const answer = await ask();
      assertError(answer, 503, 'SERVICE_UNAVAILABLE', 'Service temporarily unavailable');
      for (const url of ['/health', '/ready']) assert.equal(await statusOf(url), 200, `${url} is answered meanwhile`);
    }
    block(COOL_DOWN_MS);
    assert.equal((await ask()).statusCode, 200);
  });

  test('a delay of less than 1 s sheds no load, however long it lasts', async () => {
    for (let turn = 0; turn < 100; turn += 1) {
      block(900);
      assert.equal((await ask()).statusCode, 200);
    }
  });
});
