import type { Absent, Contender } from '../contenders.ts';
import type { Cores, Machine } from '../machine.ts';
import type { CellResult, CompetitorResult } from '../measure.ts';
import type { Options } from '../options.ts';
import type { EmbeddedResult, StartResult, StepResult } from '../sections.ts';
import { medianOf, ratioOf, type Spread, spreadOf } from '../statistics.ts';

export type Described =
  | Pick<Contender, 'name' | 'label' | 'madeOf' | 'role'>
  | { name: 'pgbench'; label: string; role: 'floor'; madeOf: string };

/** Everything a run has found out; kept as JSON. */
export interface Report {
  readonly startedAt: string;
  readonly minutes: number;
  readonly machine: Machine;
  readonly database: {
    readonly version: string;
    readonly settings: readonly string[];
    readonly keepsStatistics: boolean;
  };
  readonly cores: Cores;
  readonly options: Options;
  readonly contenders: readonly Described[];
  readonly absent: readonly Absent[];
  readonly starts: readonly StartResult[];
  readonly cells: readonly CellResult[];
  readonly processes: readonly StepResult[];
  readonly growth: readonly StepResult[];
  readonly embedded: EmbeddedResult | null;
  /** Sections that could not be measured, and why. */
  readonly troubles: readonly string[];
}

/** What makes a run worthless. A peer that gives up under load is a result, and stands in the table as one. */
export function failuresOf(report: Report): string[] {
  const peers = new Set(report.contenders.filter(({ role }) => role === 'peer').map(({ name }) => String(name)));
  const steps = [...report.processes, ...report.growth].flatMap((step) => step.cells);
  const cells = [...report.cells, ...steps, ...(report.embedded?.cells ?? [])].flatMap(
    ({ kind, connections, results }) =>
      results.flatMap(({ name, failure }) =>
        failure === null || peers.has(name) ? [] : [`${name}, ${kind}, ${connections} connections: ${failure}`],
      ),
  );
  return [...report.troubles, ...cells];
}

const rates = (result: CompetitorResult | undefined) =>
  (result?.samples ?? []).map(({ requestsPerSecond }) => requestsPerSecond);

export interface Summary {
  readonly name: string;
  readonly rate: Spread | null;
  /** How many times as many requests the service answers. */
  readonly serviceRatio: Spread | null;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  readonly serverMicros: number | null;
  readonly databaseMicros: number | null;
  readonly statementMicros: number | null;
  readonly statements: number | null;
  readonly residentMiB: number | null;
  readonly failure: string | null;
}

export function summarize(cell: CellResult): Summary[] {
  const service = rates(cell.results.find(({ name }) => name === 'service'));
  return cell.results.map((result) => {
    const { name, samples, statements, failure } = result;
    return {
      name,
      rate: spreadOf(rates(result)),
      serviceRatio: ratioOf(service, rates(result)),
      p50Ms: medianOf(samples.map((sample) => sample.p50Ms)),
      p99Ms: medianOf(samples.map((sample) => sample.p99Ms)),
      serverMicros: medianOf(samples.map((sample) => sample.serverMicrosEach)),
      databaseMicros: medianOf(samples.map((sample) => sample.databaseMicrosEach)),
      statementMicros: statements?.microsEach ?? null,
      statements: statements?.statementsEach ?? null,
      residentMiB: spreadOf(samples.flatMap(({ residentMiB }) => residentMiB ?? []))?.most ?? null,
      failure,
    };
  });
}

export function labelOf(report: Report, name: string): string {
  return report.contenders.find((contender) => contender.name === name)?.label ?? name;
}
