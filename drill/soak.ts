import { randomUUID } from 'node:crypto';
import { HttpConnection } from '../bench/load/http-connection.ts';
import { residentMiB } from '../bench/machine.ts';
import { freePort } from '../test/support/postgres-server.ts';
import { signToken } from '../test/support/service.ts';
import { Client } from './support/client.ts';
import { type Drill, Findings, type Result, type Scale } from './support/drill.ts';
import { Scene, startPostgres } from './support/scene.ts';

const CONNECTIONS = 32;
const USERS = 200;
const TASKS_OF_ONE = 20;
const SAMPLES = 100;
/** Of the samples; memory is not judged before. */
const WARM_UP = 0.2;
const MAX_GROWTH_MIB = 1;
/** The embedded database keeps its memory in this process; its tables are the `same`. */
const MOST_MIB = { grow: 256, same: 640 };

interface PreparedRequest {
  readonly bytes: Buffer;
  readonly status: number;
}

function prepare(token: string, status: number, method: string, path: string, body?: object): PreparedRequest {
  const json = body === undefined ? '' : JSON.stringify(body);
  const head = [`${method} ${path} HTTP/1.1`, 'Host: 127.0.0.1', `Authorization: Bearer ${token}`];
  if (body !== undefined) head.push('Content-Type: application/json');
  if (method !== 'GET') head.push(`Content-Length: ${Buffer.byteLength(json)}`);
  return { bytes: Buffer.from(`${head.join('\r\n')}\r\n\r\n${json}`), status };
}

/**
 * Of 20 requests: 8 lists, 6 of one task, 4 creates or updates, 1 toggle, 1 that is refused. Creates are for users never
 * listed. With `same`, nothing is created: the embedded database keeps the more of its tables in this process, up to 128 MiB,
 * the larger they grow.
 */
async function prepareRequests(origin: string, tables: 'grow' | 'same'): Promise<PreparedRequest[]> {
  const client = new Client();
  const requests: PreparedRequest[] = [];
  for (let user = 0; user < USERS; user += 1) {
    const token = await signToken(`soak_${randomUUID()}`);
    const creating = await signToken(`soak_${randomUUID()}`);
    const url = `${origin}/api/tasks`;
    for (let number = 0; number < TASKS_OF_ONE; number += 1) {
      const { body, status } = await client.ask(url, { method: 'POST', token, body: { title: `task ${number}` } });
      if (status !== 201) throw new Error(`a create was answered ${status}: ${body}`);
      const path = `/api/tasks/${(JSON.parse(body) as { id: string }).id}`;
      if (number < 8) requests.push(prepare(token, 200, 'GET', '/api/tasks'));
      else if (number < 14) requests.push(prepare(token, 200, 'GET', path));
      else if (number < 16 && tables === 'grow')
        requests.push(prepare(creating, 201, 'POST', '/api/tasks', { title: `one more, ${number}` }));
      else if (number < 18) requests.push(prepare(token, 200, 'PUT', path, { is_completed: number === 16 }));
      else if (number < 19) requests.push(prepare(token, 200, 'POST', `${path}/toggle`));
      else requests.push(prepare(token, 400, 'PUT', path, { title: '' }));
    }
  }
  client.close();
  return requests;
}

/** Sends `total` requests, each connection the next as soon as the last was answered. @throws at any status but the one due. */
function hammer(port: number, ring: readonly PreparedRequest[], total: number, onAnswers: (count: number) => void) {
  return new Promise<void>((resolve, reject) => {
    const connections: HttpConnection[] = [];
    const end = (settle: () => void) => {
      for (const connection of connections) connection.close();
      settle();
    };
    let sent = 0;
    let answered = 0;
    const open = () => {
      let due = 0;
      const connection = new HttpConnection(port, {
        onAnswer: (status) => {
          if (status !== due) return end(() => reject(new Error(`answered ${status} where ${due} was due`)));
          answered += 1;
          onAnswers(answered);
          if (answered === total) end(resolve);
          else if (sent < total) send();
        },
        onFailure: (error) => end(() => reject(error)),
      });
      const send = () => {
        const request = ring[(sent * 7) % ring.length];
        if (request === undefined) return;
        sent += 1;
        due = request.status;
        connection.send(request.bytes);
      };
      connections.push(connection);
      send();
    };
    for (let index = 0; index < CONNECTIONS; index += 1) open();
  });
}

/** @returns the slope of the straight line nearest to `points` (least squares). */
function slope(points: readonly (readonly [number, number])[]): number {
  const mean = (at: 0 | 1) => points.reduce((sum, point) => sum + point[at], 0) / points.length;
  const [x, y] = [mean(0), mean(1)];
  const above = points.reduce((sum, point) => sum + (point[0] - x) * (point[1] - y), 0);
  return above / points.reduce((sum, point) => sum + (point[0] - x) ** 2, 0);
}

const MIB = (value: number) => Math.round(value * 10) / 10;

async function soak(scene: Scene, scale: Scale, total: number, tables: 'grow' | 'same'): Promise<Result> {
  const findings = new Findings();
  const port = await freePort();
  const service = await scene.start({ PORT: String(port) });
  const pid = service.child.pid ?? 0;
  const ring = await prepareRequests(scene.origin, tables);
  const samples: (readonly [number, number])[] = [];
  const every = total / SAMPLES;
  const from = performance.now();
  await hammer(port, ring, total, (count) => {
    if (count % every === 0) samples.push([count / 100_000, residentMiB(pid) ?? 0]);
  });
  const seconds = (performance.now() - from) / 1000;
  const judged = samples.slice(SAMPLES * WARM_UP);
  const growth = slope(judged);
  const last = judged.at(-1)?.[1] ?? 0;
  // A small run says little of so slow a growth.
  const limit = scale === 'long' ? MAX_GROWTH_MIB : Number.POSITIVE_INFINITY;
  findings.expect(growth < limit, `resident memory grew by ${MIB(growth)} MiB in 100,000 requests`);
  findings.expect(last < MOST_MIB[tables], `resident memory was ${last} MiB at the end`);
  const figures = {
    requests: total,
    'a second': Math.round(total / seconds),
    'MiB in 100,000 requests after the warm-up': MIB(growth),
    'MiB after the warm-up': MIB(judged[0]?.[1] ?? 0),
    'at the end': MIB(last),
    'at most': MIB(Math.max(...samples.map(([, resident]) => resident))),
  };
  return { figures, faults: findings.faults };
}

export const soakPostgres: Drill = {
  name: 'soak-postgres',
  holds: 'a million requests: after the first fifth, resident memory grows by less than 1 MiB in 100,000 (PostgreSQL)',
  within: { short: 60, long: 900 },
  run: async (scale) => {
    const server = await startPostgres();
    const scene = new Scene({ DATABASE_URL: server.url(), LOG_LEVEL: 'warn' });
    return soak(scene, scale, scale === 'long' ? 1_000_000 : 20_000, 'grow').finally(async () => {
      await scene.clear();
      await server.remove();
    });
  },
};

export const soakEmbedded: Drill = {
  name: 'soak-embedded',
  holds:
    'a million requests: after the first fifth, resident memory grows by less than 1 MiB in 100,000 (embedded, tables of one size)',
  within: { short: 60, long: 900 },
  run: async (scale) => {
    const scene = new Scene({ LOG_LEVEL: 'warn' });
    return soak(scene, scale, scale === 'long' ? 1_000_000 : 10_000, 'same').finally(() => scene.clear());
  },
};
