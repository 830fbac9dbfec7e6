import { connect, type Socket } from 'node:net';
import { signToken } from '../test/support/service.ts';
import { Client } from './support/client.ts';
import { type Drill, Findings, quantile } from './support/drill.ts';
import { Ledger } from './support/ledger.ts';
import { Scene } from './support/scene.ts';

const STOPS = { short: 1, long: 5 };
const IDLE = 100;
const HALF_OPEN = 50;
const SLOW_READERS = 20;
const UNDER_WAY = 100;
const TASKS_IN_BIG_LIST = 500;
const STOP_WITHIN_MS = 10_000;

function openSocket(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  return new Promise((resolve) => socket.once('connect', () => resolve(socket)));
}

/** Asks for a long list, and reads a piece of the answer only now and then. @returns whether all of it came. */
async function readSlowly(port: number, token: string): Promise<{ whole: Promise<boolean> }> {
  const socket = await openSocket(port);
  let text = '';
  socket.on('data', (bytes: Buffer) => {
    text += bytes.toString('latin1');
    socket.pause();
    setTimeout(() => socket.resume(), 50);
  });
  socket.write(`GET /api/tasks HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n\r\n`);
  const whole = new Promise<boolean>((resolve) => {
    socket.once('close', () => {
      const at = text.indexOf('\r\n\r\n');
      resolve(at > 0 && text.length - at - 4 === Number(/content-length: (\d+)/i.exec(text)?.[1]));
    });
  });
  await new Promise((resolve) => socket.once('data', resolve));
  return { whole };
}

export const sigterm: Drill = {
  name: 'sigterm',
  holds:
    'SIGTERM with idle, half-open and slowly reading connections: what is under way is answered, no connection is taken, exit code 0 within 10 s',
  within: { short: 40, long: 120 },
  run: async (scale) => {
    const findings = new Findings();
    const scene = new Scene();
    const client = new Client();
    const ledger = new Ledger(client);
    const stopMs: number[] = [];
    let wholeLists = 0;
    try {
      for (let stop = 0; stop < STOPS[scale]; stop += 1) {
        const service = await scene.start();
        const { origin } = scene;
        const port = Number(new URL(origin).port);
        const reader = await signToken(`reader ${stop}`);
        const long = { title: 'x'.repeat(200), description: 'y'.repeat(2000) };
        await Promise.all(
          Array.from({ length: TASKS_IN_BIG_LIST }, () =>
            client.ask(`${origin}/api/tasks`, { method: 'POST', token: reader, body: long }),
          ),
        );
        const idle = new Client();
        await Promise.all(Array.from({ length: IDLE }, () => idle.ask(`${origin}/health`)));
        const halfOpen = await Promise.all(Array.from({ length: HALF_OPEN }, () => openSocket(port)));
        for (const socket of halfOpen) socket.write('GET /api/tasks HTTP/1.1\r\nHost: x\r\nX-Half');
        const readers = await Promise.all(Array.from({ length: SLOW_READERS }, () => readSlowly(port, reader)));

        const underWay = Array.from({ length: UNDER_WAY }, () => ledger.write(origin));
        await Promise.race(underWay);
        const from = performance.now();
        const ended = service.stop();
        await Promise.all(underWay);
        const code = await ended;
        stopMs.push(performance.now() - from);
        findings.expect(code === 0, `the process ended with ${code}`);
        const after = await new Client().ask(`${origin}/health`);
        findings.expect(after.error === 'ECONNREFUSED', `a request after the stop was answered ${after.status}`);
        for (const socket of halfOpen) socket.destroy();
        wholeLists += (await Promise.all(readers.map(({ whole }) => whole))).filter(Boolean).length;
        idle.close();
      }
      await scene.start();
      const audit = await ledger.audit(scene.origin);
      const others = ledger.otherThan(201);
      const lists = STOPS[scale] * SLOW_READERS;
      findings.expect(others === 0, `${others} requests under way were not answered 201 (${ledger.answers()})`);
      findings.expect(wholeLists === lists, `${lists - wholeLists} slow readers had their answer cut`);
      findings.expect(quantile(stopMs, 1) < STOP_WITHIN_MS, `a stop took ${Math.round(quantile(stopMs, 1))} ms`);
      findings.expect(audit.lost === 0, `${audit.lost} acknowledged writes are gone`);
      return {
        figures: {
          stops: STOPS[scale],
          'requests under way': ledger.sent,
          answered: ledger.sent - others,
          'slow readers': lists,
          'with a whole answer': wholeLists,
          'longest stop in ms': Math.round(quantile(stopMs, 1)),
          lost: audit.lost,
        },
        faults: findings.faults,
      };
    } finally {
      client.close();
      await scene.clear();
    }
  },
};
