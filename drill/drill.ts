// Makes things go wrong in front of a real service and says whether what must hold held. Exits with 1 where it did not.
import { parseArgs } from 'node:util';
import { backupEmbedded, backupPostgres } from './backup.ts';
import { diskFullEmbedded, diskFullPostgres, diskFullPostgresLog } from './disk-full.ts';
import { embeddedHang } from './embedded-hang.ts';
import { killEmbedded, killPostgres } from './kill.ts';
import { pgConnectionsKilled } from './pg-connections-killed.ts';
import { pgFailover } from './pg-failover.ts';
import { pgSlowStart, pgTooManyConnections } from './pg-out-of-reach.ts';
import { pgbouncerRestart, pgRestart } from './pg-restart.ts';
import { pgWakesSlowly } from './pg-wakes-slowly.ts';
import { poolExhausted } from './pool-exhausted.ts';
import { embeddedRestarts, rollingRestarts } from './restarts.ts';
import { secondProcess } from './second-process.ts';
import { sigterm } from './sigterm.ts';
import { slowSockets } from './slow-sockets.ts';
import { soakEmbedded, soakPostgres } from './soak.ts';
import type { Drill, Result, Scale } from './support/drill.ts';
import { recordResults } from './support/record.ts';

const DRILLS: readonly Drill[] = [
  killEmbedded,
  killPostgres,
  backupEmbedded,
  backupPostgres,
  diskFullEmbedded,
  diskFullPostgres,
  diskFullPostgresLog,
  embeddedHang,
  embeddedRestarts,
  rollingRestarts,
  secondProcess,
  sigterm,
  slowSockets,
  soakEmbedded,
  soakPostgres,
  pgConnectionsKilled,
  pgRestart,
  pgbouncerRestart,
  pgFailover,
  pgTooManyConnections,
  pgSlowStart,
  pgWakesSlowly,
  poolExhausted,
];

const HELP = `npm run drill -- [options] [name…]

  --short     a small form of each, for the gate
  --record    writes the results into docs/operations.md
  --list      what there is

  Names: ${DRILLS.map(({ name }) => name).join(', ')}
`;

/** Runs one drill, and no longer than it may take. */
async function hold(drill: Drill, scale: Scale): Promise<Result> {
  const seconds = drill.within[scale];
  let late: NodeJS.Timeout | undefined;
  const deadline = new Promise<Result>((resolve) => {
    late = setTimeout(() => resolve({ figures: {}, faults: [`had not ended after ${seconds} s`] }), seconds * 1000);
  });
  const failed = (error: unknown): Result => ({
    figures: {},
    faults: [error instanceof Error ? (error.stack ?? error.message) : String(error)],
  });
  return Promise.race([drill.run(scale).catch(failed), deadline]).finally(() => clearTimeout(late));
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      short: { type: 'boolean' },
      record: { type: 'boolean' },
      list: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  });
  if (values.help === true || values.list === true) {
    process.stdout.write(values.help === true ? HELP : DRILLS.map(({ name, holds }) => `${name}: ${holds}\n`).join(''));
    return 0;
  }
  const unknown = positionals.filter((name) => DRILLS.every((drill) => drill.name !== name));
  if (unknown.length > 0) throw new Error(`There is no drill called ${unknown.join(', ')}.\n\n${HELP}`);
  const chosen = positionals.length === 0 ? DRILLS : DRILLS.filter(({ name }) => positionals.includes(name));
  const scale = values.short === true ? 'short' : 'long';
  const results: { drill: Drill; result: Result }[] = [];
  for (const drill of chosen) {
    process.stdout.write(`\n${drill.name}: ${drill.holds}\n`);
    const from = performance.now();
    const result = await hold(drill, scale);
    const seconds = Math.round((performance.now() - from) / 1000);
    for (const [what, figure] of Object.entries(result.figures)) process.stdout.write(`  ${what}: ${figure}\n`);
    for (const fault of result.faults) process.stdout.write(`  DOES NOT HOLD: ${fault}\n`);
    process.stdout.write(`  ${result.faults.length === 0 ? 'holds' : 'FAILED'}, ${seconds} s\n`);
    results.push({ drill, result });
  }
  if (values.record === true) await recordResults(results);
  const failed = results.filter(({ result }) => result.faults.length > 0);
  process.stdout.write(`\n${results.length - failed.length} of ${results.length} drills hold\n`);
  return failed.length === 0 ? 0 : 1;
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  },
);
