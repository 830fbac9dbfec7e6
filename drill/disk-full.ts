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
  readonly afterFreeing?: () => Promise<unknown>;
  readonly afterRecovery?: () => Promise<unknown>;
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
  const full = await load.run(PHASE_RATES, seconds);
  checkPhase(run, 'disk full', full, { writes: [201, 500, 503], reads: fault.reads });
  run.expect(full.of('write').otherThan(201) > 0, 'no write was refused: the disk was not full');

  disk.free();
  await fault.afterFreeing?.();
  const recoveryMs = await load.untilServing(RECOVERY_TIMEOUT_MS);
  run.expect(recoveryMs !== null, `not serving again ${RECOVERY_TIMEOUT_MS} ms after space was freed`);
  checkPhase(run, 'space freed', await load.run(PHASE_RATES, 1), { writes: [201], reads: [200] });
  run.expect(service.isRunning, 'the process has exited');
  await fault.afterRecovery?.();
  return {
    'disk full': formatPhase(full),
    'space freed to serving, ms': recoveryMs ?? 'never',
    ...(await load.verifyWrites(run)),
  };
}

export const diskFullEmbedded: Drill = {
  name: 'disk-full-embedded',
  holds: 'full disk under the embedded database: writes refused, reads served, start refused; recovers by itself',
  timeoutSeconds: TIMEOUT_SECONDS,
  run: async (run) => {
    const disk = run.smallDisk(DISK_MEGABYTES);
    const service = run.service({ DATA_DIR: `${disk.path}/data` });
    /** SIGKILL with the disk full: the next start is refused with a message, and succeeds when there is space. */
    const restartWhileFull = async () => {
      disk.fill();
      await service.process.stop('SIGKILL');
      const refused = service.spawn();
      run.expect((await refused.ended()) === 1, 'the service started with the disk full');
      const namesTheReason = /less than 32 MiB free/.test(refused.stderr);
      run.expect(namesTheReason, `the refused start printed: ${refused.stderr}`);
      disk.free();
      await service.start();
    };
    return fillUnderLoad(run, { service, disk, reads: [200], afterRecovery: restartWhileFull });
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
