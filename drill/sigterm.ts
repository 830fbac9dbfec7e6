import { connect, type Socket } from 'node:net';
import type { Drill } from './support/drill.ts';

const STOPS = { short: 1, long: 5 };
const IDLE_CONNECTIONS = 100;
const HALF_OPEN_REQUESTS = 50;
const SLOW_READERS = 20;
const CONCURRENT_WRITES = 100;
const TASKS_IN_LONG_LIST = 500;
const MAX_STOP_MS = 10_000;

function openSocket(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  return new Promise((resolve) => socket.once('connect', () => resolve(socket)));
}

/** Requests a long list and reads a chunk every 50 ms. Settles at the first chunk. */
async function readSlowly(port: number, authorization: string): Promise<{ isComplete: Promise<boolean> }> {
  const socket = await openSocket(port);
  let text = '';
  socket.on('data', (bytes: Buffer) => {
    text += bytes.toString('latin1');
    socket.pause();
    setTimeout(() => socket.resume(), 50);
  });
  socket.write(`GET /api/tasks HTTP/1.1\r\nHost: x\r\nAuthorization: ${authorization}\r\n\r\n`);
  const isComplete = new Promise<boolean>((resolve) => {
    socket.once('close', () => {
      const headEnd = text.indexOf('\r\n\r\n');
      resolve(headEnd > 0 && text.length - headEnd - 4 === Number(/content-length: (\d+)/i.exec(text)?.[1]));
    });
  });
  await new Promise((resolve) => socket.once('data', resolve));
  return { isComplete };
}

const repeat = <T>(count: number, action: () => Promise<T>) => Promise.all(Array.from({ length: count }, action));

export const sigterm: Drill = {
  name: 'sigterm',
  holds: 'SIGTERM with idle, half-open and slow connections: requests in flight answered, exit code 0 within 10 s',
  timeoutSeconds: { short: 40, long: 120 },
  run: async (run) => {
    const service = run.service();
    const client = run.client();
    const load = run.load(service);
    const longTask = { title: 'x'.repeat(200), description: 'y'.repeat(2000) };
    let slowestMs = 0;
    let completeLists = 0;
    for (let stop = 0; stop < STOPS[run.scale]; stop += 1) {
      await service.start();
      const { origin, port } = service;
      const user = `reader ${stop}`;
      await repeat(TASKS_IN_LONG_LIST, () =>
        client.request(`${origin}/api/tasks`, { method: 'POST', user, body: longTask }),
      );
      const idle = run.client();
      await repeat(IDLE_CONNECTIONS, () => idle.request(`${origin}/health`));
      const halfOpen = await repeat(HALF_OPEN_REQUESTS, () => openSocket(port));
      for (const socket of halfOpen) socket.write('GET /api/tasks HTTP/1.1\r\nHost: x\r\nX-Half');
      const authorization = await client.authorization(user);
      const readers = await repeat(SLOW_READERS, () => readSlowly(port, authorization));

      const writes = Array.from({ length: CONCURRENT_WRITES }, () => load.write());
      await Promise.race(writes);
      const from = performance.now();
      const exit = service.process.stop();
      await Promise.all(writes);
      const code = await exit;
      slowestMs = Math.max(slowestMs, Math.round(performance.now() - from));
      run.expect(code === 0, `the process exited with ${code}`);
      const after = await run.client().request(`${origin}/health`);
      run.expect(after.error === 'ECONNREFUSED', `a request after the stop was answered ${after.status}`);
      for (const socket of halfOpen) socket.destroy();
      const complete = await Promise.all(readers.map(({ isComplete }) => isComplete));
      completeLists += complete.filter(Boolean).length;
    }
    await service.start();
    const lists = STOPS[run.scale] * SLOW_READERS;
    const writes = load.samples;
    run.expect(writes.otherThan(201) === 0, `writes in flight were answered ${writes.byStatus()}`);
    run.expect(completeLists === lists, `${lists - completeLists} slow readers had an incomplete response`);
    run.expect(slowestMs < MAX_STOP_MS, `a stop took ${slowestMs} ms`);
    return {
      stops: STOPS[run.scale],
      'writes in flight': writes.count,
      answered: writes.withStatus(201).count,
      'slow readers': lists,
      'of these with a complete response': completeLists,
      'slowest stop, ms': slowestMs,
      ...(await load.verifyWrites(run)),
    };
  },
};
