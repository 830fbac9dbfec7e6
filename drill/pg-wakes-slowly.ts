import { setTimeout as delay } from 'node:timers/promises';
import { Relay } from '../test/support/relay.ts';
import { type Drill, Findings } from './support/drill.ts';
import { isGood, Load } from './support/load.ts';
import { Scene, startPostgres } from './support/scene.ts';

const WAKE_MS = 5_000;
const ANSWERED_WITHIN_MS = 10_000;
const REFUSED_MS = 1_000;
/** Who comes while the database wakes: so many at first, and one more in every pause. */
const CROWDS = [50, 1];
const PAUSE_MS = 250;

const FALLS_ASLEEP = {
  held: async (relay: Relay) => relay.sleep({ wakeMs: WAKE_MS }),
  reset: async (relay: Relay) => relay.sleep({ wakeMs: WAKE_MS, resets: 1 }),
  refused: async (relay: Relay) => {
    relay.sleep({ wakeMs: WAKE_MS });
    await relay.refuse();
    setTimeout(() => void relay.listen(), REFUSED_MS);
  },
};

export const pgWakesSlowly: Drill = {
  name: 'pg-wakes-slowly',
  holds:
    'a database that sleeps, turns the first attempt away and takes 5 s to wake: every request waits for it and succeeds within 10 s',
  within: { short: 60, long: 180 },
  run: async (scale) => {
    const server = await startPostgres();
    const relay = await Relay.start(server.url());
    const scene = new Scene({ DATABASE_URL: relay.urlOf(server.url()) });
    const findings = new Findings();
    try {
      const load = new Load(() => scene.origin);
      let slept = 0;
      const wakeUp = async (how: string, atOnce: number) => {
        slept += 1;
        const asked = Array.from({ length: atOnce }, () => load.one());
        const from = performance.now();
        while (performance.now() - from < WAKE_MS + REFUSED_MS) {
          await delay(PAUSE_MS);
          asked.push(load.one());
        }
        const bad = (await Promise.all(asked)).filter((seen) => !isGood(seen)).length;
        findings.expect(bad === 0, `${how}, ${atOnce} at once: ${bad} requests were not answered 200 or 201`);
      };
      relay.sleep({ wakeMs: WAKE_MS, resets: 1 });
      const service = await scene.start();
      await wakeUp('asleep at the start', 1);
      const rounds = {
        short: [
          ['reset', 50],
          ['refused', 1],
        ] as const,
        long: everyCase(),
      }[scale];
      for (const [how, atOnce] of rounds) {
        await FALLS_ASLEEP[how](relay);
        await delay(PAUSE_MS); // the service has seen its connections end: a write sent on one that is ending would be 500
        await wakeUp(how, atOnce);
      }
      findings.expect(service.child.exitCode === null, 'the process ended');
      const longest = Math.max(load.reads.slowestMs(), load.ledger.slowestMs());
      findings.expect(longest < ANSWERED_WITHIN_MS, `a request was answered only after ${longest} ms`);
      const figures = {
        'times asleep': slept,
        'connections attempted': relay.connections,
        ...(await load.settle(findings)),
      };
      return { figures, faults: findings.faults };
    } finally {
      await scene.clear();
      relay.close();
      await server.remove();
    }
  },
};

function everyCase(): (readonly [keyof typeof FALLS_ASLEEP, number])[] {
  const ways = ['held', 'reset', 'refused'] as const;
  return [1, 2, 3].flatMap(() => ways.flatMap((how) => CROWDS.map((atOnce) => [how, atOnce] as const)));
}
