import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { temporaryFolder } from '../test/support/process.ts';
import type { Drill, Figures } from './support/drill.ts';
import type { DrillRun } from './support/drill-run.ts';
import { checkPhase, formatPhase, PHASE_RATES } from './support/phase.ts';
import { runSql } from './support/postgres.ts';
import type { ServiceUnderTest } from './support/service-under-test.ts';
import type { SmallDisk } from './support/small-disk.ts';

const FULL_SECONDS = { short: 3, long: 20 };
const DISK_MEGABYTES = 192;
const RECOVERY_TIMEOUT_MS = 30_000;
const TIMEOUT_SECONDS = { short: 60, long: 150 };

interface FullDisk {
  readonly service: ServiceUnderTest;
  readonly disk: SmallDisk;
  /** Allowed statuses of reads while the disk is full. */
  readonly reads: readonly number[];
  readonly afterFilling?: () => Promise<unknown>;
  /** What to do in the middle of the time in which the disk is full. */
  readonly whileFull?: () => Promise<unknown>;
  readonly afterFreeing?: () => Promise<unknown>;
}

async function fillUnderLoad(run: DrillRun, fault: FullDisk): Promise<Figures> {
  const { service, disk } = fault;
  const seconds = FULL_SECONDS[run.scale];
  await service.start();
  // Large, so that free space within the database's files is soon used up.
  const load = run.load(service, { description: randomBytes(900).toString('hex') });
  await load.createTaskToRead();

  load.start(PHASE_RATES);
  await delay(700);
  disk.fill();
  await fault.afterFilling?.();
  await load.stop();
  const full = [await load.run(PHASE_RATES, seconds)];
  if (fault.whileFull !== undefined) {
    await fault.whileFull();
    full.push(await load.run(PHASE_RATES, seconds));
  }
  for (const phase of full) {
    checkPhase(run, 'disk full', phase, { writes: [201, 500, 503], reads: fault.reads });
    run.expect(phase.of('write').otherThan(201) > 0, 'no write was refused: the disk was not full');
  }

  disk.free();
  await fault.afterFreeing?.();
  const recoveryMs = await load.untilServing(RECOVERY_TIMEOUT_MS);
  run.expect(recoveryMs !== null, `not serving again ${RECOVERY_TIMEOUT_MS} ms after space was freed`);
  checkPhase(run, 'space freed', await load.run(PHASE_RATES, 1), { writes: [201], reads: [200] });
  run.expect(service.isRunning, 'the process has exited');
  const [first, second] = full.map(formatPhase);
  return {
    'disk full': first ?? '',
    ...(second === undefined ? {} : { 'restarted with the disk full': second }),
    'space freed to serving, ms': recoveryMs ?? 'never',
    ...(await load.verifyWrites(run)),
  };
}

export const diskFullEmbedded: Drill = {
  name: 'disk-full-embedded',
  holds: 'full disk under the embedded database: writes refused, reads served, also after SIGKILL; recovers by itself',
  timeoutSeconds: TIMEOUT_SECONDS,
  run: async (run) => {
    const disk = run.smallDisk(DISK_MEGABYTES);
    const service = run.service({ DATA_DIR: `${disk.path}/data` });
    return fillUnderLoad(run, { service, disk, reads: [200], whileFull: () => service.killAndRestart() });
  },
};

async function fillPostgres(run: DrillRun, full: 'data' | 'log'): Promise<Figures> {
  const disk = run.smallDisk(DISK_MEGABYTES);
  const elsewhere = temporaryFolder();
  run.onRelease(elsewhere.remove);
  const server = await run.postgres([], { data: elsewhere.path, log: elsewhere.path, [full]: disk.path });
  const service = run.service({ DATABASE_URL: server.url() });
  if (full === 'data') return fillUnderLoad(run, { service, disk, reads: [200] });
  return fillUnderLoad(run, {
    service,
    disk,
    reads: [200, 500, 503],
    // A server without space for a new WAL segment exits before it has answered.
    afterFilling: () => runSql(server, 'select pg_switch_wal(), pg_switch_wal()').catch(() => undefined),
    afterFreeing: async () => server.isRunning || server.start(),
  });
}

export const diskFullPostgres: Drill = {
  name: 'disk-full-postgres',
  holds: "full disk under PostgreSQL's data: writes refused, reads served; recovers by itself",
  timeoutSeconds: TIMEOUT_SECONDS,
  run: (run) => fillPostgres(run, 'data'),
};

export const diskFullPostgresWal: Drill = {
  name: 'disk-full-postgres-wal',
  holds: "full disk under PostgreSQL's WAL, which stops the server: requests are answered; recovers with its restart",
  timeoutSeconds: TIMEOUT_SECONDS,
  run: (run) => fillPostgres(run, 'log'),
};
