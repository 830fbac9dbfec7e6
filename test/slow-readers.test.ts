import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { afterEach, beforeEach, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Database } from '../dist/database/database.js';
import { assertError } from './support/envelope.ts';
import { type Service, type ServiceOptions, startService } from './support/service.ts';
import { listen, open, wire } from './support/socket.ts';
import { stubDatabase, stubRows } from './support/stub-database.ts';

/** Far more than the socket buffers of both sides hold. */
const RESPONSE_BYTES = 32 * 1024 * 1024;
const SLOW_BYTES = RESPONSE_BYTES / 4;
/** The socket timeout of these tests. A slow client takes longer to read its response, and pauses for less. */
const TIMEOUT_MS = 1_000;
const PAUSE_MS = 12;

let service: Service;
let port: number;
const accepted: Socket[] = [];

async function start(limits: ServiceOptions = {}): Promise<void> {
  const large = `"${'x'.repeat(RESPONSE_BYTES - 2)}"`;
  const transaction: Database['transaction'] = async (_identity, statements) =>
    statements.map((bound) => stubRows(bound, large));
  service = await startService(stubDatabase(transaction), limits);
  service.app.server.on('connection', (socket: Socket) => accepted.push(socket));
  port = await listen(service.app);
}

beforeEach(() => start());
afterEach(() => service.close());

/** Requests the large response and reads only the first bytes of it. */
async function requestAndPause(id: string): Promise<{ socket: Socket; first: Buffer }> {
  const { token } = await service.person();
  const socket = await open(port);
  socket.on('error', () => undefined);
  socket.write(wire('GET', '/api/tasks', { Authorization: `Bearer ${token}`, 'X-Request-Id': id }));
  const [first]: Buffer[] = await once(socket, 'data');
  socket.pause();
  assert.ok(first !== undefined);
  return { socket, first };
}

/** Reads the rest, the first quarter of it slowly. @returns the size of the body. */
async function readSlowly({ socket, first }: { socket: Socket; first: Buffer }): Promise<number> {
  let bytes = first.length - (first.indexOf('\r\n\r\n') + 4);
  for await (const chunk of socket) {
    bytes += Buffer.byteLength(chunk);
    if (bytes < SLOW_BYTES) await delay(PAUSE_MS);
    if (bytes === RESPONSE_BYTES) socket.end();
  }
  return bytes;
}

test('a graceful stop waits for a response that is read slowly', async () => {
  const reader = await requestAndPause('slow');
  const stopped = service.app.close();
  assert.equal(await readSlowly(reader), RESPONSE_BYTES);
  await stopped;
});

test('a client that reads nothing of its response is disconnected, and one that only reads slowly is not', async () => {
  assert.equal(service.app.server.timeout, 30_000);
  const [silent, slow] = await Promise.all([requestAndPause('silent'), requestAndPause('slow')]);
  for (const socket of accepted) socket.setTimeout(TIMEOUT_MS);
  const started = performance.now();
  const whole = readSlowly(slow);
  await service.log.until(({ request_id }) => request_id === 'silent');
  assert.ok((await readSlowly(silent)) < RESPONSE_BYTES);
  assert.equal(await whole, RESPONSE_BYTES);
  assert.ok(performance.now() - started > TIMEOUT_MS, 'the slow client was too fast to show anything');
});

test('an answer that is read for too long is cut, however steadily', async () => {
  await service.close();
  await start({ maxAnswerMs: 500 });
  const { socket, first } = await requestAndPause('trickle');
  let bytes = first.length;
  const reading = (async () => {
    for await (const chunk of socket) {
      bytes += Buffer.byteLength(chunk);
      await delay(PAUSE_MS);
    }
  })();
  await service.log.until(({ request_id }) => request_id === 'trickle');
  socket.destroy();
  await reading.catch(() => undefined);
  assert.ok(bytes < RESPONSE_BYTES);
});

test('answers beyond the budget of what clients have not read get 503; small ones and those to writes are sent', async () => {
  await service.close();
  await start({ maxUnsentBytes: 1.5 * RESPONSE_BYTES });
  const other = await service.person();
  const { socket } = await requestAndPause('unread');
  const refused = await other.send('GET', '/api/tasks');
  assertError(refused, 503, 'SERVICE_UNAVAILABLE', 'Service temporarily unavailable');
  assert.match(String(refused.headers['retry-after']), /^[1-9]\d*$/);
  assert.equal((await other.send('POST', '/api/tasks', { title: 'small' })).statusCode, 201);
  const { body } = await service.app.inject({ url: '/metrics' });
  assert.match(body, new RegExp(`^http_unsent_response_bytes ${RESPONSE_BYTES}$`, 'm'));
  socket.destroy();
  await service.log.until(({ request_id }) => request_id === 'unread');
  assert.equal((await other.send('GET', '/api/tasks')).statusCode, 200);
});
