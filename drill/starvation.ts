import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from './support/client.ts';
import type { Drill, Figures } from './support/drill.ts';
import type { DrillRun } from './support/drill-run.ts';
import { watchMemory } from './support/memory.ts';
import { Others } from './support/others.ts';
import { quantile, type Samples } from './support/samples.ts';
import type { ServiceUnderTest } from './support/service-under-test.ts';

/** The longest list: 1000 tasks of characters that take six bytes each in JSON. */
const TASKS = 1_000;
const LONGEST = { title: '\u0001'.repeat(200), description: '\u0001'.repeat(2_000) };
const SEEDING_CONCURRENCY = 8;

const LISTS_AT_ONCE = 100;
const UNREAD = 90;
const TRICKLING = 40;
const TRICKLE_BYTES = 1_024;
const CREATES_AT_ONCE = 100;
const FLOODING_CONNECTIONS = 100;
const PIPELINED = 2_000;
const SECONDS = { short: 2, long: 10 };
/** An answer has to be read within 60 s; the rest is for a busy machine. */
const MAX_OPEN_SECONDS = 63;

const MAX_P99_MS = 150;
/** On a machine that is busy with other things; the short form allows whichever is more. */
const MAX_BUSY_P99_MS = 1_000;
const MAX_TIMES_SLOWER = 20;
const MAX_GROWTH_MIB = 230;

/** Opens connections that send `request` and do not read the answer. */
function openUnread(service: ServiceUnderTest, count: number, request: string): Socket[] {
  return Array.from({ length: count }, () => {
    const socket = connect(service.port, '127.0.0.1', () => socket.write(request));
    socket.on('error', () => undefined);
    return socket.pause();
  });
}

async function closed(sockets: readonly Socket[], seconds: number): Promise<number> {
  const waiting = sockets.map((socket) => socket.closed || new Promise((resolve) => socket.once('close', resolve)));
  await Promise.race([Promise.all(waiting), delay(seconds * 1_000)]);
  return sockets.filter((socket) => !socket.closed).length;
}

const statuses = (answers: readonly { readonly status: number }[]) =>
  [...new Set(answers.map(({ status }) => status))]
    .sort()
    .map((status) => `${status}: ${answers.filter((answer) => answer.status === status).length}`)
    .join(', ');

/** What is done to the service, and what became of it. */
type Attack = (run: DrillRun, service: ServiceUnderTest, client: Client) => Promise<string>;

const lists: Attack = async (_run, service, client) => {
  const url = `${service.origin}/api/tasks`;
  const all = Array.from({ length: LISTS_AT_ONCE }, () => client.request(url, { user: 'attacker_lists' }));
  return statuses(await Promise.all(all));
};

const rawList = async (client: Client, user: string) =>
  `GET /api/tasks HTTP/1.1\r\nHost: x\r\nAuthorization: ${await client.authorization(user)}\r\n\r\n`;

const unread: Attack = async (run, service, client) => {
  const sockets = openUnread(service, UNREAD, await rawList(client, 'attacker_unread'));
  await delay(SECONDS[run.scale] * 1_000);
  for (const socket of sockets) socket.destroy();
  return `${UNREAD} connections`;
};

const trickle: Attack = async (run, service, client) => {
  const sockets = openUnread(service, TRICKLING, await rawList(client, 'attacker_trickle'));
  const timer = setInterval(() => {
    for (const socket of sockets) socket.read(Math.min(TRICKLE_BYTES, socket.readableLength));
  }, 100);
  const open = await closed(sockets, run.scale === 'short' ? SECONDS.short : MAX_OPEN_SECONDS);
  clearInterval(timer);
  for (const socket of sockets) socket.destroy();
  if (run.scale === 'long') run.expect(open === 0, `${open} answers were still open after ${MAX_OPEN_SECONDS} s`);
  return `${open} of ${TRICKLING} connections open at the end`;
};

const creates: Attack = async (_run, service, client) => {
  const request = { method: 'POST', user: 'attacker_creates', body: LONGEST };
  const all = Array.from({ length: CREATES_AT_ONCE }, () => client.request(`${service.origin}/api/tasks`, request));
  return statuses(await Promise.all(all));
};

/** Distinct tokens whose signatures are wrong, on many connections, one of which does not wait for the answers. */
const invalidTokens: Attack = async (run, service, client) => {
  const valid = await client.authorization('attacker_tokens');
  let count = 0;
  const request = () => {
    count += 1;
    const token = `${valid.slice(0, -12)}${String(count).padStart(11, '0')}${valid.slice(-1)}`;
    return `GET /api/tasks HTTP/1.1\r\nHost: x\r\nAuthorization: ${token}\r\n\r\n`;
  };
  let answered = 0;
  const sockets = Array.from({ length: FLOODING_CONNECTIONS }, (_, index) => {
    const socket = connect(service.port, '127.0.0.1', () => {
      socket.write(index === 0 ? Array.from({ length: PIPELINED }, request).join('') : request());
    });
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => {
      answered += bytes.toString('latin1').split('HTTP/1.1 401').length - 1;
      if (index > 0) socket.write(request());
    });
    return socket;
  });
  await delay(SECONDS[run.scale] * 1_000);
  for (const socket of sockets) socket.destroy();
  return `${answered} answered 401`;
};

