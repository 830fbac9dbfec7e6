import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import type { Drill } from './support/drill.ts';
import { runSql, terminateConnections } from './support/postgres.ts';

/** After a write the service notifies other processes, once for all writes of a moment. */
const AFTER_WRITE_MS = 1_000;
const RATES = { read: 50, write: 50 };
const MAX_RECOVERY_MS = 2_000;
/** The circuit breaker opens after 3 s, at the end of an attempt. */
const MAX_RESPONSE_MS = 4_500;

/** Other clients of the server, which take its connections. */
class OtherClients {
  readonly #url: string;
  readonly #clients: pg.Client[] = [];

  constructor(url: string) {
    this.#url = url;
  }

  /** Opens connections until the server refuses one (SQLSTATE 53300). */
  async takeAll(): Promise<void> {
    for (;;) {
      const client = new pg.Client({ connectionString: this.#url, application_name: 'others' });
      client.on('error', () => undefined);
      try {
        await client.connect();
      } catch (error) {
        if (error instanceof pg.DatabaseError && error.code === '53300') return;
        throw error;
      }
      this.#clients.push(client);
    }
  }

  async close(count = Number.POSITIVE_INFINITY): Promise<void> {
    await Promise.all(this.#clients.splice(0, count).map((client) => client.end()));
  }
}

export const pgTooManyConnections: Drill = {
  name: 'pg-too-many-connections',
  holds: 'others use all connections of PostgreSQL: 503; recovered 2 s after one connection, or all, are available',
  timeoutSeconds: { short: 40, long: 180 },
  run: async (run) => {
    const server = await run.postgres(['max_connections=25']);
    const url = server.url('todo', 'todo');
    const service = run.service({ DATABASE_URL: url });
    const others = new OtherClients(url);
    run.onRelease(() => others.close());
    await runSql(server, 'create role todo login createrole');
    await runSql(server, 'create database todo owner todo');
    await service.start();
    const load = run.load(service);
    const rounds = { short: 1, long: 8 }[run.scale];
    const slowest = { one: 0, all: 0 };
    let refused = 0;
    for (let round = 1; round <= rounds; round += 1) {
      await Promise.all([load.write(), load.read()]);
      await delay(AFTER_WRITE_MS);
      await terminateConnections(server);
      await others.takeAll(); // without requests, the service opens no connection
      const takenAt = performance.now();
      load.start(RATES);
      await delay(4_500);
      const meanwhile = load.samples.sentBetween(takenAt, performance.now());
      refused += meanwhile.withStatus(503).count;
      run.expect(meanwhile.otherThan(503) === 0, `round ${round}: requests were answered ${meanwhile.byStatus()}`);
      for (const available of ['one', 'all'] as const) {
        await others.close(available === 'one' ? 1 : undefined);
        const closedAt = performance.now();
        await delay(MAX_RECOVERY_MS + 500);
        const ms = load.recoveryMs(closedAt);
        run.expect(ms <= MAX_RECOVERY_MS, `round ${round}, ${available} available: recovered after ${ms} ms`);
        slowest[available] = Math.max(slowest[available], ms);
      }
      await load.stop();
    }
    const slowestMs = load.samples.slowestMs();
    run.expect(service.isRunning, 'the process has exited');
    run.expect(refused > 0, 'no request was refused');
    run.expect(slowestMs < MAX_RESPONSE_MS, `a response took ${slowestMs} ms`);
    return {
      rounds,
      'slowest recovery with one connection, ms': slowest.one,
      'slowest recovery with all, ms': slowest.all,
      ...(await load.verify(run)),
    };
  },
};
