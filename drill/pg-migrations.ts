import { readdirSync } from 'node:fs';
import { asAdmin } from '../test/support/service.ts';
import { type Drill, Findings } from './support/drill.ts';
import { Load } from './support/load.ts';
import { Scene, startPostgres } from './support/scene.ts';

const PROCESSES = 5;
const MIGRATIONS = readdirSync(new URL('../src/database/migrations/', import.meta.url)).length;

export const pgMigrations: Drill = {
  name: 'pg-migrations',
  holds: 'five processes started at once on an empty database: the migrations are applied once, and all five serve',
  within: { short: 60, long: 180 },
  run: async (scale) => {
    const server = await startPostgres();
    const findings = new Findings();
    const rounds = { short: 2, long: 10 }[scale];
    let served = 0;
    let retried = 0;
    let longestMs = 0;
    try {
      for (let round = 1; round <= rounds; round += 1) {
        await asAdmin(server.url(), `create database todo_${round}`);
        const url = server.url(`todo_${round}`);
        const scene = new Scene({ DATABASE_URL: url });
        try {
          const from = performance.now();
          const services = await Promise.all(Array.from({ length: PROCESSES }, () => scene.start()));
          for (const service of services) {
            const origin = await service.listening();
            const load = new Load(() => origin);
            const answers = [(await load.write()).status, (await load.read()).status].join(' and ');
            if (answers === '201 and 200') served += 1;
            else findings.expect(false, `round ${round}: a write and a read were answered ${answers}`);
            await load.settle(findings);
            if (service.stdout.includes('trying again')) retried += 1;
          }
          longestMs = Math.max(longestMs, Math.round(performance.now() - from));
          const { rows } = await asAdmin(url, 'select count(*)::int as applied from todo.migrations');
          const applied = Number(rows[0]?.applied);
          findings.expect(
            applied === MIGRATIONS,
            `round ${round}: ${applied} of ${MIGRATIONS} migrations are recorded`,
          );
        } finally {
          await scene.clear();
        }
        await asAdmin(server.url(), `drop database todo_${round} with (force)`);
        const { rows: roles } = await asAdmin(server.url(), `select rolname from pg_roles where rolname ~ '^todo_'`);
        for (const { rolname } of roles) await asAdmin(server.url(), `drop role ${String(rolname)}`);
      }
      findings.expect(retried === 0, `${retried} processes did not succeed at the first attempt`);
      const figures = {
        rounds,
        'processes started': rounds * PROCESSES,
        'processes that served': served,
        'migrations each': MIGRATIONS,
        'processes that tried again': retried,
        'start to all five asked, longest ms': longestMs,
      };
      return { figures, faults: findings.faults };
    } finally {
      await server.remove();
    }
  },
};
