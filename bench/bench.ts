// Measures this service, its alternatives and two floors in turns on one machine, and writes a report.
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { before, type Contender, checkBuild, floors, service as serviceContender, variant } from './contenders.ts';
import { BenchDatabase, type BenchTables, SETTINGS } from './database.ts';
import { LoadGenerator } from './load/generator.ts';
import { assignCores, describeMachine, ROOT } from './machine.ts';
import { HELP, type Options, readOptions, type Section } from './options.ts';
import { preparePeers } from './peers.ts';
import { toMarkdown } from './report/markdown.ts';
import { type Described, failuresOf, type Report } from './report/report.ts';
import { toSvg } from './report/svg.ts';
import {
  type Bench,
  measureCells,
  measureEmbedded,
  measureGrowth,
  measureOneUser,
  measureProcesses,
  measureStarts,
  measureSync,
  say,
  startServer,
  stopServer,
  stopServers,
} from './sections.ts';
import { seedPeerTables, seedTables } from './seed.ts';

const RESULTS = join(ROOT, 'bench/results');

type Cleanup = () => Promise<void> | void;

/** Creates the tables of `contender`, a build of the service, and fills them. */
async function prepareTables(bench: Bench, contender: Contender, tables: BenchTables): Promise<void> {
  say(`Creating and filling the tables of ${contender.name}`);
  await stopServer(bench, await startServer(bench, { ...contender, name: 'migration' }, null));
  await seedTables(tables);
}

async function measure(options: Options, cleanups: Cleanup[], interrupted: AbortSignal): Promise<Report> {
  if (options.before !== null) checkBuild(options.before);
  const startedAt = new Date();
  const machine = describeMachine();
  const cores = assignCores();
  const folder = mkdtempSync(join(tmpdir(), 'todo-api-bench-'));
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  const secret = randomBytes(32).toString('hex');
  const starting = BenchDatabase.start(cores.database);
  cleanups.push(async () => (await starting).stop());
  const database = await starting;
  const load = new LoadGenerator(secret, cores.load);
  cleanups.push(() => load.stop());
  const environment = { databaseUrl: database.tables.url, secret, folder };
  const bench: Bench = { options, database, load, cores, environment, servers: new Set() };
  cleanups.push(() => stopServers(bench));

  const service = serviceContender(environment);
  await prepareTables(bench, service, database.tables);
  const builds = [service];
  if (options.before !== null) {
    const tables = await database.addTables('before');
    const older = before(options.before, environment, tables.url);
    await prepareTables(bench, older, tables);
    builds.push(older);
  }
  const { present, absent } = preparePeers(options.peers, environment);
  const variants = options.variants.map((setting) => variant(service, setting));
  const contenders = [...builds, ...variants, ...floors(environment), ...present];
  if (present.length > 0) await seedPeerTables(database.tables);
  await database.restore();

  const errors: string[] = [];
  const section = async <Result>(name: Section, work: () => Promise<Result>, fallback: Result): Promise<Result> => {
    if (!options.sections.includes(name)) return fallback;
    interrupted.throwIfAborted();
    say(`Measuring: ${name}`);
    try {
      return await work();
    } catch (error) {
      errors.push(`${name}: ${error instanceof Error ? error.message : error}`);
      return fallback;
    } finally {
      await stopServers(bench);
    }
  };
  const whole = contenders.filter(({ kinds }) => kinds === undefined);
  const roots = { service: ROOT, ...(options.before !== null && { before: resolve(options.before) }) };
  const starts = await section('starts', () => measureStarts(bench, whole), []);
  const cells = await section('cells', () => measureCells(bench, contenders), []);
  const sync = await section('sync', () => measureSync(bench, service), []);
  const oneUser = await section('one-user', () => measureOneUser(bench, builds), []);
  const processes = await section('processes', () => measureProcesses(bench, service), []);
  const growth = await section('growth', () => measureGrowth(bench, service), []);
  const embedded = await section('embedded', () => measureEmbedded(bench, roots), null);

  const components = `PostgreSQL ${database.version}`;
  const pgbench: Described = { name: 'pgbench', label: 'floor: pgbench', role: 'floor', components };
  const described = contenders.map(({ name, label, role, components }) => ({ name, label, role, components }));
  return {
    startedAt: startedAt.toISOString(),
    minutes: (Date.now() - startedAt.getTime()) / 60_000,
    machine,
    database: { version: database.version, settings: SETTINGS, hasStatistics: database.hasStatistics },
    cores,
    options,
    contenders: database.pgbench === null ? described : [...described, pgbench],
    absent: database.pgbench === null ? [...absent, { label: pgbench.label, reason: 'not installed' }] : absent,
    starts,
    cells,
    sync,
    oneUser,
    processes,
    growth,
    embedded,
    errors,
  };
}

/** Writes the raw data, the page and the plot. Only a complete run replaces those in git. */
function write(report: Report): void {
  mkdirSync(RESULTS, { recursive: true });
  const { quick, complete } = report.options;
  const name = quick ? 'quick' : complete ? 'latest' : 'partial';
  writeFileSync(join(RESULTS, `${name}.json`), `${JSON.stringify(report, null, 1)}\n`);
  writeFileSync(join(RESULTS, `${name}.md`), toMarkdown(report));
  if (report.cells.length > 0) writeFileSync(join(RESULTS, `${name}.svg`), toSvg(report));
}

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  if (options === null) {
    process.stdout.write(HELP);
    return 0;
  }
  const cleanups: Cleanup[] = [];
  const cleanUp = async () => {
    for (const step of cleanups.splice(0).reverse()) await step();
  };
  const interruption = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      interruption.abort();
      void cleanUp().finally(() => process.exit(130));
    });
  }
  try {
    const report = await measure(options, cleanups, interruption.signal);
    write(report);
    process.stdout.write(toMarkdown(report));
    return failuresOf(report).length === 0 ? 0 : 1;
  } finally {
    await cleanUp();
  }
}

process.exitCode = await main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  return 1;
});
