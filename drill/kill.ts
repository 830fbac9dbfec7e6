import { setTimeout as delay } from 'node:timers/promises';
import type { PostgresServer } from '../test/support/postgres-server.ts';
import type { Drill, Figures } from './support/drill.ts';
import type { DrillRun } from './support/drill-run.ts';
import type { ServiceUnderTest } from './support/service-under-test.ts';

const KILLS = { short: 4, long: 50 };
const WRITES_PER_SECOND = 200;
const MIN_ACKNOWLEDGED_PER_KILL = 40;

/** 0.4 to 0.85 s between kills, so that they hit different moments. */
const msBefore = (kill: number) => 400 + ((kill * 7) % 10) * 50;

async function killUnderLoad(
  run: DrillRun,
  service: ServiceUnderTest,
  killAndRestart: (kill: number) => Promise<void>,
): Promise<Figures> {
  const kills = KILLS[run.scale];
  const load = run.load(service);
  await service.start();
  for (let kill = 1; kill <= kills; kill += 1) {
    load.start({ write: WRITES_PER_SECOND });
    await delay(msBefore(kill));
    await killAndRestart(kill);
    await load.stop();
  }
  const acknowledged = load.samples.withStatus(201).count;
  run.expect(acknowledged > kills * MIN_ACKNOWLEDGED_PER_KILL, `only ${acknowledged} writes were acknowledged`);
  return { kills, 'writes by status': load.samples.byStatus(), ...(await load.verifyWrites(run)) };
}

export const killEmbedded: Drill = {
  name: 'kill-embedded',
  holds: 'SIGKILL at 200 writes/s (embedded): no acknowledged write lost; of two processes started then, one serves',
  timeoutSeconds: { short: 120, long: 400 },
  run: async (run) => {
    const service = run.service();
    let refused = 0;
    const figures = await killUnderLoad(run, service, async () => {
      await service.process.stop('SIGKILL');
      const other = await service.startTwo();
      refused += 1;
      const message = `in use by process ${service.process.child.pid} on host `;
      run.expect(other.stderr.includes(message), `the other process exited with: ${other.stderr}`);
    });
    return { ...figures, 'second processes refused': refused };
  },
};

/** After SIGKILL of the postmaster its children run on for a moment, and until they exit a start fails. */
async function startAgain(server: PostgresServer): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await server.start();
    } catch (error) {
      if (attempt === 5) throw error;
    }
  }
}

export const killPostgres: Drill = {
  name: 'kill-postgres',
  holds: 'SIGKILL of the service and of PostgreSQL in turn at 200 writes/s: no acknowledged write lost',
  timeoutSeconds: { short: 60, long: 400 },
  run: async (run) => {
    const server = await run.postgres();
    const service = run.service({ DATABASE_URL: server.url() });
    return killUnderLoad(run, service, async (kill) => {
      if (kill % 2 === 1) return service.killAndRestart();
      await server.stop('kill');
      return startAgain(server);
    });
  },
};
