import { setTimeout as delay } from 'node:timers/promises';
import { Relay } from '../test/support/relay.ts';
import type { Drill } from './support/drill.ts';
import { succeeded } from './support/samples.ts';

const START_MS = 5_000;
const MAX_RESPONSE_MS = 10_000;
const REFUSED_MS = 1_000;
const INTERVAL_MS = 250;

/** How a suspended database treats the first connection attempt. */
const SUSPEND = {
  held: async (relay: Relay) => relay.sleep({ wakeMs: START_MS }),
  reset: async (relay: Relay) => relay.sleep({ wakeMs: START_MS, resets: 1 }),
  refused: async (relay: Relay) => {
    relay.sleep({ wakeMs: START_MS });
    relay.refuse();
    setTimeout(() => void relay.listen(), REFUSED_MS);
  },
};

type Case = readonly [first: keyof typeof SUSPEND, concurrent: number];

const SHORT: readonly Case[] = [
  ['reset', 50],
  ['refused', 1],
];
const LONG: readonly Case[] = [1, 2, 3].flatMap(() =>
  (['held', 'reset', 'refused'] as const).flatMap((first): Case[] => [
    [first, 50],
    [first, 1],
  ]),
);

export const pgColdStart: Drill = {
  name: 'pg-cold-start',
  holds: 'a suspended database rejects the first attempt and takes 5 s to start: every request succeeds within 10 s',
  timeoutSeconds: { short: 60, long: 180 },
  run: async (run) => {
    const server = await run.postgres();
    const relay = await Relay.start(server.url());
    run.onRelease(() => relay.close());
    const service = run.service({ DATABASE_URL: relay.urlOf(server.url()) });
    const load = run.load(service);
    let coldStarts = 0;
    /** Sends `concurrent` requests, and one more in every interval until the database has started. */
    const sendWhileStarting = async (concurrent: number, how: string) => {
      coldStarts += 1;
      const requests = Array.from({ length: concurrent }, () => load.next());
      const from = performance.now();
      while (performance.now() - from < START_MS + REFUSED_MS) {
        await delay(INTERVAL_MS);
        requests.push(load.next());
      }
      const failed = (await Promise.all(requests)).filter((sample) => !succeeded(sample)).length;
      run.expect(failed === 0, `${how}, ${concurrent} concurrent: ${failed} requests failed`);
    };
    relay.sleep({ wakeMs: START_MS, resets: 1 });
    await service.start();
    await sendWhileStarting(1, 'suspended at the start of the service');
    for (const [first, concurrent] of { short: SHORT, long: LONG }[run.scale]) {
      await SUSPEND[first](relay);
      await delay(INTERVAL_MS); // a write on a connection that is being closed would be 500
      await sendWhileStarting(concurrent, first);
    }
    run.expect(service.isRunning, 'the process has exited');
    const slowestMs = load.samples.slowestMs();
    run.expect(slowestMs < MAX_RESPONSE_MS, `a response took ${slowestMs} ms`);
    return { 'cold starts': coldStarts, 'connection attempts': relay.connections, ...(await load.verify(run)) };
  },
};
