// Measures this service against what people would run instead and against the floor, in one run on one machine.
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkAnswers } from './check.ts';
import { type Contender, findPeers, floors, service as serviceContender, variant } from './contenders.ts';
import { BenchDatabase, SETTINGS } from './database.ts';
import { LoadGenerator } from './load/generator.ts';
import { assignCores, describeMachine, ROOT } from './machine.ts';
import { type CellResult, type Competitor, serverCompetitor } from './measure.ts';
import { HELP, type Options, readOptions, type Section } from './options.ts';
import { pgbenchCompetitor } from './pgbench.ts';
import { toMarkdown } from './report/markdown.ts';
import { type Described, failuresOf, type Report } from './report/report.ts';
import { toSvg } from './report/svg.ts';
import {
  type Bench,
  measureCells,
  measureEmbedded,
  measureGrowth,
  measureProcesses,
  measureStarts,
  say,
  startServer,
  stopServer,
} from './sections.ts';
import { seedBoth } from './seed.ts';

const RESULTS = join(ROOT, 'bench/results');

type Undo = () => Promise<void> | void;

/** Has the service make its tables, then fills them and the peers'. */
async function prepareTables(bench: Bench, service: Contender): Promise<void> {
  say(`Filling the tables: ${bench.options.users} users`);
  await stopServer(bench, await startServer(bench, 'migration', service.server, null));
  await seedBoth(bench.database, bench.options.users);
}

async function stopServers(bench: Bench): Promise<void> {
  for (const server of [...bench.servers]) await stopServer(bench, server);
}

async function runCells(bench: Bench, contenders: readonly Contender[]): Promise<CellResult[]> {
  const competitors: Competitor[] = [];
  for (const { name, server } of contenders) {
    const running = await startServer(bench, name, server, bench.cores.server);
    await checkAnswers(running.port, bench.secret).catch((error: unknown) => {
      throw new Error(`${name} does not do what all are to do: ${error instanceof Error ? error.message : error}`);
    });
    competitors.push(serverCompetitor(name, running, bench));
  }
  await bench.database.restore();
  const { pgbench } = bench.database;
  if (pgbench !== null) competitors.push(pgbenchCompetitor(pgbench, { ...bench, core: bench.cores.load }));
  const results = await measureCells(bench, competitors);
  return results;
}

async function measure(options: Options, undo: Undo[], interrupted: AbortSignal): Promise<Report> {
  const startedAt = new Date();
  const machine = describeMachine();
  const cores = assignCores();
  const folder = mkdtempSync(join(tmpdir(), 'todo-api-bench-'));
  undo.push(() => rmSync(folder, { recursive: true, force: true }));
  const secret = randomBytes(32).toString('hex');
  const starting = BenchDatabase.start(cores.database);
  undo.push(async () => (await starting).stop());
  const database = await starting;
  const load = new LoadGenerator(secret, cores.load);
  undo.push(() => load.stop());
  const bench: Bench = { options, database, load, cores, secret, folder, servers: new Set() };
  undo.push(() => stopServers(bench));

  const surroundings = { databaseUrl: database.url, secret, folder };
  const service = serviceContender(surroundings);
  const { present, absent } = findPeers(options.peers, surroundings);
  const variants = options.variants.map((setting) => variant(service, setting));
  const contenders = [service, ...variants, ...floors(surroundings), ...present];
  await prepareTables(bench, service);

  const troubles: string[] = [];
  const section = async <Result>(name: Section, work: () => Promise<Result>, otherwise: Result): Promise<Result> => {
    if (!options.sections.includes(name)) return otherwise;
    interrupted.throwIfAborted();
    say(`Measuring: ${name}`);
    try {
      return await work();
    } catch (error) {
      troubles.push(`${name}: ${error instanceof Error ? error.message : error}`);
      return otherwise;
    } finally {
      await stopServers(bench);
    }
  };
  const starts = await section('starts', () => measureStarts(bench, contenders), []);
  const cells = await section('cells', () => runCells(bench, contenders), []);
  const processes = await section('processes', () => measureProcesses(bench, service), []);
  const growth = await section('growth', () => measureGrowth(bench, service), []);
  const embedded = await section('embedded', () => measureEmbedded(bench), null);

  const pgbench: Described[] =
    database.pgbench === null
      ? []
      : [{ name: 'pgbench', label: 'floor: pgbench', role: 'floor', madeOf: `PostgreSQL ${database.version}` }];
  return {
    startedAt: startedAt.toISOString(),
    minutes: (Date.now() - startedAt.getTime()) / 60_000,
    machine,
    database: { version: database.version, settings: SETTINGS, keepsStatistics: database.keepsStatistics },
    cores,
    options,
    contenders: [...contenders.map(({ name, label, role, madeOf }) => ({ name, label, role, madeOf })), ...pgbench],
    absent: database.pgbench === null ? [...absent, { name: 'pgbench', label: 'pgbench', reason: 'not here' }] : absent,
    starts,
    cells,
    processes,
    growth,
    embedded,
    troubles,
  };
}

/** Only a complete run replaces the results that others link to. */
function keep(report: Report): void {
  mkdirSync(RESULTS, { recursive: true });
  const { quick, complete } = report.options;
  const page = quick ? 'quick' : complete ? 'latest' : 'partial';
  const date = report.startedAt.slice(0, 16).replace(/[-:]/g, '');
  const data = complete ? `${date}-${report.machine.commit.slice(0, 12)}` : page;
  writeFileSync(join(RESULTS, `${data}.json`), `${JSON.stringify(report, null, 1)}\n`);
  writeFileSync(join(RESULTS, `${page}.md`), toMarkdown(report));
  if (report.cells.length > 0) writeFileSync(join(RESULTS, `${page}.svg`), toSvg(report));
}

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  if (options === null) {
    process.stdout.write(HELP);
    return 0;
  }
  const undo: Undo[] = [];
  const undoAll = async () => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  const interruption = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      interruption.abort();
      void undoAll().finally(() => process.exit(130));
    });
  }
  try {
    const report = await measure(options, undo, interruption.signal);
    keep(report);
    process.stdout.write(toMarkdown(report));
    return failuresOf(report).length === 0 ? 0 : 1;
  } finally {
    await undoAll();
  }
}

process.exitCode = await main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  return 1;
});
