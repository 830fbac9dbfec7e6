import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { adminAccess } from '../dist/backup/admin-access.js';
import { backUp } from '../dist/backup/backup.js';
import { restore } from '../dist/backup/restore.js';
import { type EmbeddedDatabase, openEmbedded } from '../dist/database/embedded/embedded.js';
import {
  CrashModel,
  type Operation,
  randomNumbers,
  readOperations,
  type Survival,
} from '../test/support/crash-states.ts';
import { temporaryFolder } from '../test/support/process.ts';
import { type Recording, recordFiles } from '../test/support/recorded-files.ts';
import { statement } from '../test/support/statements.ts';
import type { Drill } from './support/drill.ts';
import { faultsAfterCrash } from './support/judge.ts';
import { Ledger, patient } from './support/ledger.ts';

const SEED = 1;
const STATES = { short: 40, long: 540 };
/** Requests between two events, such as checkpoints. */
const REQUESTS = { short: 150, long: 500 };
const CONCURRENT_STATES = 2;
/** Where files are in memory, so that a flush costs nothing. */
const MEMORY = '/dev/shm';
/** The mark of an answer; other marks begin phases. */
const ANSWER = /^\d+\.\d+$/;
const LOGIN_ROLE = { kind: 'login-role' } as const;

const ignore = () => undefined;
const open = (directory: string) => openEmbedded({ directory, onWarning: ignore, onFatal: ignore });
const runSql = (database: EmbeddedDatabase, text: string) =>
  patient(database).transaction(LOGIN_ROLE, [statement(text)]);

/** Lets the thread of the engine exit, and waits until another has recovered. */
async function killEngine(database: EmbeddedDatabase, recording: Recording): Promise<void> {
  const threadOf = (answer: string) => answer.split('.')[0];
  const killed = threadOf(recording.lastAnswer());
  recording.exitThreads();
  while (threadOf(recording.lastAnswer()) === killed) {
    await database.ping().catch(ignore);
    await delay(20);
  }
}

/** Uses a new database in every way that changes its files, each in a phase of the recording. */
async function recordUse(recording: Recording, ledger: Ledger, requests: number): Promise<void> {
  const { mark, root } = recording;
  mark('first start');
  let database = await open(join(root, 'data'));
  const load = () => ledger.load(database, requests);
  mark('load');
  await load();
  mark('checkpoint under load');
  await Promise.all([load(), runSql(database, 'checkpoint')]);
  mark('after the checkpoint');
  await load();
  mark('WAL segments begun and removed');
  for (let segment = 0; segment < 3; segment += 1) {
    await runSql(database, 'select pg_switch_wal()');
    await ledger.load(database, requests / 5);
  }
  await runSql(database, 'checkpoint');
  mark('restore');
  const access = adminAccess(patient(database));
  const path = join(root, '..', 'backup.ndjson');
  await backUp(access, path, ignore);
  const removed = await ledger.removeAll(database);
  await database.vacuum();
  await restore(access, { path, existing: 'keep', onProgress: ignore });
  await ledger.restored(database, removed);
  mark('killed and recovered');
  await load();
  await killEngine(database, recording);
  await load();
  mark('stopped and started');
  await database.close();
  database = await open(join(root, 'data'));
  await load();
  mark('stopped');
  await database.close();
}

interface Point {
  /** Operations before the crash. */
  readonly count: number;
  readonly phase: string;
}

/** Moments spread evenly over the phases: when an answer leaves, before a flush, and any others. */
function choosePoints(operations: readonly Operation[], count: number, random: () => number): Point[] {
  const phases = new Map<string, number[]>();
  let current: number[] = [];
  for (const [index, operation] of operations.entries()) {
    if (operation.op === 'mark' && !ANSWER.test(operation.name)) {
      current = [];
      phases.set(operation.name, current);
    }
    current.push(index);
  }
  const pick = (indexes: readonly number[]) => indexes[Math.floor(random() * indexes.length)];
  return Array.from({ length: count }, (_, number): Point => {
    const [phase = '', indexes = []] = [...phases][number % phases.size] ?? [];
    const answers = indexes.filter((index) => operations[index]?.op === 'mark').map((index) => index + 1);
    const flushes = indexes.filter((index) => operations[index]?.op.startsWith('sync') === true);
    const kind = random();
    return { phase, count: pick(kind < 0.4 ? answers : kind < 0.65 ? flushes : indexes) ?? 0 };
  }).sort((a, b) => a.count - b.count);
}

