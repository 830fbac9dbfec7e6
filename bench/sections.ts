import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Api, requestWriter } from './api.ts';
import { checkResponses } from './check.ts';
import { type Contender, type Environment, serviceProgram, withDataDirectory, withSettings } from './contenders.ts';
import { BIG_USER, TASKS_EACH, USERS } from './data.ts';
import type { BenchDatabase } from './database.ts';
import type { LoadGenerator } from './load/generator.ts';
import { REQUEST_KINDS, type RequestKind, type UserSample } from './load/workload.ts';
import { type Cores, ROOT } from './machine.ts';
import { type CellResult, type Competitor, measureCell, nameOf, serverCompetitor } from './measure.ts';
import type { Options } from './options.ts';
import { pgbenchCompetitor } from './pgbench.ts';
import { emptyTables, growTables, seedEmbedded } from './seed.ts';
import { type ServerCommand, ServerProcess } from './server-process.ts';

export interface Bench {
  readonly options: Options;
  readonly database: BenchDatabase;
  readonly load: LoadGenerator;
  readonly cores: Cores;
  readonly environment: Environment;
  /** Running servers. */
  readonly servers: Set<ServerProcess>;
}

export interface StartResult {
  readonly name: string;
  readonly startMs: readonly number[];
  readonly residentMiB: readonly (number | null)[];
}

/** Cells at one number of tasks or processes. */
export interface StepResult {
  readonly step: number;
  readonly cells: readonly CellResult[];
}

const MAX_SAMPLED_USERS = 1000;
const CONNECTIONS = [32];
const FEW_CONNECTIONS = [1, 8];
const READS: readonly RequestKind[] = ['list', 'get'];
const TASKS_API: Api = { kind: 'tasks' };

export const say = (text: string) => process.stderr.write(`${text}\n`);

function sampleOf(users: number): UserSample {
  const count = Math.min(MAX_SAMPLED_USERS, users);
  return { count, stride: Math.floor(users / count) };
}

type Startable = Pick<Contender, 'name' | 'server' | 'api'>;

export async function startServer(bench: Bench, { name, server, api }: Startable, cores: readonly number[] | null) {
  const { folder, secret } = bench.environment;
  const probe = requestWriter(api, secret)({ kind: 'list', user: BIG_USER });
  const started = await ServerProcess.start(server, { name, cores, probe, logFolder: folder });
  bench.servers.add(started);
  return started;
}

export async function stopServer(bench: Bench, server: ServerProcess): Promise<void> {
  await server.stop();
  bench.servers.delete(server);
}

export async function stopServers(bench: Bench): Promise<void> {
  for (const server of [...bench.servers]) await stopServer(bench, server);
}

const coresFor = ({ cores }: Bench, { database }: Contender) =>
  database === 'embedded' ? cores.serverWithDatabase : cores.server;

interface Plan {
  readonly kinds: readonly RequestKind[];
  readonly connections: readonly number[];
  readonly users: UserSample;
  /** Null if no competitor uses PostgreSQL. */
  readonly database: BenchDatabase | null;
}

/** Measures the cells of `kinds` × `connections`, one after the other. */
async function measureAll(bench: Bench, competitors: readonly Competitor[], plan: Plan): Promise<CellResult[]> {
  const results: CellResult[] = [];
  for (const connections of plan.connections) {
    for (const kind of plan.kinds) {
      const cell = { kind, connections, users: plan.users };
      say(`  ${nameOf(cell)}`);
      results.push(await measureCell(cell, competitors, { pace: bench.options, database: plan.database }));
    }
  }
  return results;
}

export async function measureStarts(bench: Bench, contenders: readonly Contender[]): Promise<StartResult[]> {
  const results = contenders.map((contender) => ({
    contender,
    startMs: [] as number[],
    residentMiB: [] as (number | null)[],
  }));
  for (let round = 0; round < bench.options.starts; round += 1) {
    for (const { contender, startMs, residentMiB } of results) {
      const server = await startServer(bench, contender, coresFor(bench, contender));
      startMs.push(server.startMs);
      residentMiB.push(server.residentMiB());
      await stopServer(bench, server);
    }
  }
  return results.map(({ contender, ...figures }) => ({ name: contender.name, ...figures }));
}

export async function measureCells(bench: Bench, contenders: readonly Contender[]): Promise<CellResult[]> {
  const { options, environment, cores, load, database } = bench;
  const competitors: Competitor[] = [];
  for (const contender of contenders) {
    const { name, api, kinds = REQUEST_KINDS } = contender;
    const server = await startServer(bench, contender, coresFor(bench, contender));
    await checkResponses(server.port, api, environment.secret).catch((error: unknown) => {
      throw new Error(`${name} fails the check of its responses: ${error instanceof Error ? error.message : error}`);
    });
    const postgres = contender.database === 'postgres' ? database : null;
    competitors.push(serverCompetitor({ name, kinds, api }, server, { load, database: postgres }));
  }
  await database.restore();
  const { pgbench } = database;
  if (pgbench !== null) {
    competitors.push(pgbenchCompetitor(pgbench, { database, folder: environment.folder, cores: cores.load }));
  }
  return measureAll(bench, competitors, { ...options, users: sampleOf(USERS), database });
}

