import type { PostgresServer } from '../test/support/postgres-server.ts';
import { Client } from './support/client.ts';
import { type Drill, Findings, type Result, type Scale } from './support/drill.ts';
import { Ledger } from './support/ledger.ts';
import { Scene, startPostgres } from './support/scene.ts';

const KILLS = { short: 4, long: 50 };
const WRITES_PER_SECOND = 200;

/** How long to write before the next kill, in seconds: never the same twice running. */
const secondsBefore = (kill: number) => 0.4 + ((kill * 7) % 10) * 0.05;

async function killAgainAndAgain(
  scene: Scene,
  scale: Scale,
  killOne: (kill: number) => Promise<void>,
): Promise<Result> {
  const client = new Client();
  const ledger = new Ledger(client);
  const findings = new Findings();
  const kills = KILLS[scale];
  for (let kill = 1; kill <= kills; kill += 1) {
    const seconds = secondsBefore(kill);
    const stop = new AbortController();
    const writing = ledger.writeSteadily(() => scene.origin, WRITES_PER_SECOND, seconds + 1, stop.signal);
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    await killOne(kill);
    stop.abort();
    await writing;
  }
  const audit = await ledger.settle(scene.origin, findings);
  client.close();
  findings.expect(audit.acknowledged > kills * 40, `only ${audit.acknowledged} writes were acknowledged`);
  const figures = { kills, 'writes sent': ledger.sent, ...audit, answers: ledger.answers() };
  return { figures, faults: findings.faults };
}

export const killEmbedded: Drill = {
  name: 'kill-embedded',
  holds: 'kill -9 at 200 writes a second loses no acknowledged write of the embedded database',
  within: { short: 60, long: 400 },
  run: async (scale) => {
    const scene = new Scene();
    try {
      let service = await scene.start();
      return await killAgainAndAgain(scene, scale, async () => {
        await service.stop('SIGKILL');
        service = await scene.start();
      });
    } finally {
      await scene.clear();
    }
  },
};

/** A server that was killed leaves processes behind that end a moment later, and until then it cannot be started. */
async function startAgain(server: PostgresServer): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await server.start();
      return;
    } catch (error) {
      if (attempt === 5) throw error;
    }
  }
}

export const killPostgres: Drill = {
  name: 'kill-postgres',
  holds: 'kill -9 of the service and of PostgreSQL in turn, at 200 writes a second, loses no acknowledged write',
  within: { short: 60, long: 400 },
  run: async (scale) => {
    const server = await startPostgres();
    const scene = new Scene({ DATABASE_URL: server.url() });
    try {
      let service = await scene.start();
      return await killAgainAndAgain(scene, scale, async (kill) => {
        if (kill % 2 === 0) {
          await server.stop('kill');
          await startAgain(server);
        } else {
          await service.stop('SIGKILL');
          service = await scene.start();
        }
      });
    } finally {
      await scene.clear();
      await server.remove();
    }
  },
};