/** What survives of that which was not flushed. */
function chooseSurvival(count: number, random: () => number): { readonly name: string; readonly survival: Survival } {
  const kind = random();
  if (kind < 0.2) return { name: 'nothing', survival: () => 0 };
  if (kind < 0.3) return { name: 'everything', survival: () => 1 };
  if (kind < 0.55) {
    const cut = Math.floor(count * (1 - random() ** 3 * 0.2));
    return { name: 'the first part', survival: (index) => (index < cut ? 1 : index === cut ? 0.5 : 0) };
  }
  const share = [0.1, 0.5, 0.9][Math.floor(random() * 3)] ?? 0.5;
  return {
    name: 'any part',
    survival: () => (random() >= share ? 0 : random() < 0.3 ? random() : 1),
  };
}

function countBy(values: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].map(([value, count]) => `${value} ${count}`).join(', ');
}

export const crashStates: Drill = {
  name: 'crash-states',
  holds:
    'power failures at any moment (embedded; all that was not flushed lost, torn or reordered): the database opens, ' +
    'nothing acknowledged is missing, nothing refused or never sent is there',
  timeoutSeconds: { short: 180, long: 1_800 },
  run: async (run) => {
    setFlagsFromString('--liftoff-only'); // a state is open too briefly for optimised WebAssembly to pay
    const folder = temporaryFolder(existsSync(MEMORY) ? MEMORY : undefined);
    run.onRelease(folder.remove);
    const random = randomNumbers(SEED);
    const root = join(folder.path, 'root');
    mkdirSync(root);
    const recording = await recordFiles(root, folder.path);
    const ledger = new Ledger(recording.lastAnswer, random);
    await recordUse(recording, ledger, REQUESTS[run.scale]);
    recording.stop();
    const operations = readOperations(recording.log);
    rmSync(root, { recursive: true });

    const indexes = new Map(
      operations.flatMap((operation, index) => (operation.op === 'mark' ? [[operation.name, index]] : [])),
    );
    const model = new CrashModel();
    const points = choosePoints(operations, STATES[run.scale], random);
    const survivals: string[] = [];
    const unflushed: number[] = [];
    const judging = new Set<Promise<void>>();
    let performed = 0;
    let faulty = 0;
    for (const [number, { count, phase }] of points.entries()) {
      for (; performed < count; performed += 1) {
        const operation = operations[performed];
        if (operation !== undefined) model.perform(performed, operation);
      }
      const { name, survival } = chooseSurvival(count, random);
      survivals.push(name);
      unflushed.push(model.unflushed);
      const state = join(folder.path, `state-${number}`);
      model.writeState(state, survival, random);
      const judgement = faultsAfterCrash(state, ledger, (answer) => (indexes.get(answer) ?? count) < count)
        .then((faults) => {
          if (faults.length > 0) faulty += 1;
          const where = `crash before operation ${count} (${phase}), surviving: ${name}`;
          for (const fault of faults.slice(0, 3)) run.expect(false, `${where}: ${fault}`);
          rmSync(state, { recursive: true, force: true });
        })
        .finally(() => judging.delete(judgement));
      judging.add(judgement);
      if (judging.size >= CONCURRENT_STATES) await Promise.race(judging);
    }
    await Promise.all(judging);
    unflushed.sort((a, b) => a - b);
    return {
      'crash states': points.length,
      'of these with a fault': faulty,
      moments: countBy(points.map(({ phase }) => phase)),
      'surviving of what was not flushed': countBy(survivals),
      'operations recorded': operations.length,
      'operations not flushed, median and most': `${unflushed[unflushed.length >> 1]}, ${unflushed.at(-1)}`,
      'acknowledged writes': ledger.acknowledged,
      'refused writes': ledger.refused,
    };
  },
};
