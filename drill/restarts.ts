import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { RunningService } from '../test/support/process.ts';
import { signToken } from '../test/support/service.ts';
import { type Answer, Client } from './support/client.ts';
import { type Drill, Findings, quantile, type Result, type Scale } from './support/drill.ts';
import { Ledger } from './support/ledger.ts';
import { Scene, startPostgres } from './support/scene.ts';

const RESTARTS = { short: 3, long: 10 };
const CLIENTS = 16;
/** A balancer learns late that a process is going: for so long it goes on sending requests to it. */
const LATE_MS = 100;

interface Tally {
  answered: number;
  /** Refused a connection: asked again elsewhere, or later. */
  refused: number;
  /** Requests that were sent and had no answer. */
  readonly unanswered: Answer[];
  readonly statuses: Map<number, number>;
  readonly tookMs: number[];
}

/** Asks one thing after the other, over a connection that is kept for as long as the service keeps it. */
async function askOnAndOn(origin: () => string, ledger: Ledger, tally: Tally, over: AbortSignal): Promise<void> {
  const token = await signToken(`reader_${randomUUID()}`);
  const client = new Client();
  for (let turn = 0; !over.aborted; turn += 1) {
    const where = origin();
    const answer = turn % 2 === 0 ? await ledger.write(where) : await client.ask(`${where}/api/tasks`, { token });
    if (answer.error === null) {
      tally.answered += 1;
      tally.tookMs.push(answer.tookMs);
      tally.statuses.set(answer.status, (tally.statuses.get(answer.status) ?? 0) + 1);
    } else if (answer.error === 'ECONNREFUSED') {
      tally.refused += 1;
      await delay(5);
    } else {
      tally.unanswered.push(answer);
    }
  }
  client.close();
}

/** Replaces a process under load, again and again. */
async function restartUnderLoad(
  scene: Scene,
  scale: Scale,
  replace: (old: RunningService) => Promise<{ service: RunningService; code: number | null }>,
): Promise<Result> {
  const findings = new Findings();
  let service = await scene.start();
  const tally: Tally = { answered: 0, refused: 0, unanswered: [], statuses: new Map(), tookMs: [] };
  const client = new Client();
  const ledger = new Ledger(client);
  const over = new AbortController();
  const asking = Array.from({ length: CLIENTS }, () => askOnAndOn(() => scene.origin, ledger, tally, over.signal));
  for (let restart = 0; restart < RESTARTS[scale]; restart += 1) {
    await delay(500);
    const replaced = await replace(service);
    findings.expect(replaced.code === 0, `a process ended with ${replaced.code}`);
    service = replaced.service;
  }
  await delay(500);
  over.abort();
  await Promise.all(asking);
  const audit = await ledger.audit(scene.origin);
  client.close();
  const bad = [...tally.statuses].filter(([status]) => status !== 200 && status !== 201);
  // A connection that the system took for a process that stops listening at this instant is reset without the process
  // having seen it; what a process did see is in its log.
  const unanswered = tally.unanswered.filter(({ requestId }) => scene.hasLogged(requestId));
  findings.expect(
    unanswered.length === 0,
    `${unanswered.length} accepted requests had no answer: ${[...new Set(unanswered.map(({ error }) => error))]}`,
  );
  findings.expect(
    bad.length === 0,
    `answers that are neither 200 nor 201: ${bad.map((entry) => entry.join(' × ')).join(', ')}`,
  );
  findings.expect(
    audit.lost === 0 && audit.wrong === 0,
    `${audit.lost} acknowledged writes lost, ${audit.wrong} wrong`,
  );
  const figures = {
    restarts: RESTARTS[scale],
    'requests answered': tally.answered,
    'accepted and not answered': unanswered.length,
    'connections refused': tally.refused,
    'connections reset before they were accepted': tally.unanswered.length - unanswered.length,
    'longest ms': Math.round(quantile(tally.tookMs, 1)),
    ...audit,
  };
  return { figures, faults: findings.faults };
}

export const rollingRestarts: Drill = {
  name: 'rolling-restarts',
  holds: 'processes on PostgreSQL replaced one after another under load: no request that was accepted goes unanswered',
  within: { short: 60, long: 120 },
  run: async (scale) => {
    const server = await startPostgres();
    const scene = new Scene({ DATABASE_URL: server.url() });
    const replace = async (old: RunningService) => {
      const from = scene.origin;
      const service = await scene.start();
      const to = scene.origin;
      scene.origin = from;
      const ended = old.stop();
      await delay(LATE_MS);
      scene.origin = to;
      return { service, code: await ended };
    };
    return restartUnderLoad(scene, scale, replace).finally(async () => {
      await scene.clear();
      await server.remove();
    });
  },
};

export const embeddedRestarts: Drill = {
  name: 'embedded-restarts',
  holds:
    'the one process of the embedded database stopped and started under load: no request that was accepted goes unanswered',
  within: { short: 60, long: 120 },
  run: async (scale) => {
    const scene = new Scene();
    const replace = async (old: RunningService) => {
      const code = await old.stop();
      return { code, service: await scene.start() };
    };
    return restartUnderLoad(scene, scale, replace).finally(() => scene.clear());
  },
};