/** This service with several processes on one port (node:cluster), not bound to cores. */
export async function measureProcesses(bench: Bench, service: Contender): Promise<StepResult[]> {
  const competitors: Competitor[] = [];
  for (const count of bench.options.processes) {
    const [node, program] = service.server.command;
    const cluster = [join(ROOT, 'bench/cluster.ts'), program ?? '', String(count), bench.environment.folder];
    const command: ServerCommand = { ...service.server, command: [node, '--import', 'tsx', ...cluster], cwd: ROOT };
    const server = await startServer(bench, { ...service, name: `cluster-${count}`, server: command }, null);
    competitors.push(serverCompetitor({ name: String(count), kinds: REQUEST_KINDS, api: service.api }, server, bench));
  }
  const { database } = bench;
  const plan: Plan = { kinds: [...READS, 'mix'], connections: CONNECTIONS, users: sampleOf(USERS), database };
  const cells = await measureAll(bench, competitors, plan);
  return bench.options.processes.map((count) => ({
    step: count,
    cells: cells.map((cell) => ({ ...cell, results: cell.results.filter(({ name }) => name === String(count)) })),
  }));
}

/** This service on a growing table; the steps follow one another instead of taking turns. */
export async function measureGrowth(bench: Bench, service: Contender): Promise<StepResult[]> {
  const { database } = bench;
  await emptyTables(database);
  const results: StepResult[] = [];
  let existing = 0;
  for (const tasks of [...bench.options.growth].sort((a, b) => a - b)) {
    const users = Math.ceil(tasks / TASKS_EACH);
    await growTables(database, existing, users);
    existing = users;
    const server = await startServer(bench, service, bench.cores.server);
    const competitors = [serverCompetitor({ ...service, kinds: READS }, server, bench)];
    const plan = { kinds: READS, connections: CONNECTIONS, users: sampleOf(users), database };
    results.push({ step: tasks, cells: await measureAll(bench, competitors, plan) });
    await stopServer(bench, server);
  }
  return results;
}

export interface EmbeddedResult {
  readonly users: number;
  readonly starts: readonly StartResult[];
  readonly cells: readonly CellResult[];
}

/** Loaded into the service, replaces fsync by nothing: the difference is what flushes cost. */
const NO_FSYNC = { NODE_OPTIONS: `--import=${new URL('no-fsync.mjs', import.meta.url).href}` };

/**
 * The builds of the service in `roots`, by their names, on the embedded database; and the one named `service` without
 * flushes. Creates are also measured with few connections, because one flush serves all that wait for it.
 */
export async function measureEmbedded(bench: Bench, roots: Readonly<Record<string, string>>): Promise<EmbeddedResult> {
  const { embeddedUsers: users } = bench.options;
  const kinds: readonly RequestKind[] = [...READS, 'create', 'mix'];
  const programs = Object.entries(roots).map(([name, root]) => ({
    name,
    program: serviceProgram(root, bench.environment),
  }));
  const { program } = programs[0] ?? {};
  if (program !== undefined) programs.push({ name: 'no-fsync', program: withSettings(program, NO_FSYNC) });
  const competitors: Competitor[] = [];
  const running: ServerProcess[] = [];
  const directories: string[] = [];
  for (const { name, program } of programs) {
    const directory = mkdtempSync(join(bench.environment.folder, 'embedded-'));
    directories.push(directory);
    const server = withDataDirectory(program, directory);
    const startable = { name: `embedded-${name}`, server, api: TASKS_API };
    await stopServer(bench, await startServer(bench, startable, bench.cores.server));
    await seedEmbedded(directory, users);
    const started = await startServer(bench, startable, bench.cores.server);
    running.push(started);
    competitors.push(serverCompetitor({ name, kinds, api: TASKS_API }, started, { load: bench.load, database: null }));
  }
  const plan: Plan = { kinds, connections: CONNECTIONS, users: sampleOf(users), database: null };
  const few: Plan = { ...plan, kinds: ['create'], connections: FEW_CONNECTIONS };
  const cells = [...(await measureAll(bench, competitors, few)), ...(await measureAll(bench, competitors, plan))];
  const starts = running.map((server, index) => ({
    name: competitors[index]?.name ?? '',
    startMs: [server.startMs],
    residentMiB: [server.residentMiB()],
  }));
  await stopServers(bench);
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
  return { users, starts, cells };
}
