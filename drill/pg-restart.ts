import { setTimeout as delay } from 'node:timers/promises';
import { findPgbouncer, Pooler } from '../test/support/pooler.ts';
import type { Drill, Figures } from './support/drill.ts';
import type { DrillRun } from './support/drill-run.ts';

const RATES = { read: 100, write: 100 };
const MAX_RECOVERY_MS = 2_000;
/** Longer than the limit, so that a failure after it is seen. */
const OBSERVE_MS = MAX_RECOVERY_MS + 500;
const TIMEOUT_SECONDS = { short: 40, long: 180 };

interface Restartable {
  readonly stop: () => Promise<void>;
  /** Settles once it accepts connections. */
  readonly start: () => Promise<void>;
}

async function restartUnderLoad(run: DrillRun, url: string, restarts: number, target: Restartable): Promise<Figures> {
  const service = run.service({ DATABASE_URL: url });
  await service.start();
  const load = run.load(service);
  const slowest = { fromAccepting: 0, fromStop: 0 };
  load.start(RATES);
  for (let restart = 1; restart <= restarts; restart += 1) {
    await delay(300);
    const stoppedAt = performance.now();
    await target.stop();
    await target.start();
    const acceptingAt = performance.now();
    await delay(OBSERVE_MS);
    const ms = load.recoveryMs(acceptingAt);
    run.expect(ms <= MAX_RECOVERY_MS, `restart ${restart}: recovered ${ms} ms after connections were accepted`);
    slowest.fromAccepting = Math.max(slowest.fromAccepting, ms);
    slowest.fromStop = Math.max(slowest.fromStop, load.recoveryMs(stoppedAt));
  }
  await load.stop();
  run.expect(service.isRunning, 'the process has exited');
  return {
    restarts,
    'slowest recovery from accepting connections, ms': slowest.fromAccepting,
    'slowest recovery from the stop, ms': slowest.fromStop,
    ...(await load.verify(run)),
  };
}

export const pgRestart: Drill = {
  name: 'pg-restart',
  holds: 'immediate restart of PostgreSQL: recovered 2 s after it accepts connections, no acknowledged write lost',
  timeoutSeconds: TIMEOUT_SECONDS,
  run: async (run) => {
    const server = await run.postgres();
    const restarts = { short: 2, long: 25 }[run.scale];
    return restartUnderLoad(run, server.url(), restarts, {
      stop: () => server.stop('immediate'),
      start: () => server.start(),
    });
  },
};

export const pgbouncerRestart: Drill = {
  name: 'pgbouncer-restart',
  holds: 'SIGKILL of PgBouncer (transaction mode): recovered 2 s after it accepts, no acknowledged write lost',
  timeoutSeconds: TIMEOUT_SECONDS,
  run: async (run) => {
    const program = findPgbouncer();
    if (program === null) throw new Error('NOT RUN: pgbouncer is not installed');
    const server = await run.postgres();
    const pooler = await Pooler.create(program, new URL(server.url()));
    run.onRelease(() => pooler.remove());
    const restarts = { short: 2, long: 30 }[run.scale];
    return restartUnderLoad(run, pooler.url, restarts, { stop: () => pooler.stop(), start: () => pooler.start() });
  },
};
