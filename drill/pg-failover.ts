import { setTimeout as delay } from 'node:timers/promises';
import { asAdmin } from '../test/support/service.ts';
import { type Drill, Findings } from './support/drill.ts';
import { Load } from './support/load.ts';
import { Scene, startPostgres } from './support/scene.ts';
import { endConnections, serviceConnections } from './support/service-connections.ts';

const REQUESTS_PER_SECOND = 200;
/** By then every connection has learned of the server's change, and been refused a write. */
const SETTLED_MS = 1_000;
const WHOLE_WITHIN_MS = 2_000;

export const pgFailover: Drill = {
  name: 'pg-failover',
  holds:
    'a PostgreSQL turned read-only: reads 200, writes 503 and their connections dropped; whole again 2 s after it takes writes',
  within: { short: 40, long: 180 },
  run: async (scale) => {
    const server = await startPostgres();
    const scene = new Scene({ DATABASE_URL: server.url() });
    const findings = new Findings();
    try {
      const service = await scene.start();
      const load = new Load(() => scene.origin);
      const turn = async (state: 'on' | 'off', isCut: boolean) => {
        await asAdmin(server.url(), `alter system set default_transaction_read_only = ${state}`);
        await asAdmin(server.url(), 'select pg_reload_conf()');
        if (isCut) await endConnections(server.url());
        return performance.now();
      };
      let refused = 0;
      let kept = 0;
      let slowest = 0;
      const rounds = { short: 2, long: 20 }[scale];
      load.start(REQUESTS_PER_SECOND);
      for (let round = 1; round <= rounds; round += 1) {
        await delay(300);
        const before = new Set(await serviceConnections(server.url()));
        const readOnly = await turn('on', round % 2 === 0);
        await delay(SETTLED_MS + 500);
        const writes = load
          .sentBetween(readOnly + SETTLED_MS, performance.now())
          .filter(({ kind }) => kind === 'write');
        const others = writes.filter(({ status }) => status !== 503).length;
        refused += writes.length - others;
        findings.expect(others === 0, `round ${round}: ${others} writes to a read-only server were not answered 503`);
        kept += (await serviceConnections(server.url())).filter((pid) => before.has(pid)).length;

        const writable = await turn('off', round % 2 === 0);
        await delay(WHOLE_WITHIN_MS + 500);
        const ms = load.wholeAfter(writable);
        findings.expect(ms <= WHOLE_WITHIN_MS, `round ${round}: whole again only after ${ms} ms`);
        slowest = Math.max(slowest, ms);
      }
      await load.stop();
      findings.expect(service.child.exitCode === null, 'the process ended');
      findings.expect(refused > 0, 'no write was refused');
      findings.expect(kept === 0, `${kept} connections outlived a second of refused writes`);
      const readsLost = load.reads.otherThan(200);
      findings.expect(readsLost === 0, `${readsLost} reads were not answered 200`);
      const figures = {
        failovers: rounds,
        'writes refused by a settled read-only server': refused,
        'taking writes to whole again, longest ms': slowest,
        ...(await load.settle(findings)),
      };
      return { figures, faults: findings.faults };
    } finally {
      await scene.clear();
      await server.remove();
    }
  },
};
