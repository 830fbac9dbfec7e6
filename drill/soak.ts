import { freePort } from '../test/support/postgres-server.ts';
import type { Client } from './support/client.ts';
import type { Drill, Figures } from './support/drill.ts';
import type { DrillRun } from './support/drill-run.ts';
import { residentMiB } from './support/memory.ts';
import type { ServiceUnderTest } from './support/service-under-test.ts';

const TOTAL = { short: 10_000, long: 1_000_000 };
const CONCURRENCY = 32;
const USERS = 200;
const TASKS_PER_USER = 20;
const SAMPLES = 100;
/** The share of the samples that is not evaluated. */
const WARM_UP = 0.2;
const MAX_GROWTH_MIB = 1;

interface SoakRequest {
  readonly expected: number;
  readonly path: string;
  readonly options: Parameters<Client['request']>[1];
}

interface Workload {
  /** Limit of the resident memory at the end. The embedded database runs in the process and needs more. */
  readonly maxMiB: number;
  /** Creates are for users that are never listed. Without them the tables keep their size. */
  readonly tables: 'growing' | 'fixed';
}

/** Creates a task and makes a request for it: of 20, 8 lists, 6 gets, 4 writes, 1 toggle, 1 invalid update. */
async function prepareRequest(
  client: Client,
  origin: string,
  user: string,
  number: number,
  tables: Workload['tables'],
): Promise<SoakRequest> {
  const create = { method: 'POST', user, body: { title: `task ${number}` } };
  const { body, status } = await client.request(`${origin}/api/tasks`, create);
  if (status !== 201) throw new Error(`a create was answered ${status}: ${body}`);
  const { id }: { id: string } = JSON.parse(body);
  const path = `/api/tasks/${id}`;
  if (number < 8) return { expected: 200, path: '/api/tasks', options: { user } };
  if (number < 14) return { expected: 200, path, options: { user } };
  if (number < 16 && tables === 'growing') {
    return { expected: 201, path: '/api/tasks', options: { ...create, user: `${user}_creates` } };
  }
  const put = { method: 'PUT', user };
  if (number < 18) return { expected: 200, path, options: { ...put, body: { is_completed: number === 16 } } };
  if (number < 19) return { expected: 200, path: `${path}/toggle`, options: { method: 'POST', user } };
  return { expected: 400, path, options: { ...put, body: { title: '' } } };
}

async function prepareRequests(client: Client, origin: string, tables: Workload['tables']): Promise<SoakRequest[]> {
  const requests: SoakRequest[] = [];
  const numbers = Array.from({ length: TASKS_PER_USER }, (_, number) => number);
  for (let index = 0; index < USERS; index += 1) {
    const prepare = (number: number) => prepareRequest(client, origin, `soak_${index}`, number, tables);
    requests.push(...(await Promise.all(numbers.map(prepare))));
  }
  return requests;
}

/** @returns the slope of the regression line through `points`. */
function slope(points: readonly (readonly [number, number])[]): number {
  const mean = (axis: 0 | 1) => points.reduce((sum, point) => sum + point[axis], 0) / points.length;
  const [x, y] = [mean(0), mean(1)];
  const covariance = points.reduce((sum, point) => sum + (point[0] - x) * (point[1] - y), 0);
  return covariance / points.reduce((sum, point) => sum + (point[0] - x) ** 2, 0);
}

const rounded = (value: number) => Math.round(value * 10) / 10;

async function soak(run: DrillRun, service: ServiceUnderTest, workload: Workload): Promise<Figures> {
  const { maxMiB, tables } = workload;
  const total = TOTAL[run.scale];
  const { child } = await service.start({ PORT: String(await freePort()) });
  const client = run.client();
  const requests = await prepareRequests(client, service.origin, tables);
  const samples: (readonly [hundredThousands: number, mib: number])[] = [];
  let sent = 0;
  let received = 0;
  const sendInTurn = async () => {
    while (sent < total) {
      const request = requests[(sent * 7) % requests.length];
      if (request === undefined) return;
      sent += 1;
      const { status, error } = await client.request(`${service.origin}${request.path}`, request.options);
      if (status !== request.expected)
        throw new Error(`${request.path}: ${status} ${error} is not ${request.expected}`);
      received += 1;
      if (received % (total / SAMPLES) === 0) samples.push([received / 100_000, residentMiB(child.pid ?? 0)]);
    }
  };
  const from = performance.now();
  await Promise.all(Array.from({ length: CONCURRENCY }, sendInTurn));
  const seconds = (performance.now() - from) / 1000;

  const evaluated = samples.slice(SAMPLES * WARM_UP);
  const growth = slope(evaluated);
  const last = evaluated.at(-1)?.[1] ?? 0;
  // A short run is too short to measure so slow a growth.
  const limit = run.scale === 'long' ? MAX_GROWTH_MIB : Number.POSITIVE_INFINITY;
  run.expect(growth < limit, `resident memory grew by ${rounded(growth)} MiB per 100,000 requests`);
  run.expect(last < maxMiB, `resident memory was ${rounded(last)} MiB at the end`);
  return {
    requests: total,
    'requests per second': Math.round(total / seconds),
    'MiB per 100,000 requests after the warm-up': rounded(growth),
    'MiB after the warm-up': rounded(evaluated[0]?.[1] ?? 0),
    'MiB at the end': rounded(last),
    'MiB at most': rounded(Math.max(...samples.map(([, mib]) => mib))),
  };
}

const HOLDS = 'a million requests: after the first fifth, resident memory grows by less than 1 MiB per 100,000';

export const soakPostgres: Drill = {
  name: 'soak-postgres',
  holds: `${HOLDS} (PostgreSQL)`,
  timeoutSeconds: { short: 60, long: 900 },
  run: async (run) => {
    const service = run.service({ DATABASE_URL: (await run.postgres()).url(), LOG_LEVEL: 'warn' });
    return soak(run, service, { maxMiB: 256, tables: 'growing' });
  },
};

export const soakEmbedded: Drill = {
  name: 'soak-embedded',
  holds: `${HOLDS} (embedded, tables of fixed size)`,
  timeoutSeconds: { short: 60, long: 900 },
  run: (run) => soak(run, run.service({ LOG_LEVEL: 'warn' }), { maxMiB: 640, tables: 'fixed' }),
};
