import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Contender, SERVICE_MAIN, serviceEnvironment } from './contenders.ts';
import { BIG_USER, TASKS_EACH, tokenOf } from './data.ts';
import type { BenchDatabase } from './database.ts';
import type { LoadGenerator } from './load/generator.ts';
import type { People, RequestKind } from './load/order.ts';
import { type Cores, ROOT } from './machine.ts';
import { type CellResult, type Competitor, measureCell, nameOf, type Pace, serverCompetitor } from './measure.ts';
import type { Options } from './options.ts';
import { RunningServer, type ServerCommand } from './running-server.ts';
import { emptyTables, growTables, seedEmbedded } from './seed.ts';

export interface Bench {
  readonly options: Options;
  readonly database: BenchDatabase;
  readonly load: LoadGenerator;
  readonly cores: Cores;
  readonly secret: string;
  readonly folder: string;
  /** To be undone when the run ends, however it ends. */
  readonly servers: Set<RunningServer>;
}

export interface StartResult {
  readonly name: string;
  readonly startMs: readonly number[];
  readonly residentMiB: readonly (number | null)[];
}

/** Cells under one condition: a number of tasks or of processes. */
export interface StepResult {
  readonly step: number;
  readonly cells: readonly CellResult[];
}

const MOST_PEOPLE = 1000;
const CONNECTIONS = 32;
const READS: readonly RequestKind[] = ['list', 'get'];

export const say = (text: string) => process.stderr.write(`${text}\n`);

function peopleOf(users: number): People {
  const count = Math.min(MOST_PEOPLE, users);
  return { count, stride: Math.floor(users / count) };
}

export async function startServer(bench: Bench, name: string, command: ServerCommand, core: number | null) {
  const token = tokenOf(BIG_USER, bench.secret);
  const server = await RunningServer.start(command, { name, core, token, logs: bench.folder });
  bench.servers.add(server);
  return server;
}

export async function stopServer(bench: Bench, server: RunningServer): Promise<void> {
  await server.stop();
  bench.servers.delete(server);
}

/** Each cell of `kinds` × `connections`, one after the other. */
async function measureAll(
  bench: Bench,
  competitors: readonly Competitor[],
  plan: { kinds: readonly RequestKind[]; connections: readonly number[]; people: People; database?: null },
): Promise<CellResult[]> {
  const results: CellResult[] = [];
  const pace: Pace = bench.options;
  const database = plan.database === null ? null : bench.database;
  for (const connections of plan.connections) {
    for (const kind of plan.kinds) {
      const cell = { kind, connections, people: plan.people };
      say(`  ${nameOf(cell)}`);
      results.push(await measureCell(cell, competitors, { pace, database }));
    }
  }
  return results;
}

export async function measureStarts(bench: Bench, contenders: readonly Contender[]): Promise<StartResult[]> {
  const results = contenders.map(({ name }) => ({
    name,
    startMs: [] as number[],
    residentMiB: [] as (number | null)[],
  }));
  for (let round = 0; round < bench.options.starts; round += 1) {
    for (const [index, contender] of contenders.entries()) {
      const server = await startServer(bench, contender.name, contender.server, bench.cores.server);
      results[index]?.startMs.push(server.startMs);
      results[index]?.residentMiB.push(server.residentMiB());
      await stopServer(bench, server);
    }
  }
  return results;
}

export async function measureCells(bench: Bench, competitors: readonly Competitor[]): Promise<CellResult[]> {
  const { kinds, connections, users } = bench.options;
  return measureAll(bench, competitors, { kinds, connections, people: peopleOf(users) });
}

/** This service with 1, 2, 4 … processes behind one port (node:cluster), none of them bound to a core. */
export async function measureProcesses(bench: Bench, service: Contender): Promise<StepResult[]> {
  const running: { count: number; server: RunningServer }[] = [];
  for (const count of bench.options.processes) {
    const launch = [join(ROOT, 'bench/cluster.ts'), SERVICE_MAIN, String(count), bench.folder];
    const command: ServerCommand = {
      command: [process.execPath, '--import', 'tsx', ...launch],
      environment: { ...service.server.environment },
      cwd: ROOT,
    };
    running.push({ count, server: await startServer(bench, `cluster-${count}`, command, null) });
  }
  const competitors = running.map(({ count, server }) => serverCompetitor(String(count), server, bench));
  const people = peopleOf(bench.options.users);
  const kinds = [...READS, 'mix'] as const;
  const cells = await measureAll(bench, competitors, { kinds, connections: [CONNECTIONS], people });
  for (const { server } of running) await stopServer(bench, server);
  return running.map(({ count }) => ({
    step: count,
    cells: cells.map((cell) => ({ ...cell, results: cell.results.filter(({ name }) => name === String(count)) })),
  }));
}

/** This service on a table that grows. The steps cannot take turns: they follow one another. */
export async function measureGrowth(bench: Bench, service: Contender): Promise<StepResult[]> {
  await emptyTables(bench.database);
  const results: StepResult[] = [];
  let had = 0;
  for (const tasks of [...bench.options.growth].sort((a, b) => a - b)) {
    const users = Math.ceil(tasks / TASKS_EACH);
    await growTables(bench.database, had, users);
    had = users;
    const server = await startServer(bench, 'service', service.server, bench.cores.server);
    const competitors = [serverCompetitor('service', server, bench)];
    const plan = { kinds: READS, connections: [CONNECTIONS], people: peopleOf(users) };
    results.push({ step: tasks, cells: await measureAll(bench, competitors, plan) });
    await stopServer(bench, server);
  }
  return results;
}

export interface EmbeddedResult {
  readonly users: number;
  readonly startMs: number;
  readonly residentMiB: number | null;
  readonly cells: readonly CellResult[];
}

/** This service on the database it brings along. */
export async function measureEmbedded(bench: Bench): Promise<EmbeddedResult> {
  const directory = mkdtempSync(join(bench.folder, 'embedded-'));
  const users = bench.options.embeddedUsers;
  const command: ServerCommand = {
    command: [process.execPath, SERVICE_MAIN],
    environment: { ...serviceEnvironment(bench.secret), DATA_DIR: directory },
    cwd: bench.folder,
  };
  await stopServer(bench, await startServer(bench, 'embedded', command, bench.cores.server));
  await seedEmbedded(directory, users);
  const server = await startServer(bench, 'embedded', command, bench.cores.server);
  const plan = { kinds: [...READS, 'create', 'mix'] as const, connections: [CONNECTIONS], people: peopleOf(users) };
  const competitors = [serverCompetitor('embedded', server, { load: bench.load, database: null })];
  const cells = await measureAll(bench, competitors, { ...plan, database: null });
  const residentMiB = server.residentMiB();
  await stopServer(bench, server);
  rmSync(directory, { recursive: true, force: true });
  return { users, startMs: server.startMs, residentMiB, cells };
}
