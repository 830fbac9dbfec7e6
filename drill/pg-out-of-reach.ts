import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { asAdmin } from '../test/support/service.ts';
import { Client } from './support/client.ts';
import { type Drill, Findings } from './support/drill.ts';
import { Load } from './support/load.ts';
import { Scene, startPostgres } from './support/scene.ts';
import { endConnections, serviceConnections } from './support/service-connections.ts';

const WHOLE_WITHIN_MS = 2_000;
/** Requests wait for 3 s of failed attempts, and are not answered later than the next attempt after that. */
const ANSWERED_WITHIN_MS = 4_500;
const REQUESTS_PER_SECOND = 100;

export const pgSlowStart: Drill = {
  name: 'pg-slow-start',
  holds:
    'PostgreSQL refuses at the start: the process serves, answers 500 without hanging, and prepares the database by itself within 2 s',
  within: { short: 40, long: 120 },
  run: async (scale) => {
    const server = await startPostgres();
    const scene = new Scene({ DATABASE_URL: server.url() });
    const findings = new Findings();
    const client = new Client();
    try {
      await server.stop('fast');
      await scene.start();
      const load = new Load(() => scene.origin);
      const started = performance.now();
      const refusedFor = { short: 5_000, long: 20_000 }[scale];
      const probes = { health: 0, ready: 0, healthMs: 0 };
      load.start(10);
      while (performance.now() - started < refusedFor) {
        const health = await client.ask(`${scene.origin}/health`);
        const ready = await client.ask(`${scene.origin}/ready`);
        if (health.status !== 200) probes.health += 1;
        if (ready.status !== 503) probes.ready += 1;
        probes.healthMs = Math.max(probes.healthMs, Math.round(health.tookMs));
        await delay(100);
      }
      await load.stop();
      findings.expect(probes.health === 0, `/health was not 200 ${probes.health} times`);
      findings.expect(probes.ready === 0, `/ready was not 503 ${probes.ready} times`);
      const others = load.reads.otherThan(500) + load.ledger.otherThan(500);
      findings.expect(others === 0, `${others} requests were not answered 500`);
      const longest = Math.max(load.reads.slowestMs(), load.ledger.slowestMs());
      findings.expect(longest < ANSWERED_WITHIN_MS, `a request was answered only after ${longest} ms`);

      await server.start();
      const accepting = performance.now();
      const isPrepared = async () =>
        (await asAdmin(server.url(), `select to_regclass('todo.tasks') as tasks`)).rows[0]?.tasks !== null &&
        (await serviceConnections(server.url())).length > 0;
      while (!(await isPrepared()) && performance.now() - accepting < 10_000) await delay(20);
      const preparedMs = Math.round(performance.now() - accepting);
      findings.expect(preparedMs <= WHOLE_WITHIN_MS, `the database was prepared only after ${preparedMs} ms`);
      const isWhole = async () => (await load.write()).status === 201 && (await load.read()).status === 200;
      while (!(await isWhole()) && performance.now() - accepting < 10_000) await delay(20);
      const wholeMs = Math.round(performance.now() - accepting);
      findings.expect(wholeMs <= WHOLE_WITHIN_MS, `tasks were served only after ${wholeMs} ms`);
      const figures = {
        'refused for ms': refusedFor,
        'longest /health ms': probes.healthMs,
        'connections taken to prepared ms': preparedMs,
        'connections taken to whole ms': wholeMs,
        ...(await load.settle(findings)),
      };
      return { figures, faults: findings.faults };
    } finally {
      client.close();
      await scene.clear();
      await server.remove();
    }
  },
};

/** Those who take the connections of a server away from others. */
class Crowd {
  readonly #url: string;
  readonly #clients: pg.Client[] = [];

  constructor(url: string) {
    this.#url = url;
  }

  /** Takes every connection that is left. */
  async fill(): Promise<void> {
    for (;;) {
      const client = new pg.Client({ connectionString: this.#url, application_name: 'crowd' });
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

  /** Gives connections back. */
  async leave(most = Number.POSITIVE_INFINITY): Promise<void> {
    await Promise.all(this.#clients.splice(0, most).map((client) => client.end()));
  }
}

export const pgTooManyConnections: Drill = {
  name: 'pg-too-many-connections',
  holds: 'others take every connection of PostgreSQL: 503; served 2 s after there is room, be it for one connection',
  within: { short: 40, long: 180 },
  run: async (scale) => {
    const server = await startPostgres(['max_connections=25']);
    const url = server.url('todo', 'todo');
    const scene = new Scene({ DATABASE_URL: url });
    const findings = new Findings();
    const crowd = new Crowd(url);
    try {
      await asAdmin(server.url(), 'create role todo login createrole');
      await asAdmin(server.url(), 'create database todo owner todo');
      const service = await scene.start();
      const load = new Load(() => scene.origin);
      const rounds = { short: 1, long: 8 }[scale];
      const wholeAfter = { one: 0, all: 0 };
      let refused = 0;
      let others = 0;
      for (let round = 1; round <= rounds; round += 1) {
        await Promise.all([load.write(), load.read()]);
        await endConnections(server.url());
        await crowd.fill(); // while nobody asks the service for anything, it opens none
        const full = performance.now();
        load.start(REQUESTS_PER_SECOND);
        await delay(4_500);
        const answered = load.sentBetween(full, performance.now());
        refused += answered.filter(({ status }) => status === 503).length;
        others += answered.filter(({ status }) => status !== 503).length;
        for (const room of ['one', 'all'] as const) {
          await crowd.leave(room === 'one' ? 1 : undefined);
          const free = performance.now();
          await delay(WHOLE_WITHIN_MS + 500);
          const ms = load.wholeAfter(free);
          findings.expect(ms <= WHOLE_WITHIN_MS, `round ${round}: with room for ${room}, whole only after ${ms} ms`);
          wholeAfter[room] = Math.max(wholeAfter[room], ms);
        }
        await load.stop();
      }
      findings.expect(service.child.exitCode === null, 'the process ended');
      findings.expect(refused > 0, 'no request was refused');
      findings.expect(others === 0, `${others} requests were not answered 503 while there was no connection`);
      const longest = Math.max(load.reads.slowestMs(), load.ledger.slowestMs());
      findings.expect(longest < ANSWERED_WITHIN_MS, `a request was answered only after ${longest} ms`);
      const figures = {
        'times full': rounds,
        'room for one to whole again, longest ms': wholeAfter.one,
        'room for all to whole, longest ms': wholeAfter.all,
        ...(await load.settle(findings)),
      };
      return { figures, faults: findings.faults };
    } finally {
      await crowd.leave();
      await scene.clear();
      await server.remove();
    }
  },
};
