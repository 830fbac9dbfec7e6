import { REQUEST_LABELS } from '../load/order.ts';
import type { CellResult } from '../measure.ts';
import type { StepResult } from '../sections.ts';
import { ratioOf, type Spread, spreadOf } from '../statistics.ts';
import { failuresOf, labelOf, type Report, type Summary, summarize } from './report.ts';

const NOTHING = '–';

function plain(value: number | null, digits = 0): string {
  if (value === null) return NOTHING;
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** Three figures that count. */
const short = (value: number | null) => plain(value, value === null || value >= 100 ? 0 : value >= 10 ? 1 : 2);
const spread = (value: Spread | null, show = short) =>
  value === null ? NOTHING : `${show(value.median)} (${show(value.least)}–${show(value.most)})`;

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const rule = head.map((_, index) => (index === 0 ? '---' : '---:'));
  return [line(head), line(rule), ...rows.map(line)].join('\n');
}

function overview(report: Report, connections: number): string {
  const cells = report.cells.filter((cell) => cell.connections === connections);
  const others = report.contenders.filter(({ name }) => name !== 'service');
  const rows = cells.map((cell) => {
    const found = summarize(cell);
    const rate = spread(found.find(({ name }) => name === 'service')?.rate ?? null);
    const ratios = others.map(({ name }) => {
      const other = found.find((summary) => summary.name === name);
      return other?.failure ? 'failed' : spread(other?.serviceRatio ?? null);
    });
    return [REQUEST_LABELS[cell.kind], rate, ...ratios];
  });
  return table(['', 'todo-api, requests/s', ...others.map(({ label }) => `÷ ${label}`)], rows);
}

const DETAILS = [
  'requests/s',
  'todo-api is ×',
  'p50 ms',
  'p99 ms',
  'server CPU µs',
  'database CPU µs',
  'statements',
  'their time µs',
  'memory MiB',
];

function detail(report: Report, summary: Summary): string[] {
  if (summary.failure !== null)
    return [labelOf(report, summary.name), 'failed', ...DETAILS.slice(1).map(() => NOTHING)];
  return [
    labelOf(report, summary.name),
    spread(summary.rate),
    spread(summary.serviceRatio),
    plain(summary.p50Ms, 2),
    plain(summary.p99Ms, 2),
    plain(summary.serverMicros),
    plain(summary.databaseMicros),
    plain(summary.statements, 1),
    plain(summary.statementMicros),
    plain(summary.residentMiB),
  ];
}

function details(report: Report, cell: CellResult): string {
  const title = `### ${REQUEST_LABELS[cell.kind]}, ${cell.connections} connection${cell.connections === 1 ? '' : 's'}`;
  const rows = summarize(cell).map((summary) => detail(report, summary));
  return `${title}\n\n${table(['', ...DETAILS], rows)}`;
}

function steps(results: readonly StepResult[], unit: string): string {
  const rows = results.flatMap(({ step, cells }) =>
    cells.map((cell) => {
      const ratesAt = (of: StepResult | undefined) =>
        of?.cells.find(({ kind }) => kind === cell.kind)?.results[0]?.samples.map((one) => one.requestsPerSecond) ?? [];
      const [summary] = summarize(cell);
      return [
        step.toLocaleString('en'),
        REQUEST_LABELS[cell.kind],
        summary?.failure ? 'failed' : spread(summary?.rate ?? null),
        spread(ratioOf(ratesAt(results.find((other) => other.step === step)), ratesAt(results[0]))),
        plain(summary?.p50Ms ?? null, 2),
        plain(summary?.p99Ms ?? null, 2),
        plain(summary?.serverMicros ?? null),
        plain(summary?.databaseMicros ?? null),
        plain(summary?.residentMiB ?? null),
      ];
    }),
  );
  const head = ['request', 'requests/s', '× the first', 'p50 ms', 'p99 ms', 'server CPU µs', 'database CPU µs'];
  return table([unit, ...head, 'memory MiB'], rows);
}

function starts(report: Report): string {
  const rows = report.starts.map(({ name, startMs, residentMiB }) => {
    const memory = spreadOf(residentMiB.flatMap((value) => value ?? []));
    return [labelOf(report, name), spread(spreadOf(startMs)), spread(memory)];
  });
  return table(['', 'start to first answer, ms', 'memory then, MiB'], rows);
}

