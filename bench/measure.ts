import type { BenchDatabase } from './database.ts';
import type { LoadGenerator } from './load/generator.ts';
import { type LoadOrder, type People, REQUEST_LABELS, type RequestKind, WRITES } from './load/order.ts';
import type { RunningServer } from './running-server.ts';

export interface Cell {
  readonly kind: RequestKind;
  readonly connections: number;
  readonly people: People;
}

/** One measured round of one competitor. */
interface Sample {
  readonly answers: number;
  readonly requestsPerSecond: number;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  readonly bodyBytesEach: number | null;
  readonly serverMicrosEach: number | null;
  readonly databaseMicrosEach: number | null;
  readonly residentMiB: number | null;
}

/** What PostgreSQL itself says of one round that counts for nothing else. */
interface StatementSample {
  readonly statementsEach: number;
  readonly microsEach: number;
}

export interface CompetitorResult {
  readonly name: string;
  readonly samples: readonly Sample[];
  readonly statements: StatementSample | null;
  /** Why there are no samples. */
  readonly failure: string | null;
}

export interface CellResult {
  readonly kind: RequestKind;
  readonly connections: number;
  readonly results: readonly CompetitorResult[];
}

/** Whoever is measured: a server under load, or pgbench. */
export interface Competitor {
  readonly name: string;
  takesPartIn(cell: Cell): boolean;
  measure(cell: Cell, milliseconds: number): Promise<Sample>;
}

export interface Pace {
  readonly rounds: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
}

const each = (before: number | null, after: number | null, answers: number) =>
  before === null || after === null ? null : (after - before) / answers;

/** A running server, measured by the load generator. */
export function serverCompetitor(
  name: string,
  server: RunningServer,
  { load, database }: { load: LoadGenerator; database: BenchDatabase | null },
): Competitor {
  return {
    name,
    takesPartIn: () => true,
    measure: async (cell, milliseconds) => {
      const order: LoadOrder = { ...cell, port: server.port, milliseconds };
      const serverBefore = server.cpuMicroseconds();
      const databaseBefore = database?.cpuMicroseconds() ?? null;
      const report = await load.run(order);
      const { answers } = report;
      return {
        answers,
        requestsPerSecond: (answers * 1000) / report.milliseconds,
        p50Ms: report.p50Ms,
        p99Ms: report.p99Ms,
        bodyBytesEach: report.bodyBytes / answers,
        serverMicrosEach: each(serverBefore, server.cpuMicroseconds(), answers),
        databaseMicrosEach: each(databaseBefore, database?.cpuMicroseconds() ?? null, answers),
        residentMiB: server.residentMiB(),
      };
    },
  };
}

async function statementsOf(
  competitor: Competitor,
  cell: Cell,
  database: BenchDatabase,
  milliseconds: number,
): Promise<StatementSample> {
  await database.forgetStatementTimes();
  const { answers } = await competitor.measure(cell, milliseconds);
  const { statements, microseconds } = await database.statementTimes();
  return { statementsEach: statements / answers, microsEach: microseconds / answers };
}

/** Runs one cell: everybody warms up, then rounds in turns (A B C A B C …), so that what drifts drifts for all. */
export async function measureCell(
  cell: Cell,
  competitors: readonly Competitor[],
  { pace, database }: { pace: Pace; database: BenchDatabase | null },
): Promise<CellResult> {
  const running = competitors.filter((competitor) => competitor.takesPartIn(cell));
  const samples = new Map<string, Sample[]>(running.map(({ name }) => [name, []]));
  const statements = new Map<string, StatementSample>();
  const failures = new Map<string, string>();
  const everyone = async (work: (competitor: Competitor) => Promise<void>) => {
    for (const competitor of running) {
      if (failures.has(competitor.name)) continue;
      await work(competitor).catch((error: unknown) => {
        failures.set(competitor.name, error instanceof Error ? error.message : String(error));
      });
    }
  };

  await everyone(async (competitor) => void (await competitor.measure(cell, pace.warmUpSeconds * 1000)));
  for (let round = 0; round < pace.rounds; round += 1) {
    await everyone(async (competitor) => {
      samples.get(competitor.name)?.push(await competitor.measure(cell, pace.seconds * 1000));
    });
  }
  if (database?.keepsStatistics) {
    await database.withStatementTimes(() =>
      everyone(async (competitor) => {
        statements.set(competitor.name, await statementsOf(competitor, cell, database, pace.seconds * 1000));
      }),
    );
  }
  if (database !== null && WRITES.includes(cell.kind)) await database.restore();

  const results = running.map(({ name }): CompetitorResult => {
    const failure = failures.get(name) ?? null;
    if (failure !== null) process.stderr.write(`    ${name} failed: ${failure}\n`);
    return {
      name,
      samples: failure === null ? (samples.get(name) ?? []) : [],
      statements: statements.get(name) ?? null,
      failure,
    };
  });
  return { kind: cell.kind, connections: cell.connections, results };
}

export function nameOf({ kind, connections }: Pick<Cell, 'kind' | 'connections'>): string {
  return `${REQUEST_LABELS[kind]}, ${connections} ${connections === 1 ? 'connection' : 'connections'}`;
}
