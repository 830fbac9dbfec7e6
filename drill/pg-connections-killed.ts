import { setTimeout as delay } from 'node:timers/promises';
import { type Drill, Findings } from './support/drill.ts';
import { isGood, Load } from './support/load.ts';
import { Scene, startPostgres } from './support/scene.ts';
import { endConnections } from './support/service-connections.ts';

const REQUESTS_PER_SECOND = 200;
const ROUNDS = {
  short: { oneByOne: 12, allAtOnce: 5, idle: 4 },
  long: { oneByOne: 200, allAtOnce: 60, idle: 30 },
};

export const pgConnectionsKilled: Drill = {
  name: 'pg-connections-killed',
  holds:
    'connections that PostgreSQL ends under load or while idle cost no read, no acknowledged write and no second try of a write',
  within: { short: 40, long: 180 },
  run: async (scale) => {
    const server = await startPostgres();
    const scene = new Scene({ DATABASE_URL: server.url() });
    const findings = new Findings();
    const rounds = ROUNDS[scale];
    try {
      const service = await scene.start();
      const load = new Load(() => scene.origin);
      let ended = 0;
      let bad = 0;
      const endThenAsk = async (most?: number) => {
        ended += await endConnections(server.url(), most);
        const next = ended % 2 === 0 ? [load.read(), load.write()] : [load.write(), load.read()];
        bad += (await Promise.all(next)).filter((seen) => !isGood(seen)).length;
      };
      load.start(REQUESTS_PER_SECOND);
      for (let round = 0; round < rounds.oneByOne; round += 1) {
        await delay(100);
        await endThenAsk(1);
      }
      for (let round = 0; round < rounds.allAtOnce; round += 1) {
        await delay(300);
        await endThenAsk();
      }
      await load.stop();
      for (let round = 0; round < rounds.idle; round += 1) await endThenAsk();

      findings.expect(service.child.exitCode === null, 'the process ended');
      findings.expect(bad === 0, `${bad} requests sent after connections had ended were not answered 200 or 201`);
      const readsLost = load.reads.otherThan(200);
      findings.expect(readsLost === 0, `${readsLost} reads were not answered 200`);
      const strange = load.ledger.otherThan(201, 500);
      findings.expect(strange === 0, `${strange} writes were answered neither 201 nor 500`);
      findings.expect((load.ledger.statuses.get(500) ?? 0) > 0, 'no write was caught under way');
      const figures = await load.settle(findings);
      return { figures: { 'connections ended': ended, ...figures }, faults: findings.faults };
    } finally {
      await scene.clear();
      await server.remove();
    }
  },
};
