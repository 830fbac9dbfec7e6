import { setTimeout as delay } from 'node:timers/promises';

export interface Pace {
  readonly perSecond: number;
  readonly seconds: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Calls `act` so many times a second until the time is over or `signal` aborts, without waiting for it in between;
 * settles when every call has. What falls behind is made up for.
 */
export async function steadily({ perSecond, seconds, signal }: Pace, act: () => Promise<unknown>): Promise<void> {
  const from = performance.now();
  const underWay = new Set<Promise<unknown>>();
  let count = 0;
  while (performance.now() - from < seconds * 1000 && signal?.aborted !== true) {
    for (; count < ((performance.now() - from) / 1000) * perSecond; count += 1) {
      const one = act().finally(() => underWay.delete(one));
      underWay.add(one);
    }
    await delay(2);
  }
  await Promise.all(underWay);
}
