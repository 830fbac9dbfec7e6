import { setTimeout as delay } from 'node:timers/promises';
import type { Drill } from './support/drill.ts';
import { Haproxy } from './support/haproxy.ts';
import { ReplicatedPostgres } from './support/replicated-postgres.ts';

const RATES = { read: 40, write: 40 };
const PROCESSES = 3;
const MAX_RECOVERY_MS = 2_000;
/** Longer than the limit, so that a failure after it is seen. */
const OBSERVE_MS = MAX_RECOVERY_MS + 500;
/** For how long writes wait for the standby before the primary is killed. */
const SYNCHRONOUS_MS = 1_500;
/** For how long the standby gets nothing more before that: what is acknowledged without it is lost. */
const STALLED_MS = 300;
/** Below the deadline of a transaction: no process may go on waiting for the server that is gone. */
const MAX_RESPONSE_MS = 10_000;
/** A frozen primary keeps its connections, and is killed when the standby has taken over. */
const FAULTS = { short: ['kill', 'freeze'], long: ['kill', 'kill', 'freeze'] } as const;

export const pgStandby: Drill = {
  name: 'pg-standby',
  holds:
    'primary killed or frozen, synchronous standby promoted, behind HAProxy: 3 processes recovered 2 s after it accepts writes, no acknowledged write lost',
  timeoutSeconds: { short: 120, long: 600 },
  run: async (run) => {
    const faults = Array.from({ length: { short: 1, long: 5 }[run.scale] }, () => FAULTS[run.scale]).flat();
    const postgres = await ReplicatedPostgres.create();
    run.onRelease(() => postgres.remove());
    const haproxy = await Haproxy.start(...postgres.servers);
    run.onRelease(() => haproxy.remove());
    await haproxy.until('first');
    const services = Array.from({ length: PROCESSES }, () => run.service({ DATABASE_URL: haproxy.url }));
    for (const service of services) await service.start();
    let requests = 0;
    const load = run.load({
      get origin() {
        requests += 1;
        return services[requests % PROCESSES]?.origin ?? '';
      },
    });
    let acknowledged = 0;
    let failedDuringRejoin = 0;
    const slowest = { fromAccepting: 0, kill: 0, freeze: 0 };
    load.start(RATES);
    for (const [index, fault] of faults.entries()) {
      const round = `round ${index + 1} (${fault})`;
      const synchronousAt = performance.now();
      await delay(SYNCHRONOUS_MS);
      const writes = load.samples.of('write').sentBetween(synchronousAt, performance.now()).withStatus(201);
      run.expect(writes.count > 0, `${round}: no write was acknowledged before it`);
      acknowledged += writes.count;

      await postgres.stallReplication();
      await delay(STALLED_MS);
      const lostAt = performance.now();
      const lost = postgres.primary;
      if (fault === 'kill') {
        await lost.stop('kill');
      } else {
        lost.freeze();
        await haproxy.until(null);
      }
      const acceptingAt = await postgres.promote();
      await delay(OBSERVE_MS);
      const ms = load.recoveryMs(acceptingAt);
      run.expect(ms <= MAX_RECOVERY_MS, `${round}: recovered ${ms} ms after the standby accepted writes`);
      slowest.fromAccepting = Math.max(slowest.fromAccepting, ms);
      slowest[fault] = Math.max(slowest[fault], load.recoveryMs(lostAt));

      const rejoinAt = performance.now();
      await lost.stop('kill');
      await postgres.rejoin();
      failedDuringRejoin += load.samples.sentBetween(rejoinAt, performance.now()).otherThan(200, 201);
    }
    await load.stop();
    const exited = services.filter(({ isRunning }) => !isRunning).length;
    run.expect(exited === 0, `${exited} processes have exited`);
    const slowestMs = load.samples.slowestMs();
    run.expect(slowestMs <= MAX_RESPONSE_MS, `a response took ${slowestMs} ms`);
    return {
      'killed before the promotion': faults.filter((fault) => fault === 'kill').length,
      'frozen, and killed after it': faults.filter((fault) => fault === 'freeze').length,
      'writes acknowledged in the 1.5 s before': acknowledged,
      'slowest recovery from accepting writes, ms': slowest.fromAccepting,
      'slowest recovery from the kill, ms': slowest.kill,
      'slowest recovery from the freeze, ms': slowest.freeze,
      'requests failed while the old primary rejoined': failedDuringRejoin,
      ...(await load.verify(run)),
    };
  },
};
