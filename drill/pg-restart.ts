import { setTimeout as delay } from 'node:timers/promises';
import { findPgbouncer, Pooler } from '../test/support/pooler.ts';
import { type Drill, Findings, type Result } from './support/drill.ts';
import { Load } from './support/load.ts';
import { Scene, startPostgres } from './support/scene.ts';

const REQUESTS_PER_SECOND = 200;
const WHOLE_WITHIN_MS = 2_000;
/** Long enough to see an answer that is still no good after it should have been. */
const WATCHED_MS = WHOLE_WITHIN_MS + 500;

interface Restarted {
  readonly stop: () => Promise<void>;
  /** Settles once connections are taken. */
  readonly start: () => Promise<void>;
}

/** Stops and starts what is between the service and its data, under load, so many `times`. */
async function restartUnderLoad(scene: Scene, times: number, { stop, start }: Restarted): Promise<Result> {
  const findings = new Findings();
  const service = await scene.start();
  const load = new Load(() => scene.origin);
  const wholeAfter = { accepting: 0, stopped: 0 };
  load.start(REQUESTS_PER_SECOND);
  for (let time = 1; time <= times; time += 1) {
    await delay(300);
    const stopped = performance.now();
    await stop();
    await start();
    const accepting = performance.now();
    await delay(WATCHED_MS);
    const ms = load.wholeAfter(accepting);
    findings.expect(ms <= WHOLE_WITHIN_MS, `restart ${time}: whole again only ${ms} ms after connections were taken`);
    wholeAfter.accepting = Math.max(wholeAfter.accepting, ms);
    wholeAfter.stopped = Math.max(wholeAfter.stopped, load.wholeAfter(stopped));
  }
  await load.stop();
  findings.expect(service.child.exitCode === null, 'the process ended');
  const figures = {
    restarts: times,
    'connections taken to whole again, longest ms': wholeAfter.accepting,
    'stopped to whole again, longest ms': wholeAfter.stopped,
    ...(await load.settle(findings)),
  };
  return { figures, faults: findings.faults };
}

export const pgRestart: Drill = {
  name: 'pg-restart',
  holds:
    'an immediate restart of PostgreSQL under load: whole again 2 s after it takes connections, nothing acknowledged lost',
  within: { short: 40, long: 180 },
  run: async (scale) => {
    const server = await startPostgres();
    const scene = new Scene({ DATABASE_URL: server.url() });
    try {
      return await restartUnderLoad(scene, { short: 2, long: 25 }[scale], {
        stop: () => server.stop('immediate'),
        start: () => server.start(),
      });
    } finally {
      await scene.clear();
      await server.remove();
    }
  },
};

export const pgbouncerRestart: Drill = {
  name: 'pgbouncer-restart',
  holds:
    'kill -9 of PgBouncer in transaction mode under load: whole again 2 s after it takes connections, nothing acknowledged lost',
  within: { short: 40, long: 180 },
  run: async (scale) => {
    const program = findPgbouncer();
    if (program === null) throw new Error('pgbouncer is not installed');
    const server = await startPostgres();
    const pooler = await Pooler.create(program, new URL(server.url()));
    const scene = new Scene({ DATABASE_URL: pooler.url });
    try {
      return await restartUnderLoad(scene, { short: 2, long: 30 }[scale], {
        stop: () => pooler.stop(),
        start: () => pooler.start(),
      });
    } finally {
      await scene.clear();
      await pooler.remove();
      await server.remove();
    }
  },
};