function embedded(report: Report): string {
  if (report.embedded === null) return '';
  const { users, startMs, residentMiB, cells } = report.embedded;
  const rows = cells.map((cell) => {
    const [summary] = summarize(cell);
    const rate = summary?.failure ? 'failed' : spread(summary?.rate ?? null);
    const times = [summary?.p50Ms, summary?.p99Ms].map((value) => plain(value ?? null, 2));
    return [REQUEST_LABELS[cell.kind], rate, ...times, plain(summary?.serverMicros ?? null)];
  });
  const found = table(['32 connections', 'requests/s', 'p50 ms', 'p99 ms', 'CPU µs, database and all'], rows);
  return `${users.toLocaleString('en')} users with 20 tasks each; ${plain(startMs)} ms from start to first answer, ${plain(residentMiB)} MiB at the end.\n\n${found}`;
}

function cores({ cores: { server, load, database } }: Report): string {
  if (server === null) return 'Nothing was bound to a core.';
  const where = database === null ? 'wherever there was room' : `on ${database.join(', ')}`;
  return `Each server ran on core ${server}, the load on core ${load}, PostgreSQL ${where}.`;
}

function circumstances(report: Report): string {
  const { machine, database, options, startedAt, minutes } = report;
  const made = report.contenders.map(({ label, madeOf }) => `- **${label}**: ${madeOf}`);
  const absent = report.absent.map(({ label, reason }) => `- ${label} is absent: ${reason}`);
  const statistics = database.keepsStatistics ? [] : ['- pg_stat_statements is absent: no statement times'];
  return [
    `Commit ${machine.commit}, ${startedAt}, ${plain(minutes, 1)} minutes. ${machine.processor}, ${machine.cores} cores, ${machine.memoryGiB} GiB, Linux ${machine.kernel}, load ${plain(machine.load, 2)} before it began. PostgreSQL ${database.version} with ${database.settings.join(', ')}. ${cores(report)}`,
    [...made, ...absent, ...statistics].join('\n'),
    `${options.users.toLocaleString('en')} users with 20 tasks each and one with 1000. Requests carry the tokens of 1000 users; a mix is 40 lists, 40 gets, 7 creates, 7 updates and 6 toggles. Each cell: ${options.warmUpSeconds} s of warm-up for each, then ${options.rounds} rounds of ${options.seconds} s in turns. Figures are medians of the rounds, least and most in brackets; ratios are of medians, least and most of rounds side by side. Connections send their next request when the last is answered, so times under load are those of a full queue. CPU is per request. PostgreSQL's own count of statements and their time come from one further round. The floors check tokens and read the same JSON from the database without a framework: one sends begin, settings, statement and commit through the pipeline of pg, the other uses the connections of the service, whose transaction is one burst of two statements. pgbench sends the same transaction of a list of 20 in one piece over at most 4 connections, without a server between.`,
  ].join('\n\n');
}

/** The report as a page; sections that were not run are left out. */
export function toMarkdown(report: Report): string {
  const failures = failuresOf(report);
  const section = (title: string, there: boolean, text: () => string) => (there ? [`## ${title}`, text()] : []);
  const { connections } = report.options;
  const ran = report.cells.length > 0;
  const parts = [
    '# Benchmark',
    ...(report.options.quick ? ['**A quick run: it shows that everything works. Its numbers say nothing.**'] : []),
    ...(failures.length > 0 ? [`**Failed:**\n\n${failures.map((failure) => `- ${failure}`).join('\n')}`] : []),
    ...connections.flatMap((count) =>
      section(`At ${count} connection${count === 1 ? '' : 's'}`, ran, () => overview(report, count)),
    ),
    ...section('Start and memory', report.starts.length > 0, () => starts(report)),
    ...section('Growth of the table (32 connections)', report.growth.length > 0, () => steps(report.growth, 'tasks')),
    ...section(
      'More processes behind one port (node:cluster, 32 connections, bound to no core)',
      report.processes.length > 0,
      () => steps(report.processes, 'processes'),
    ),
    ...section('The embedded database', report.embedded !== null, () => embedded(report)),
    ...section('How it was measured', true, () => circumstances(report)),
    ...section('Every cell', ran, () => report.cells.map((cell) => details(report, cell)).join('\n\n')),
  ];
  return `${parts.join('\n\n')}\n`;
}
