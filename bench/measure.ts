import type { Api } from './api.ts';
import type { BenchDatabase } from './database.ts';
import type { LoadGenerator } from './load/generator.ts';
import { REQUEST_LABELS, type RequestKind, type UserSample, WRITES } from './load/workload.ts';
import type { ServerProcess } from './server-process.ts';

export interface Cell {
  readonly kind: RequestKind;
  readonly connections: number;
  readonly users: UserSample;
}

/** One measured round of one competitor. CPU time is per response. */
interface Sample {
  readonly responses: number;
  readonly requestsPerSecond: number;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  readonly serverMicros: number | null;
  readonly databaseMicros: number | null;
  readonly residentMiB: number | null;
}

/** From pg_stat_statements, per response, in a round of its own. */
interface StatementSample {
  readonly statements: number;
  readonly micros: number;
}

export interface CompetitorResult {
  readonly name: string;
  readonly samples: readonly Sample[];
  readonly statements: StatementSample | null;
  /** The error of a failed measurement, which has no samples; else null. */
  readonly failure: string | null;
}

export interface CellResult {
  readonly kind: RequestKind;
  readonly connections: number;
  readonly results: readonly CompetitorResult[];
}

/** What is measured: a server under load, or pgbench. */
export interface Competitor {
  readonly name: string;
  /** The kinds of request it can be measured with. */
  readonly kinds: readonly RequestKind[];
  readonly usesPostgres: boolean;
  measure(cell: Cell, milliseconds: number): Promise<Sample>;
}

export interface Pace {
  readonly rounds: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
}

export const perResponse = (before: number | null, after: number | null, responses: number) =>
  before === null || after === null ? null : (after - before) / responses;

/** @param database PostgreSQL, if the server uses it; else null. */
export function serverCompetitor(
  { name, kinds, api }: { name: string; kinds: readonly RequestKind[]; api: Api },
  server: ServerProcess,
  { load, database }: { load: LoadGenerator; database: BenchDatabase | null },
): Competitor {
  return {
    name,
    kinds,
    usesPostgres: database !== null,
    measure: async (cell, milliseconds) => {
      const serverBefore = server.cpuMicroseconds();
      const databaseBefore = database?.cpuMicroseconds() ?? null;
      const result = await load.run({ ...cell, api, port: server.port, milliseconds });
      const { responses, p50Ms, p99Ms } = result;
      return {
        responses,
        requestsPerSecond: (responses * 1000) / result.milliseconds,
        p50Ms,
        p99Ms,
        serverMicros: perResponse(serverBefore, server.cpuMicroseconds(), responses),
        databaseMicros: perResponse(databaseBefore, database?.cpuMicroseconds() ?? null, responses),
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
  await database.resetStatementTimes();
  const { responses } = await competitor.measure(cell, milliseconds);
  const { statements, microseconds } = await database.statementTimes();
  return { statements: statements / responses, micros: microseconds / responses };
}

/** A warm-up for each competitor, then rounds in turns (A B C A B C …), so that drift affects all alike. */
export async function measureCell(
  cell: Cell,
  competitors: readonly Competitor[],
  { pace, database }: { pace: Pace; database: BenchDatabase | null },
): Promise<CellResult> {
  const participants = competitors.filter(({ kinds }) => kinds.includes(cell.kind));
  const samples = new Map<string, Sample[]>(participants.map(({ name }) => [name, []]));
  const statements = new Map<string, StatementSample>();
  const failures = new Map<string, string>();
  const forEach = async (work: (competitor: Competitor) => Promise<void>) => {
    for (const competitor of participants) {
      if (failures.has(competitor.name)) continue;
      await work(competitor).catch((error: unknown) => {
        failures.set(competitor.name, error instanceof Error ? error.message : String(error));
      });
    }
  };

  await forEach(async (competitor) => void (await competitor.measure(cell, pace.warmUpSeconds * 1000)));
  for (let round = 0; round < pace.rounds; round += 1) {
    await forEach(async (competitor) => {
      samples.get(competitor.name)?.push(await competitor.measure(cell, pace.seconds * 1000));
    });
  }
  if (database?.hasStatistics) {
    await database.withStatementTimes(() =>
      forEach(async (competitor) => {
        if (!competitor.usesPostgres) return;
        statements.set(competitor.name, await statementsOf(competitor, cell, database, pace.seconds * 1000));
      }),
    );
  }
  if (database !== null && WRITES.includes(cell.kind)) await database.restore();

  const results = participants.map(({ name }): CompetitorResult => {
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
