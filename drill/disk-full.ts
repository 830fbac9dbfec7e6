import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { PostgresServer } from '../test/support/postgres-server.ts';
import type { RunningService } from '../test/support/process.ts';
import { temporaryFolder } from '../test/support/process.ts';
import { asAdmin } from '../test/support/service.ts';
import { Client } from './support/client.ts';
import { type Drill, Findings, type Result, type Scale } from './support/drill.ts';
import { Ledger } from './support/ledger.ts';
import { Scene, startPostgres } from './support/scene.ts';
import { SmallDisk } from './support/small-disk.ts';
import { expectAnswers, expectNothingLost, Traffic, told } from './support/traffic.ts';

const FULL_SECONDS = { short: 3, long: 20 };
const DISK_MEGABYTES = 192;
const WHOLE_WITHIN_MS = 30_000;
/** Large, so that what room there is inside the files is soon used up. */
const description = () => randomBytes(900).toString('hex');

interface Trial {
  readonly scene: Scene;
  readonly disk: SmallDisk;
  readonly scale: Scale;
  readonly service: () => RunningService;
  /** The statuses reads may be answered with while the disk is full. */
  readonly reads: readonly number[];
  /** What else is to be done as soon as the disk is full, after a while, and once there is room. */
  readonly onFull?: () => Promise<void>;
  readonly whileFull?: () => Promise<void>;
  readonly onceFree?: () => Promise<void>;
}

async function fillUp(trial: Trial): Promise<Result> {
  const { scene, disk, scale } = trial;
  const origin = () => scene.origin;
  const client = new Client();
  const ledger = new Ledger(client, { description: description() });
  const findings = new Findings();
  const traffic = await Traffic.prepare(client, ledger, scene.origin);

  const under = traffic.run(origin, 1);
  await delay(700);
  disk.fill();
  await trial.onFull?.();
  await under;
  const full = [await traffic.run(origin, FULL_SECONDS[scale])];
  if (trial.whileFull !== undefined) {
    await trial.whileFull();
    full.push(await traffic.run(origin, FULL_SECONDS[scale]));
  }
  for (const spell of full) {
    expectAnswers(findings, 'while the disk was full', spell, { writes: [201, 500, 503], reads: trial.reads });
    const refused = spell.writes.otherThan(201);
    findings.expect(refused > 0, 'no write was refused: the disk was not full');
  }
  disk.free();
  await trial.onceFree?.();
  const whole = await traffic.untilWhole(origin, WHOLE_WITHIN_MS);
  findings.expect(whole !== null, 'it was not whole again half a minute after there was room');
  const after = await traffic.run(origin, 1);
  expectAnswers(findings, 'after there was room', after, { writes: [201], reads: [200] });
  findings.expect(trial.service().child.exitCode === null, 'the process has ended');
  const audit = await expectNothingLost(findings, ledger, scene.origin);
  client.close();
  const [first, second] = full.map(told);
  const figures = {
    'writes sent': ledger.sent,
    'while full': first ?? '',
    ...(second === undefined ? {} : { 'started again while full': second }),
    'whole again, ms after there was room': whole ?? 'never',
    ...audit,
  };
  return { figures, faults: findings.faults };
}

export const diskFullEmbedded: Drill = {
  name: 'disk-full-embedded',
  holds:
    'a full disk refuses writes to the embedded database, reads go on, also after a kill -9, and it heals by itself',
  within: { short: 60, long: 150 },
  run: async (scale) => {
    const disk = new SmallDisk(DISK_MEGABYTES);
    const scene = new Scene({ DATA_DIR: `${disk.path}/data` });
    try {
      let service = await scene.start();
      const startAgain = async () => {
        await service.stop('SIGKILL');
        service = await scene.start();
      };
      return await fillUp({ scene, disk, scale, service: () => service, reads: [200], whileFull: startAgain });
    } finally {
      await scene.clear();
      disk.remove();
    }
  },
};

/** A server that found no room for its log is down, and may have ended: an operator starts it again. */
async function ensureRunning(server: PostgresServer): Promise<void> {
  if (!server.isRunning) await server.start();
}

/** Starts a new segment of the log, as a busy server soon does. */
async function switchLog(server: PostgresServer): Promise<void> {
  // A server that finds no room for it ends before it has answered.
  await asAdmin(server.url(), 'select pg_switch_wal(), pg_switch_wal()').catch(() => undefined);
}

async function fillPostgres(scale: Scale, full: 'data' | 'log'): Promise<Result> {
  const disk = new SmallDisk(DISK_MEGABYTES);
  const elsewhere = temporaryFolder();
  const places = { data: elsewhere.path, log: elsewhere.path, [full]: disk.path };
  const server = await startPostgres([], places);
  const scene = new Scene({ DATABASE_URL: server.url() });
  try {
    const service = await scene.start();
    const trial = { scene, disk, scale, service: () => service };
    if (full === 'data') return await fillUp({ ...trial, reads: [200] });
    return await fillUp({
      ...trial,
      reads: [200, 500, 503],
      onFull: () => switchLog(server),
      onceFree: () => ensureRunning(server),
    });
  } finally {
    await scene.clear();
    await server.remove();
    disk.remove();
    elsewhere.remove();
  }
}

export const diskFullPostgres: Drill = {
  name: 'disk-full-postgres',
  holds: "a full disk under PostgreSQL's tables refuses writes, reads go on, and it heals by itself",
  within: { short: 60, long: 150 },
  run: (scale) => fillPostgres(scale, 'data'),
};

export const diskFullPostgresLog: Drill = {
  name: 'disk-full-postgres-log',
  holds: "no room for PostgreSQL's log, which ends the server: every request is answered, whole once it runs again",
  within: { short: 60, long: 150 },
  run: (scale) => fillPostgres(scale, 'log'),
};
