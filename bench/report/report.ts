import type { Contender } from '../contenders.ts';
import type { Cores, Machine } from '../machine.ts';
import { type CellResult, type CompetitorResult, nameOf } from '../measure.ts';
import type { Options } from '../options.ts';
import type { Absent } from '../peers.ts';
import type { EmbeddedResult, OneUserResult, StartResult, StepResult } from '../sections.ts';
import { medianOf, ratioOf, spreadOf } from '../statistics.ts';

export type Described = Pick<Contender, 'name' | 'label' | 'role' | 'components'>;

/** All results of a run; written as JSON. */
export interface Report {
  readonly startedAt: string;
  readonly minutes: number;
  readonly machine: Machine;
  readonly database: {
    readonly version: string;
    readonly settings: readonly string[];
    readonly hasStatistics: boolean;
  };
  readonly cores: Cores;
  readonly options: Options;
  readonly contenders: readonly Described[];
  readonly absent: readonly Absent[];
  readonly starts: readonly StartResult[];
  readonly cells: readonly CellResult[];
  readonly sync: readonly CellResult[];
  readonly oneUser: readonly OneUserResult[];
  readonly processes: readonly StepResult[];
  readonly growth: readonly StepResult[];
  readonly embedded: EmbeddedResult | null;
  /** Errors that ended a section. */
  readonly errors: readonly string[];
}

/** What makes a run invalid. A peer that fails under load is a result, shown in the tables. */
export function failuresOf(report: Report): string[] {
  const peers = new Set(report.contenders.filter(({ role }) => role === 'peer').map(({ name }) => name));
  const steps = [...report.processes, ...report.growth].flatMap(({ cells }) => cells);
  const oneUser = report.oneUser.map(({ cell }) => cell);
  const cells = [...report.cells, ...report.sync, ...oneUser, ...steps, ...(report.embedded?.cells ?? [])].flatMap(
    (cell) =>
      cell.results.flatMap(({ name, failure }) =>
        failure === null || peers.has(name) ? [] : [`${name}, ${nameOf(cell)}: ${failure}`],
      ),
  );
  return [...report.errors, ...cells];
}

const ratesOf = (result: CompetitorResult | undefined) =>
  (result?.samples ?? []).map(({ requestsPerSecond }) => requestsPerSecond);

export type Summary = ReturnType<typeof summarize>[number];

/** Medians of the rounds of each competitor; memory is the maximum. */
export function summarize(cell: CellResult) {
  const service = ratesOf(cell.results.find(({ name }) => name === 'service'));
  return cell.results.map((result) => {
    const { name, samples, statements, failure } = result;
    return {
      name,
      rate: spreadOf(ratesOf(result)),
      /** Requests per second of the service ÷ those of this competitor. */
      serviceRatio: ratioOf(service, ratesOf(result)),
      p50Ms: medianOf(samples.map(({ p50Ms }) => p50Ms)),
      p99Ms: medianOf(samples.map(({ p99Ms }) => p99Ms)),
      serverMicros: medianOf(samples.map(({ serverMicros }) => serverMicros)),
      databaseMicros: medianOf(samples.map(({ databaseMicros }) => databaseMicros)),
      statementMicros: statements?.micros ?? null,
      statements: statements?.statements ?? null,
      residentMiB: spreadOf(samples.flatMap(({ residentMiB }) => residentMiB ?? []))?.max ?? null,
      failure,
    };
  });
}

const MIN_RATIO = 0.95;
const MIN_RATIO_GET = 0.92;

/** Cells in which the service is slower than `before` by more than 5 %, a get by more than 8 %. */
export function regressionsOf(report: Report): string[] {
  const cells = [
    ...report.cells.map((cell) => ({ cell, place: '' })),
    ...(report.embedded?.cells ?? []).map((cell) => ({ cell, place: 'embedded: ' })),
  ];
  return cells.flatMap(({ cell, place }) => {
    const ratio = summarize(cell).find(({ name }) => name === 'before')?.serviceRatio?.median ?? 1;
    const isSlower = ratio < (cell.kind === 'get' ? MIN_RATIO_GET : MIN_RATIO);
    return isSlower ? [`${place}${nameOf(cell)}: ${ratio.toFixed(2)}`] : [];
  });
}

export function labelOf(report: Report, name: string): string {
  return report.contenders.find((contender) => contender.name === name)?.label ?? name;
}
