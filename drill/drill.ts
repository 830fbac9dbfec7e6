// Injects faults into a running service and checks what must hold. Exits with 1 if something did not.
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { backupEmbedded, backupPostgres } from './backup.ts';
import { moveToPostgres, restoreOverEmbedded, restoreOverPostgres } from './backup-cursors.ts';
import { crashStates } from './crash-states.ts';
import { damagedFiles } from './damage.ts';
import { diskFullEmbedded, diskFullPostgres, diskFullPostgresWal } from './disk-full.ts';
import { embeddedWorker } from './embedded-worker.ts';
import { exchangeEmbedded, exchangePostgres } from './exchange.ts';
import { killEmbedded, killPostgres } from './kill.ts';
import { longTransaction } from './long-transaction.ts';
import { modelSync, modelSyncEmbedded } from './model-sync.ts';
import { newcomer } from './newcomer.ts';
import { pgColdStart } from './pg-cold-start.ts';
import { pgConnectionsKilled } from './pg-connections-killed.ts';
import { pgDownAtStart } from './pg-down-at-start.ts';
import { pgFailover } from './pg-failover.ts';
import { pgbouncerRestart, pgRestart } from './pg-restart.ts';
import { pgStandby } from './pg-standby.ts';
import { pgTooManyConnections } from './pg-too-many-connections.ts';
import { poolExhausted } from './pool-exhausted.ts';
import { recurrence } from './recurrence.ts';
import { embeddedRestarts, rollingRestarts } from './restarts.ts';
import { sigterm } from './sigterm.ts';
import { slowClients } from './slow-clients.ts';
import { soakEmbedded, soakPostgres } from './soak.ts';
import { starvationEmbedded, starvationPostgres } from './starvation.ts';
import { streams } from './streams.ts';
import type { Drill, Figures } from './support/drill.ts';
import { DrillRun, type Scale } from './support/drill-run.ts';
import { type DrillResult, recordResults } from './support/record.ts';

const DRILLS: readonly Drill[] = [
  killEmbedded,
  killPostgres,
  modelSync,
  modelSyncEmbedded,
  longTransaction,
  crashStates,
  backupEmbedded,
  backupPostgres,
  restoreOverEmbedded,
  restoreOverPostgres,
  moveToPostgres,
  damagedFiles,
  diskFullEmbedded,
  diskFullPostgres,
  diskFullPostgresWal,
  embeddedWorker,
  embeddedRestarts,
  rollingRestarts,
  sigterm,
  slowClients,
  starvationEmbedded,
  starvationPostgres,
  exchangeEmbedded,
  exchangePostgres,
  streams,
  soakEmbedded,
  soakPostgres,
  pgConnectionsKilled,
  pgRestart,
  pgbouncerRestart,
  pgFailover,
  pgStandby,
  pgTooManyConnections,
  pgDownAtStart,
  pgColdStart,
  poolExhausted,
  newcomer,
  recurrence,
];

const HELP = `npm run drill -- [options] [name…]

  --short     fewer repetitions, for CI
  --record    write the figures into docs/reliability.md (not with --short)
  --list      print what each drill checks
  --seed N    make the random choices of a run again, whose figures have its seed; timing differs

  Names: ${DRILLS.map(({ name }) => name).join(', ')}
`;

const MAX_FAILURES = 20;

const messageOf = (error: unknown) => (error instanceof Error ? (error.stack ?? error.message) : String(error));

/** Runs one drill for at most its timeout. */
async function runDrill(drill: Drill, scale: Scale, seed: number): Promise<DrillResult> {
  const run = new DrillRun(scale, seed);
  const seconds = drill.timeoutSeconds[scale];
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<Figures>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`not finished after ${seconds} s`)), seconds * 1000);
  });
  let figures: Figures = {};
  try {
    figures = await Promise.race([drill.run(run), timeout]);
  } catch (error) {
    run.expect(false, messageOf(error));
  }
  clearTimeout(timer);
  const failures = [...run.failures]; // a drill that timed out goes on, and fails because of the clean-up
  await run.release().catch((error: unknown) => failures.push(`clean-up failed: ${messageOf(error)}`));
  return { drill, figures, failures };
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      short: { type: 'boolean', default: false },
      record: { type: 'boolean', default: false },
      seed: { type: 'string', default: String(randomInt(1_000_000)) },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help || values.list) {
    process.stdout.write(values.help ? HELP : DRILLS.map(({ name, holds }) => `${name}: ${holds}\n`).join(''));
    return 0;
  }
  const unknown = positionals.filter((name) => DRILLS.every((drill) => drill.name !== name));
  if (unknown.length > 0) throw new Error(`Unknown drill: ${unknown.join(', ')}\n\n${HELP}`);
  if (values.record && values.short) throw new Error('--record needs the long form: leave --short out');
  const selected = positionals.length === 0 ? DRILLS : DRILLS.filter(({ name }) => positionals.includes(name));
  const seed = Number(values.seed);
  if (!Number.isSafeInteger(seed)) throw new Error('--seed must be an integer');
  const results: DrillResult[] = [];
  for (const drill of selected) {
    process.stdout.write(`\n${drill.name}: ${drill.holds}\n`);
    const from = performance.now();
    const result = await runDrill(drill, values.short ? 'short' : 'long', seed);
    const seconds = Math.round((performance.now() - from) / 1000);
    for (const [label, figure] of Object.entries(result.figures)) process.stdout.write(`  ${label}: ${figure}\n`);
    if (result.failures.length > 0) process.stdout.write(`  seed: ${seed}\n`);
    for (const failure of result.failures.slice(0, MAX_FAILURES)) process.stdout.write(`  FAILURE: ${failure}\n`);
    const untold = result.failures.length - MAX_FAILURES;
    if (untold > 0) process.stdout.write(`  and ${untold} more failures\n`);
    process.stdout.write(`  ${result.failures.length === 0 ? 'passed' : 'FAILED'}, ${seconds} s\n`);
    results.push(result);
  }
  if (values.record) await recordResults(DRILLS, results);
  const passed = results.filter(({ failures }) => failures.length === 0).length;
  process.stdout.write(`\n${passed} of ${results.length} drills passed\n`);
  return passed === results.length ? 0 : 1;
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  },
);
