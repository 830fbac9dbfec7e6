import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Api, requestWriter } from './api.ts';
import { checkResponses, checkSyncResponses } from './check.ts';
import { type Contender, type Environment, serviceProgram, withDataDirectory, withSettings } from './contenders.ts';
import { BIG_USER, TASKS_EACH, USERS } from './data.ts';
import type { BenchDatabase } from './database.ts';
import type { LoadGenerator } from './load/generator.ts';
import { REQUEST_KINDS, type RequestKind, type UserSample } from './load/workload.ts';
import { type Cores, ROOT } from './machine.ts';
import { type CellResult, type Competitor, measureCell, nameOf, serverCompetitor } from './measure.ts';
import type { Options } from './options.ts';
import { pgbenchCompetitor } from './pgbench.ts';
import { DelayingRelay } from './relay.ts';
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

const SYNC: readonly RequestKind[] = ['list', 'list1000', 'notModified', 'changes', 'create', 'batch100'];
const SYNC_CONNECTIONS = [1, 32];
const ONE_USER: UserSample = { count: 1, stride: 1 };
const BURSTS = [32, 100];
/** A network between service and database, and a disk that takes longer. */
const NETWORK_MS = 5;
const SLOW_COMMIT = { commit_delay: '2000', commit_siblings: '0' };
const PROCESSES = 4;

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

/** What this service alone has, beside its lists and creates. */
export async function measureSync(bench: Bench, service: Contender): Promise<CellResult[]> {
  const { load, database, environment } = bench;
  const server = await startServer(bench, service, coresFor(bench, service));
  await checkSyncResponses(server.port, environment.secret);
  await database.restore();
  const competitor = serverCompetitor({ name: service.name, kinds: SYNC, api: service.api }, server, {
    load,
    database,
  });
  return measureAll(bench, [competitor], {
    kinds: SYNC,
    connections: SYNC_CONNECTIONS,
    users: sampleOf(USERS),
    database,
  });
}

/** Creates of one user under `conditions`. */
export interface OneUserResult {
  readonly conditions: string;
  /** `burst`: as many creates as there are connections, at once. `create`: for the length of a round. */
  readonly kind: 'burst' | 'create';
  readonly cell: CellResult;
}

const clusterOf = (bench: Bench, { server }: Pick<Contender, 'server'>, count: number): ServerCommand => {
  const [node, program] = server.command;
  const cluster = [join(ROOT, 'bench/cluster.ts'), program ?? '', String(count), bench.environment.folder];
  return { ...server, command: [node, '--import', 'tsx', ...cluster], cwd: ROOT };
};

/** Creates of one user: many at once, also with a slow network and disk, and all the time, on one process and several. */
export async function measureOneUser(bench: Bench, builds: readonly Contender[]): Promise<OneUserResult[]> {
  const { load, database, options } = bench;
  const results: OneUserResult[] = [];
  const kinds: readonly RequestKind[] = ['create'];
  const measureWith = async (
    conditions: string,
    cells: readonly { readonly kind: OneUserResult['kind']; readonly connections: number }[],
    serverOf: (build: Contender) => ServerCommand,
  ) => {
    say(`  ${conditions}`);
    const competitors: Competitor[] = [];
    for (const build of builds) {
      const started = await startServer(bench, { ...build, server: serverOf(build) }, null);
      competitors.push(serverCompetitor({ ...build, kinds }, started, { load, database }));
    }
    for (const { kind, connections } of cells) {
      const cell = { kind: 'create', connections, users: ONE_USER } as const;
      const pace = kind === 'burst' ? { rounds: options.rounds * 4, seconds: 0, warmUpSeconds: 1 } : options;
      results.push({ conditions, kind, cell: await measureCell(cell, competitors, { pace, database }) });
    }
    await stopServers(bench);
  };
  const bursts = BURSTS.map((connections) => ({ kind: 'burst', connections }) as const);
  const steady = { kind: 'create', connections: 32 } as const;
  await measureWith('one process', [...bursts, steady], ({ server }) => server);
  await measureWith(`${PROCESSES} processes`, [...bursts, steady], (build) => clusterOf(bench, build, PROCESSES));
  const relay = await DelayingRelay.start(database.port, NETWORK_MS);
  const throughRelay = ({ server }: Contender) =>
    withSettings(server, { DATABASE_URL: relay.urlOf(server.environment.DATABASE_URL ?? '') });
  const slowly = `${NETWORK_MS} ms of network each way, commits delayed by 2 ms`;
  await database.withSettings(SLOW_COMMIT, () => measureWith(slowly, [...bursts, steady], throughRelay));
  relay.close();
  return results;
}

/** This service with several processes on one port (node:cluster), not bound to cores. */
export async function measureProcesses(bench: Bench, service: Contender): Promise<StepResult[]> {
  const competitors: Competitor[] = [];
  for (const count of bench.options.processes) {
    const server = { ...service, name: `cluster-${count}`, server: clusterOf(bench, service, count) };
    const started = await startServer(bench, server, null);
    competitors.push(serverCompetitor({ name: String(count), kinds: REQUEST_KINDS, api: service.api }, started, bench));
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
  await emptyTables(database.tables);
  const results: StepResult[] = [];
  let existing = 0;
  for (const tasks of [...bench.options.growth].sort((a, b) => a - b)) {
    const users = Math.ceil(tasks / TASKS_EACH);
    await growTables(database.tables, existing, users);
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
