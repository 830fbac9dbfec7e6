import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { afterEach, beforeEach, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type Service, startService } from './support/service.ts';
import { listen, open, wire } from './support/socket.ts';
import { stubDatabase } from './support/stub-database.ts';

/** Far more than the socket buffers of both sides hold. */
const RESPONSE_BYTES = 32 * 1024 * 1024;
const SLOW_BYTES = RESPONSE_BYTES / 4;
/** The socket timeout of these tests. A slow client takes longer to read its response, and pauses for less. */
const TIMEOUT_MS = 1_000;
const PAUSE_MS = 12;

let service: Service;
let port: number;
const accepted: Socket[] = [];
beforeEach(async () => {
  service = await startService(stubDatabase(async () => [[[`"${'x'.repeat(RESPONSE_BYTES - 2)}"`]]]));
  service.app.server.on('connection', (socket: Socket) => accepted.push(socket));
  port = await listen(service.app);
});
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
