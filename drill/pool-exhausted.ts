import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { Client } from './support/client.ts';
import { type Drill, Findings } from './support/drill.ts';
import { Load, type Seen } from './support/load.ts';
import { Scene, startPostgres } from './support/scene.ts';

const REQUESTS_PER_SECOND = 60;
/** Requests wait 2 s for a connection; the rest is for a machine that is busy. */
const REFUSED_WITHIN_MS = 2_500;
/** A request is answered 10.5 s after it came, whatever it waited for; the rest is for a machine that is busy. */
const FAILED_WITHIN_MS = 11_000;
const HEALTH_WITHIN_MS = 500;
const WHOLE_WITHIN_MS = 2_000;

const longest = (answers: readonly Seen[]) =>
  Math.round(answers.reduce((most, { sentAt, answeredAt }) => Math.max(most, answeredAt - sentAt), 0));

export const poolExhausted: Drill = {
  name: 'pool-exhausted',
  holds:
    'every connection blocked by a lock: requests are 503 after 2 s, or 500 by 10.5 s where they were sent to it; /health meanwhile; whole 2 s after',
  within: { short: 60, long: 180 },
  run: async (scale) => {
    const server = await startPostgres();
    const scene = new Scene({ DATABASE_URL: server.url() });
    const findings = new Findings();
    const prober = new Client();
    const holder = new pg.Client(server.url());
    try {
      const service = await scene.start();
      await holder.connect();
      const load = new Load(() => scene.origin);
      const { rounds, lockedMs } = { short: { rounds: 1, lockedMs: 11_500 }, long: { rounds: 5, lockedMs: 25_000 } }[
        scale
      ];
      const slowest = { refused: 0, failed: 0, health: 0, whole: 0 };
      let healthy = 0;
      load.start(REQUESTS_PER_SECOND);
      for (let round = 1; round <= rounds; round += 1) {
        await delay(300);
        await holder.query('begin; lock table todo.tasks in access exclusive mode');
        const locked = performance.now();
        while (performance.now() - locked < lockedMs) {
          const health = await prober.ask(`${scene.origin}/health`);
          if (health.status === 200) healthy += 1;
          else findings.expect(false, `/health was answered ${health.status}`);
          slowest.health = Math.max(slowest.health, Math.round(health.tookMs));
          await delay(50);
        }
        await holder.query('commit');
        const released = performance.now();
        await delay(WHOLE_WITHIN_MS + 500);
        const answers = load.sentBetween(locked, released);
        slowest.refused = Math.max(slowest.refused, longest(answers.filter(({ status }) => status === 503)));
        slowest.failed = Math.max(slowest.failed, longest(answers.filter(({ status }) => status === 500)));
        const ms = load.wholeAfter(released);
        slowest.whole = Math.max(slowest.whole, ms);
        findings.expect(ms <= WHOLE_WITHIN_MS, `round ${round}: whole again only ${ms} ms after the lock was released`);
      }
      await load.stop();
      findings.expect(service.child.exitCode === null, 'the process ended');
      const strange = load.reads.otherThan(200, 500, 503) + load.ledger.otherThan(201, 500, 503);
      findings.expect(strange === 0, `${strange} requests were answered with another status`);
      findings.expect(slowest.refused > 0 && slowest.failed > 0, 'no request was refused, or none ran out of time');
      findings.expect(slowest.refused <= REFUSED_WITHIN_MS, `a request was refused only after ${slowest.refused} ms`);
      findings.expect(slowest.failed <= FAILED_WITHIN_MS, `a request was answered 500 only after ${slowest.failed} ms`);
      findings.expect(slowest.health <= HEALTH_WITHIN_MS, `/health took ${slowest.health} ms`);
      const figures = {
        'times locked': rounds,
        'longest 503 ms': slowest.refused,
        'longest 500 ms': slowest.failed,
        '/health answered 200': healthy,
        'longest /health ms': slowest.health,
        'released to whole again, longest ms': slowest.whole,
        ...(await load.settle(findings)),
      };
      return { figures, faults: findings.faults };
    } finally {
      prober.close();
      await holder.end().catch(() => undefined);
      await scene.clear();
      await server.remove();
    }
  },
};