const ATTACKS: readonly (readonly [name: string, attack: Attack])[] = [
  [`${LISTS_AT_ONCE} of the longest lists at once`, lists],
  [`${UNREAD} unread lists`, unread],
  [`${TRICKLING} lists read at a trickle`, trickle],
  [`${CREATES_AT_ONCE} large creates at once`, creates],
  ['a flood of invalid tokens', invalidTokens],
];

async function seedLongest(client: Client, origin: string, user: string): Promise<void> {
  let left = TASKS;
  const create = async () => {
    while (left > 0) {
      left -= 1;
      await client.request(`${origin}/api/tasks`, { method: 'POST', user, body: LONGEST });
    }
  };
  await Promise.all(Array.from({ length: SEEDING_CONCURRENCY }, create));
}

/** Why others were not answered, from the log. */
function causes(log: string): string {
  const lines = log.split('\n').filter((line) => line.includes('"user_id":"other_') && line.includes('"err":'));
  return [...new Set(lines.map((line) => /"err":\{"type":"\w+","message":"([^"]*)/.exec(line)?.[1]))].join(', ');
}

async function starve(run: DrillRun, service: ServiceUnderTest): Promise<Figures> {
  const client = run.client();
  await service.start();
  await new Others(client, service.origin).seed();
  const attackers = ['attacker_lists', 'attacker_unread', 'attacker_trickle'];
  await Promise.all(attackers.map((user) => seedLongest(client, service.origin, user)));
  await service.process.stop();
  const process = await service.start({ RATE_LIMIT_PER_MINUTE: '100', LOG_LEVEL: 'info' });
  const pid = process.child.pid ?? 0;
  const others = new Others(run.client(), service.origin);
  await others.seed();
  const before = watchMemory(pid)();
  const alone = await others.during(delay(2_000));
  const figures: Record<string, number | string> = {
    'resident before, MiB': before,
    'others alone: p50 and p99, ms': `${p50(alone)} and ${alone.p99Ms()}`,
  };
  const busyMs = Math.max(MAX_BUSY_P99_MS, MAX_TIMES_SLOWER * alone.p99Ms());
  const maxP99Ms = run.scale === 'short' ? busyMs : MAX_P99_MS;
  for (const [name, attack] of ATTACKS) {
    const most = watchMemory(pid);
    const from = performance.now();
    const attacking = attack(run, service, client);
    const samples = await others.during(attacking);
    const failed = samples.otherThan(200, 201);
    const p99 = samples.p99Ms();
    const mib = most();
    run.expect(failed === 0, `${name}: others were answered ${samples.byStatus()} (${causes(process.stdout)})`);
    run.expect(p99 < maxP99Ms, `${name}: the p99 of others was ${p99} ms`);
    run.expect(mib - before < MAX_GROWTH_MIB, `${name}: ${mib} MiB were resident, ${before} before`);
    const seconds = ((performance.now() - from) / 1_000).toFixed(1);
    figures[name] =
      `${await attacking} in ${seconds} s; others ${samples.byStatus()}, p50 ${p50(samples)} ms, p99 ${p99} ms; at most ${mib} MiB`;
  }
  run.expect(service.isRunning, 'the process has exited');
  return figures;
}

const p50 = ({ all }: Samples) =>
  Math.round(
    quantile(
      all.map(({ sentAt, receivedAt }) => receivedAt - sentAt),
      0.5,
    ) * 10,
  ) / 10;

const HOLDS =
  'one user sends the longest lists at once, leaves them unread, reads them at a trickle, creates, sends invalid ' +
  'tokens: others are answered 200, p99 below 150 ms; memory grows by less than 230 MiB; a trickle is cut after 60 s';

export const starvationPostgres: Drill = {
  name: 'starvation-postgres',
  holds: `${HOLDS} (PostgreSQL)`,
  timeoutSeconds: { short: 120, long: 300 },
  run: async (run) => starve(run, run.service({ DATABASE_URL: (await run.postgres()).url() })),
};

export const starvationEmbedded: Drill = {
  name: 'starvation-embedded',
  holds: `${HOLDS} (embedded)`,
  timeoutSeconds: { short: 120, long: 300 },
  run: (run) => starve(run, run.service()),
};
