import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { signToken } from '../test/support/service.ts';
import { Client } from './support/client.ts';
import { type Drill, Findings, quantile } from './support/drill.ts';
import { Scene, startPostgres } from './support/scene.ts';

const HEADER_SOCKETS = { short: 300, long: 1_000 };
const BODY_SOCKETS = { short: 60, long: 200 };
const WAVES = { short: 1, long: 3 };
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 15_000;
/** The service looks twice a second; the rest is the machine's. */
const TOLERANCE_MS = 1_500;
const MAX_P99_MS = 200;
const REQUESTS_PER_SECOND = 50;

/** Sends `start` at once and then a byte a second. @returns for how many milliseconds the service put up with it. */
function sendSlowly(port: number, start: string): Promise<number> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    let from = 0;
    let dripping: NodeJS.Timeout | undefined;
    socket.once('connect', () => {
      from = performance.now();
      socket.write(start);
      dripping = setInterval(() => socket.write('a'), 1_000);
    });
    socket.on('error', () => undefined);
    socket.once('close', () => {
      clearInterval(dripping);
      resolve(performance.now() - from);
    });
    socket.resume();
  });
}

/** Asks for a list at a steady rate until `over`. @returns how long each answer took; a wrong answer counts as endless. */
async function askSteadily(origin: string, token: string, over: Promise<unknown>): Promise<number[]> {
  const client = new Client();
  const tookMs: Promise<number>[] = [];
  let going = true;
  void over.then(() => {
    going = false;
  });
  while (going) {
    const asked = client.ask(`${origin}/api/tasks`, { token });
    tookMs.push(asked.then(({ status, tookMs: took }) => (status === 200 ? took : Number.POSITIVE_INFINITY)));
    await delay(1_000 / REQUESTS_PER_SECOND);
  }
  return Promise.all(tookMs).finally(() => client.close());
}

const rounded = (value: number) => Math.round(value * 10) / 10;

export const slowSockets: Drill = {
  name: 'slow-sockets',
  holds:
    'sockets that send a byte a second are dropped at 10 s (headers) and 15 s (body); meanwhile requests stay under 200 ms p99',
  within: { short: 60, long: 120 },
  run: async (scale) => {
    const findings = new Findings();
    const server = await startPostgres();
    const scene = new Scene({ DATABASE_URL: server.url() });
    try {
      await scene.start();
      const port = Number(new URL(scene.origin).port);
      const token = await signToken('ann');
      const body = `POST /api/tasks HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n`;
      const alone = await askSteadily(scene.origin, token, delay(3_000));
      const headersMs: number[] = [];
      const bodiesMs: number[] = [];
      const besidesMs: number[] = [];
      for (let wave = 0; wave < WAVES[scale]; wave += 1) {
        const headers = Array.from({ length: HEADER_SOCKETS[scale] }, () =>
          sendSlowly(port, 'GET /api/tasks HTTP/1.1\r\nHost: x\r\nX-Slow: '),
        );
        const bodies = Array.from({ length: BODY_SOCKETS[scale] }, () => sendSlowly(port, body));
        besidesMs.push(...(await askSteadily(scene.origin, token, Promise.all([...headers, ...bodies]))));
        headersMs.push(...(await Promise.all(headers)));
        bodiesMs.push(...(await Promise.all(bodies)));
      }
      const p99 = quantile(besidesMs, 0.99);
      const late = (times: readonly number[], limit: number) =>
        times.filter((time) => time > limit + TOLERANCE_MS || time < limit - TOLERANCE_MS).length;
      const lateHeaders = late(headersMs, HEADERS_TIMEOUT_MS);
      const lateBodies = late(bodiesMs, REQUEST_TIMEOUT_MS);
      findings.expect(lateHeaders === 0, `${lateHeaders} sockets with slow headers were not dropped at 10 s`);
      findings.expect(lateBodies === 0, `${lateBodies} sockets with slow bodies were not dropped at 15 s`);
      findings.expect(p99 < MAX_P99_MS, `p99 was ${rounded(p99)} ms`);
      return {
        figures: {
          'sockets with slow headers': headersMs.length,
          'dropped after ms': `${Math.round(quantile(headersMs, 0))} to ${Math.round(quantile(headersMs, 1))}`,
          'sockets with slow bodies': bodiesMs.length,
          'these after ms': `${Math.round(quantile(bodiesMs, 0))} to ${Math.round(quantile(bodiesMs, 1))}`,
          'requests meanwhile': besidesMs.length,
          'p99 in ms': rounded(p99),
          'p99 without them': rounded(quantile(alone, 0.99)),
        },
        faults: findings.faults,
      };
    } finally {
      await scene.clear();
      await server.remove();
    }
  },
};
