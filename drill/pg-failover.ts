import { setTimeout as delay } from 'node:timers/promises';
import type { Drill } from './support/drill.ts';
import { runSql, serviceConnections, terminateConnections } from './support/postgres.ts';

const RATES = { read: 100, write: 100 };
/** By then every connection has been refused a write. */
const SETTLED_MS = 1_000;
const MAX_RECOVERY_MS = 2_000;

export const pgFailover: Drill = {
  name: 'pg-failover',
  holds:
    'PostgreSQL turned read-only: reads 200, writes 503, connections replaced; recovered 2 s after it accepts writes',
  timeoutSeconds: { short: 40, long: 180 },
  run: async (run) => {
    const server = await run.postgres();
    const service = run.service({ DATABASE_URL: server.url() });
    await service.start();
    const load = run.load(service);
    const failovers = { short: 2, long: 20 }[run.scale];
    /** Every second failover terminates the connections as well. */
    const setReadOnly = async (state: 'on' | 'off', failover: number) => {
      await runSql(server, `alter system set default_transaction_read_only = ${state}`);
      await runSql(server, 'select pg_reload_conf()');
      if (failover % 2 === 0) await terminateConnections(server);
      return performance.now();
    };
    let refused = 0;
    let kept = 0;
    let slowestMs = 0;
    load.start(RATES);
    for (let failover = 1; failover <= failovers; failover += 1) {
      await delay(300);
      const before = new Set(await serviceConnections(server));
      const readOnlyAt = await setReadOnly('on', failover);
      await delay(SETTLED_MS + 500);
      const writes = load.samples.of('write').sentBetween(readOnlyAt + SETTLED_MS, performance.now());
      refused += writes.withStatus(503).count;
      run.expect(writes.otherThan(503) === 0, `failover ${failover}: writes were answered ${writes.byStatus()}`);
      kept += (await serviceConnections(server)).filter((pid) => before.has(pid)).length;

      const writableAt = await setReadOnly('off', failover);
      await delay(MAX_RECOVERY_MS + 500);
      const ms = load.recoveryMs(writableAt);
      run.expect(ms <= MAX_RECOVERY_MS, `failover ${failover}: recovered after ${ms} ms`);
      slowestMs = Math.max(slowestMs, ms);
    }
    await load.stop();
    const reads = load.samples.of('read');
    run.expect(service.isRunning, 'the process has exited');
    run.expect(refused > 0, 'no write was refused');
    run.expect(kept === 0, `${kept} connections were kept after a second of refused writes`);
    run.expect(reads.otherThan(200) === 0, `reads were answered ${reads.byStatus()}`);
    return {
      failovers,
      'writes refused by a read-only server': refused,
      'slowest recovery from accepting writes, ms': slowestMs,
      ...(await load.verify(run)),
    };
  },
};
