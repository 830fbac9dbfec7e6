import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Drill } from './support/drill.ts';
import { atRate } from './support/load.ts';
import { residentMiB } from './support/memory.ts';
import { quantile } from './support/samples.ts';

const STREAMS = { short: 1_000, long: 10_000 };
const OPENED_AT_ONCE = 50;
/** Longer than a heartbeat. */
const IDLE_SECONDS = { short: 16, long: 45 };
const WRITERS = { short: 200, long: 1_000 };
const WRITES_PER_SECOND = 100;
const WRITING_SECONDS = { short: 5, long: 20 };

const MAX_MIB = 500;
const MAX_IDLE_SHARE = 0.05;
/** 50 ms on a machine that is not overloaded; the drill, the database and the service share this one. */
const MAX_P99_MS = { short: 1_000, long: 500 };
const DEADLINE_MS = 30_000;

/** Of the clock of `/proc`. */
const TICKS_PER_SECOND = 100;

/** Seconds of CPU that a process has used. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** One user's stream, read as text. */
class Watcher {
  readonly user: string;
  readonly #socket: Socket;
  /** When each task was seen (`performance.now()`). */
  readonly seen = new Map<string, number>();
  repeated = 0;
  heartbeats = 0;
  #isSynced = false;
  #onSynced = () => {};
  #rest = '';

  constructor(user: string, port: number, authorization: string) {
    this.user = user;
    this.#socket = connect(port, '127.0.0.1');
    this.#socket.setEncoding('latin1');
    this.#socket.on('data', (text: string) => this.#read(text));
    this.#socket.on('error', () => undefined);
    this.#socket.write(`GET /api/events HTTP/1.1\r\nHost: x\r\nAuthorization: ${authorization}\r\n\r\n`);
  }

  synced(): Promise<void> {
    if (this.#isSynced) return Promise.resolve();
    return new Promise((resolve) => (this.#onSynced = resolve));
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line.startsWith(': ')) this.heartbeats += 1;
      if (line.startsWith('event: synced')) {
        this.#isSynced = true;
        this.#onSynced();
      }
      const id = /^data: \{"type":"task","id":"([^"]+)"/.exec(line)?.[1];
      if (id === undefined) continue;
      if (this.seen.has(id)) this.repeated += 1;
      this.seen.set(id, performance.now());
    }
  }
}

const range = (length: number) => Array.from({ length }, (_, index) => index);

export const streams: Drill = {
  name: 'streams',
  holds:
    '10,000 idle streams: below 500 MiB and 5 % of a core; users who write and watch see each change once, others none',
  timeoutSeconds: { short: 120, long: 400 },
  run: async (run) => {
    const service = run.service({
      DATABASE_URL: (await run.postgres()).url(),
      RATE_LIMIT_PER_MINUTE: '0',
      LOG_LEVEL: 'warn',
      PORT: '0',
    });
    await service.start({ LOG_LEVEL: 'info' });
    const pid = service.process.child.pid ?? 0;
    const client = run.client();
    const watchers: Watcher[] = [];
    run.onRelease(() => {
      for (const watcher of watchers) watcher.close();
    });

    const before = residentMiB(pid);
    const openedFrom = performance.now();
    const users = range(STREAMS[run.scale]).map((index) => `watcher-${index}`);
    for (let from = 0; from < users.length; from += OPENED_AT_ONCE) {
      const some = await Promise.all(
        users
          .slice(from, from + OPENED_AT_ONCE)
          .map(async (user) => new Watcher(user, service.port, await client.authorization(user))),
      );
      watchers.push(...some);
      await Promise.all(some.map((watcher) => watcher.synced()));
    }
    const openingMs = performance.now() - openedFrom;

    const cpuBefore = cpuSeconds(pid);
    await delay(IDLE_SECONDS[run.scale] * 1_000);
    const idleShare = (cpuSeconds(pid) - cpuBefore) / IDLE_SECONDS[run.scale];
    const resident = residentMiB(pid);
    const silent = watchers.filter(({ heartbeats }) => heartbeats === 0).length;

    const writers = watchers.slice(0, WRITERS[run.scale]);
    const acknowledged = new Map<string, { readonly at: number; readonly by: Watcher }>();
    let count = 0;
    let failed = 0;
    await atRate(WRITES_PER_SECOND, AbortSignal.timeout(WRITING_SECONDS[run.scale] * 1_000), async () => {
      const writer = writers[count % writers.length];
      count += 1;
      if (writer === undefined) return;
      const body = { title: 'seen?' };
      const answer = await client.request(`${service.origin}/api/tasks`, { method: 'POST', user: writer.user, body });
      if (answer.status === 201) acknowledged.set(JSON.parse(answer.body).id, { at: answer.receivedAt, by: writer });
      else failed += 1;
    });
    const deadline = performance.now() + DEADLINE_MS;
    const missing = () => [...acknowledged].filter(([id, { by }]) => !by.seen.has(id)).length;
    while (missing() > 0 && performance.now() < deadline) await delay(20);
    const lags = [...acknowledged].map(([id, { at, by }]) => Math.max(0, (by.seen.get(id) ?? Number.NaN) - at));
    const repeated = watchers.reduce((sum, watcher) => sum + watcher.repeated, 0);
    const foreign = watchers.reduce((sum, watcher) => sum + watcher.seen.size, 0) - acknowledged.size;

    run.expect(silent === 0, `${silent} streams had no heartbeat`);
    run.expect(resident < MAX_MIB, `${Math.round(resident)} MiB were resident`);
    run.expect(idleShare < MAX_IDLE_SHARE, `${(idleShare * 100).toFixed(1)} % of a core were used when idle`);
    run.expect(failed === 0, `${failed} writes failed`);
    run.expect(missing() === 0, `${missing()} changes were not seen`);
    run.expect(repeated === 0, `${repeated} changes were seen twice`);
    run.expect(foreign === 0, `${foreign} changes were seen by others, or were never acknowledged`);
    run.expect(
      quantile(lags, 0.99) < MAX_P99_MS[run.scale],
      `the p99 of seeing a change was ${quantile(lags, 0.99)} ms`,
    );
    return {
      streams: watchers.length,
      'opened a second': Math.round(watchers.length / (openingMs / 1_000)),
      'resident before, MiB': Math.round(before),
      'resident, MiB': Math.round(resident),
      'idle CPU, % of a core': Number((idleShare * 100).toFixed(1)),
      'changes seen': acknowledged.size,
      'median from acknowledged to seen, ms': Number(quantile(lags, 0.5).toFixed(1)),
      'p99, ms': Number(quantile(lags, 0.99).toFixed(1)),
    };
  },
};
