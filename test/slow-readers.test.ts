import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { afterEach, beforeEach, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type Service, startService } from './support/service.ts';
import { listen, open, wire } from './support/socket.ts';
import { stubDatabase } from './support/stub-database.ts';

/** Far more than the system keeps for a reader who is late. */
const ANSWER_BYTES = 32 * 1024 * 1024;

let service: Service;
let port: number;
beforeEach(async () => {
  service = await startService(stubDatabase(async () => [[[`"${'x'.repeat(ANSWER_BYTES - 2)}"`]]]));
  port = await listen(service.app);
});
afterEach(() => service.close());

/** A client that has asked for the large answer and has read its beginning, and nothing more. */
async function askAndPause(id: string): Promise<{ socket: Socket; first: Buffer }> {
  const { token } = await service.person();
  const socket = await open(port);
  socket.on('error', () => undefined);
  socket.write(wire('GET', '/api/tasks', { Authorization: `Bearer ${token}`, 'X-Request-Id': id }));
  const first = await new Promise<Buffer>((resolve) => socket.once('data', resolve));
  socket.pause();
  return { socket, first };
}

/** Reads the rest, for longer than idle connections are kept in a stop. @returns how many bytes of body came. */
async function readSlowly({ socket, first }: { socket: Socket; first: Buffer }): Promise<number> {
  let bytes = first.length - (first.indexOf('\r\n\r\n') + 4);
  for await (const chunk of socket) {
    bytes += Buffer.byteLength(chunk);
    if (bytes < ANSWER_BYTES / 4) await delay(5);
    if (bytes === ANSWER_BYTES) socket.end();
  }
  return bytes;
}

test('a stop does not cut off an answer that is being read slowly', async () => {
  const reader = await askAndPause('slow-reader');
  const stopped = service.app.close();
  assert.equal(await readSlowly(reader), ANSWER_BYTES);
  await stopped;
});

test('a client that reads nothing of its answer is let go, and one that is only slow is not', async () => {
  assert.equal(service.app.server.timeout, 30_000);
  service.app.server.timeout = 500; // so that nobody has to wait here for as long as that
  const [silent, slow] = await Promise.all([askAndPause('silent'), askAndPause('slow')]);
  const whole = readSlowly(slow);
  await service.log.until(({ request_id }) => request_id === 'silent'); // the service is done with it
  assert.ok((await readSlowly(silent)) < ANSWER_BYTES);
  assert.equal(await whole, ANSWER_BYTES);
});
