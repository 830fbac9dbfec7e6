import { setTimeout as delay } from 'node:timers/promises';
import type { Drill } from './support/drill.ts';
import { runSql, serviceConnections } from './support/postgres.ts';

const RATES = { read: 5, write: 5 };
const DOWN_MS = { short: 5_000, long: 20_000 };
const MAX_RECOVERY_MS = 2_000;
const RECOVERY_TIMEOUT_MS = 10_000;
/** The circuit breaker opens after 3 s, at the end of an attempt. */
const MAX_RESPONSE_MS = 4_500;

export const pgDownAtStart: Drill = {
  name: 'pg-down-at-start',
  holds: 'PostgreSQL is down when the service starts: 500 within 4.5 s; migrated and serving 2 s after it accepts',
  timeoutSeconds: { short: 40, long: 120 },
  run: async (run) => {
    const server = await run.postgres();
    await server.stop('fast');
    const service = run.service({ DATABASE_URL: server.url() });
    await service.start();
    const client = run.client();
    const load = run.load(service);
    const startedAt = performance.now();
    load.start({ ...RATES, health: 10 });
    while (performance.now() - startedAt < DOWN_MS[run.scale]) {
      const ready = await client.request(`${service.origin}/ready`);
      run.expect(ready.status === 503, `/ready was answered ${ready.status}`);
      await delay(100);
    }
    await load.stop();
    const health = load.samples.of('health');
    const tasks = load.samples.where(({ kind }) => kind !== 'health');
    run.expect(health.otherThan(200) === 0, `/health was answered ${health.byStatus()}`);
    run.expect(tasks.otherThan(500) === 0, `requests were answered ${tasks.byStatus()}`);
    run.expect(tasks.slowestMs() < MAX_RESPONSE_MS, `a response took ${tasks.slowestMs()} ms`);

    await server.start();
    const acceptingAt = performance.now();
    const isMigrated = async () =>
      (await runSql(server, `select to_regclass('todo.tasks') as tasks`)).rows[0]?.tasks !== null &&
      (await serviceConnections(server)).length > 0;
    while (!(await isMigrated()) && performance.now() - acceptingAt < RECOVERY_TIMEOUT_MS) await delay(20);
    const migratedMs = Math.round(performance.now() - acceptingAt);
    run.expect(migratedMs <= MAX_RECOVERY_MS, `migrated after ${migratedMs} ms`);
    await load.untilServing(RECOVERY_TIMEOUT_MS);
    const servingMs = Math.round(performance.now() - acceptingAt);
    run.expect(servingMs <= MAX_RECOVERY_MS, `serving after ${servingMs} ms`);
    return {
      'down for, ms': DOWN_MS[run.scale],
      'slowest /health, ms': health.slowestMs(),
      'migrated after, ms': migratedMs,
      'serving after, ms': servingMs,
      ...(await load.verify(run)),
    };
  },
};
