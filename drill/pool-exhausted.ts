import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import type { Drill } from './support/drill.ts';

const RATES = { read: 30, write: 30, health: 20 };
const ROUNDS = { short: 1, long: 5 };
const LOCKED_MS = { short: 11_500, long: 25_000 };
/** The queue timeout is 2 s; the rest is for a busy machine. */
const MAX_503_MS = 2_500;
/** The deadline of a request is 10.5 s; the rest is for a busy machine. */
const MAX_500_MS = 11_000;
const MAX_HEALTH_MS = 500;
const MAX_RECOVERY_MS = 2_000;

export const poolExhausted: Drill = {
  name: 'pool-exhausted',
  holds:
    'a lock blocks every connection: queued 503 after 2 s, in flight 500 by 10.5 s, /health 200; recovered after 2 s',
  timeoutSeconds: { short: 60, long: 180 },
  run: async (run) => {
    const server = await run.postgres();
    const service = run.service({ DATABASE_URL: server.url() });
    await service.start();
    const locker = new pg.Client(server.url());
    run.onRelease(() => locker.end().catch(() => undefined));
    await locker.connect();
    const load = run.load(service);
    const slowest = { queued: 0, inFlight: 0, recovery: 0 };
    load.start(RATES);
    for (let round = 1; round <= ROUNDS[run.scale]; round += 1) {
      await delay(300);
      await locker.query('begin; lock table todo.tasks in access exclusive mode');
      const lockedAt = performance.now();
      await delay(LOCKED_MS[run.scale]);
      await locker.query('commit');
      const releasedAt = performance.now();
      await delay(MAX_RECOVERY_MS + 500);
      const meanwhile = load.samples.sentBetween(lockedAt, releasedAt);
      slowest.queued = Math.max(slowest.queued, meanwhile.withStatus(503).slowestMs());
      slowest.inFlight = Math.max(slowest.inFlight, meanwhile.withStatus(500).slowestMs());
      const ms = load.recoveryMs(releasedAt);
      slowest.recovery = Math.max(slowest.recovery, ms);
      run.expect(ms <= MAX_RECOVERY_MS, `round ${round}: recovered ${ms} ms after the lock was released`);
    }
    await load.stop();
    const health = load.samples.of('health');
    const others = load.samples.otherThan(200, 201, 500, 503);
    run.expect(service.isRunning, 'the process has exited');
    run.expect(others === 0, `requests were answered ${load.samples.byStatus()}`);
    run.expect(slowest.queued > 0 && slowest.inFlight > 0, 'no request timed out in the queue, or none in flight');
    run.expect(slowest.queued <= MAX_503_MS, `a 503 took ${slowest.queued} ms`);
    run.expect(slowest.inFlight <= MAX_500_MS, `a 500 took ${slowest.inFlight} ms`);
    run.expect(health.otherThan(200) === 0, `/health was answered ${health.byStatus()}`);
    run.expect(health.slowestMs() <= MAX_HEALTH_MS, `/health took ${health.slowestMs()} ms`);
    return {
      rounds: ROUNDS[run.scale],
      'slowest 503, ms': slowest.queued,
      'slowest 500, ms': slowest.inFlight,
      '/health answered 200': health.count,
      'slowest /health, ms': health.slowestMs(),
      'slowest recovery from the release, ms': slowest.recovery,
      ...(await load.verify(run)),
    };
  },
};
