import { connect } from 'node:net';
import type { Drill } from './support/drill.ts';
import { quantile } from './support/samples.ts';

const HEADER_SOCKETS = { short: 300, long: 1_000 };
const BODY_SOCKETS = { short: 60, long: 200 };
const WAVES = { short: 1, long: 3 };
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 15_000;
/** Timeouts are checked every 500 ms; the rest is for a busy machine. */
const TOLERANCE_MS = 1_500;
const MAX_P99_MS = 200;
const RATES = { read: 50 };

/** Sends `start`, and then a byte a second. @returns after how many milliseconds the service closed the connection. */
function sendSlowly(port: number, start: string): Promise<number> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    let from = 0;
    let timer: NodeJS.Timeout | undefined;
    socket.once('connect', () => {
      from = performance.now();
      socket.write(start);
      timer = setInterval(() => socket.write('a'), 1_000);
    });
    socket.on('error', () => undefined);
    socket.once('close', () => {
      clearInterval(timer);
      resolve(performance.now() - from);
    });
    socket.resume();
  });
}

const range = (times: readonly number[]) => `${Math.round(quantile(times, 0))} to ${Math.round(quantile(times, 1))}`;

export const slowClients: Drill = {
  name: 'slow-clients',
  holds:
    'clients sending a byte a second: closed after 10 s (headers), 15 s (body); p99 of other requests below 200 ms',
  timeoutSeconds: { short: 60, long: 120 },
  run: async (run) => {
    const service = run.service({ DATABASE_URL: (await run.postgres()).url() });
    await service.start();
    const { port } = service;
    const authorization = await run.client().authorization('slow');
    const head = 'GET /api/tasks HTTP/1.1\r\nHost: x\r\nX-Slow: ';
    const headers = [`Authorization: ${authorization}`, 'Content-Type: application/json', 'Content-Length: 1000'];
    const body = ['POST /api/tasks HTTP/1.1', 'Host: x', ...headers, '', ''].join('\r\n');
    const load = run.load(service);
    const alone = await load.run(RATES, 3);
    const headersMs: number[] = [];
    const bodiesMs: number[] = [];
    const from = performance.now();
    for (let wave = 0; wave < WAVES[run.scale]; wave += 1) {
      load.start(RATES);
      const slowHeaders = Array.from({ length: HEADER_SOCKETS[run.scale] }, () => sendSlowly(port, head));
      const slowBodies = Array.from({ length: BODY_SOCKETS[run.scale] }, () => sendSlowly(port, body));
      headersMs.push(...(await Promise.all(slowHeaders)));
      bodiesMs.push(...(await Promise.all(slowBodies)));
      await load.stop();
    }
    const others = load.samples.sentBetween(from, performance.now());
    const late = (times: readonly number[], limit: number) =>
      times.filter((time) => Math.abs(time - limit) > TOLERANCE_MS).length;
    const lateHeaders = late(headersMs, HEADERS_TIMEOUT_MS);
    const lateBodies = late(bodiesMs, REQUEST_TIMEOUT_MS);
    run.expect(lateHeaders === 0, `${lateHeaders} clients with slow headers were not disconnected at 10 s`);
    run.expect(lateBodies === 0, `${lateBodies} clients with slow bodies were not disconnected at 15 s`);
    run.expect(load.samples.otherThan(200) === 0, `other requests were answered ${load.samples.byStatus()}`);
    run.expect(others.p99Ms() < MAX_P99_MS, `the p99 of other requests was ${others.p99Ms()} ms`);
    return {
      'clients with slow headers': headersMs.length,
      'disconnected after, ms': range(headersMs),
      'clients with slow bodies': bodiesMs.length,
      'disconnected after (bodies), ms': range(bodiesMs),
      'other requests': others.count,
      'their p99, ms': others.p99Ms(),
      'p99 without slow clients, ms': alone.p99Ms(),
    };
  },
};
