import { REQUEST_LABELS } from '../load/workload.ts';
import { type CellResult, nameOf } from '../measure.ts';
import type { StartResult, StepResult } from '../sections.ts';
import { ratioOf, type Spread, spreadOf } from '../statistics.ts';
import { failuresOf, labelOf, type Report, regressionsOf, type Summary, summarize } from './report.ts';

const NOTHING = '–';

function plain(value: number | null, digits = 0): string {
  if (value === null) return NOTHING;
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** Three significant digits, but whole numbers from 100 on. */
const short = (value: number) => plain(value, value >= 100 ? 0 : value >= 10 ? 1 : 2);
const spread = (value: Spread | null) =>
  value === null ? NOTHING : `${short(value.median)} (${short(value.min)}–${short(value.max)})`;
const orFailed = (summary: Summary | undefined, value: Spread | null | undefined) =>
  summary?.failure ? 'failed' : spread(value ?? null);

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const rule = head.map((_, index) => (index === 0 ? '---' : '---:'));
  return [line(head), line(rule), ...rows.map(line)].join('\n');
}

const list = (lines: readonly string[]) => lines.map((line) => `- ${line}`).join('\n');

function overview(report: Report, connections: number): string {
  const others = report.contenders.filter(({ name }) => name !== 'service');
  const rows = report.cells
    .filter((cell) => cell.connections === connections)
    .map((cell) => {
      const summaries = new Map(summarize(cell).map((summary) => [summary.name, summary]));
      const service = summaries.get('service');
      const ratios = others.map(({ name }) => orFailed(summaries.get(name), summaries.get(name)?.serviceRatio));
      return [REQUEST_LABELS[cell.kind], orFailed(service, service?.rate), ...ratios];
    });
  return table(['', 'todo-api, requests/s', ...others.map(({ label }) => `÷ ${label}`)], rows);
}

const USAGE = ['p50 ms', 'p99 ms', 'server CPU µs', 'database CPU µs', 'memory MiB'];

const usage = (summary: Summary | undefined) => [
  plain(summary?.p50Ms ?? null, 2),
  plain(summary?.p99Ms ?? null, 2),
  plain(summary?.serverMicros ?? null),
  plain(summary?.databaseMicros ?? null),
  plain(summary?.residentMiB ?? null),
];

function details(report: Report, cell: CellResult): string {
  const rows = summarize(cell).map((summary) => [
    labelOf(report, summary.name),
    orFailed(summary, summary.rate),
    spread(summary.serviceRatio),
    ...usage(summary),
    plain(summary.statements, 1),
    plain(summary.statementMicros),
  ]);
  const head = ['', 'requests/s', 'todo-api is ×', ...USAGE, 'statements', 'statement µs'];
  return `### ${nameOf(cell)}\n\n${table(head, rows)}`;
}

function steps(results: readonly StepResult[], unit: string): string {
  const ratesAt = (step: StepResult | undefined, kind: CellResult['kind']) =>
    step?.cells.find((cell) => cell.kind === kind)?.results[0]?.samples.map((one) => one.requestsPerSecond) ?? [];
  const rows = results.flatMap((step) =>
    step.cells.map((cell) => {
      const [summary] = summarize(cell);
      const ratio = ratioOf(ratesAt(step, cell.kind), ratesAt(results[0], cell.kind));
      const label = REQUEST_LABELS[cell.kind];
      return [plain(step.step), label, orFailed(summary, summary?.rate), spread(ratio), ...usage(summary)];
    }),
  );
  return table([unit, 'request', 'requests/s', '× the first', ...USAGE], rows);
}

const cpuOf = (summary: Summary | undefined) =>
  summary?.serverMicros == null || summary.databaseMicros === null
    ? null
    : summary.serverMicros + summary.databaseMicros;

const CREATES_IN_BATCH = 100;

function sync(report: Report): string {
  const summaryOf = (kind: CellResult['kind'], connections: number) => {
    const cell = report.sync.find((one) => one.kind === kind && one.connections === connections);
    return cell === undefined ? undefined : summarize(cell)[0];
  };
  const rows = report.sync.map((cell) => {
    const [summary] = summarize(cell);
    return [nameOf(cell), orFailed(summary, summary?.rate), plain(cpuOf(summary)), ...usage(summary)];
  });
  const quotient = (above: number | null | undefined, below: number | null | undefined) =>
    above == null || !below ? NOTHING : short(above / below);
  const connections = [...new Set(report.sync.map((cell) => cell.connections))];
  const ratios = connections.map((count) => {
    const notModified = cpuOf(summaryOf('notModified', count));
    const batches = summaryOf('batch100', count)?.rate?.median ?? 0;
    return [
      plain(count),
      quotient(cpuOf(summaryOf('list', count)), notModified),
      quotient(cpuOf(summaryOf('list1000', count)), notModified),
      plain(batches * CREATES_IN_BATCH),
      quotient(batches * CREATES_IN_BATCH, summaryOf('create', count)?.rate?.median),
    ];
  });
  const head = [
    'connections',
    'CPU, list of 20 ÷ 304',
    'CPU, list of 1000 ÷ 304',
    'creates/s in batches',
    '÷ creates/s alone',
  ];
  return `${table(['', 'requests/s', 'CPU µs', ...USAGE], rows)}\n\n${table(head, ratios)}`;
}

function oneUser(report: Report): string {
  const rows = report.oneUser.flatMap(({ conditions, kind, cell }) =>
    summarize(cell).map((summary) => {
      const samples = cell.results.find(({ name }) => name === summary.name)?.samples ?? [];
      const all = spreadOf(samples.map(({ responses, requestsPerSecond }) => (responses * 1000) / requestsPerSecond));
      const slowest = spreadOf(samples.flatMap(({ p99Ms }) => p99Ms ?? []));
      const label = kind === 'burst' ? `${cell.connections} at once` : `${cell.connections} connections`;
      const rate = orFailed(summary, summary.rate);
      return [
        `${conditions}, ${label}, ${labelOf(report, summary.name)}`,
        rate,
        spread(summary.serviceRatio),
        kind === 'burst' ? spread(all) : NOTHING,
        spread(slowest),
      ];
    }),
  );
  return table(['', 'creates/s', 'todo-api is ×', 'ms until all are answered', 'slowest (p99) ms'], rows);
}

function starts(report: Report, results: readonly StartResult[]): string {
  const rows = results.map(({ name, startMs, residentMiB }) => {
    const memory = spreadOf(residentMiB.flatMap((value) => value ?? []));
    return [labelOf(report, name), spread(spreadOf(startMs)), spread(memory)];
  });
  return table(['', 'start to first response, ms', 'memory, MiB'], rows);
}

function embedded(report: Report): string {
  if (report.embedded === null) return '';
  const rows = report.embedded.cells.flatMap((cell) =>
    summarize(cell).map((summary) => {
      const label = `${nameOf(cell)}, ${labelOf(report, summary.name)}`;
      const rate = orFailed(summary, summary.rate);
      return [label, rate, spread(summary.serviceRatio), ...usage(summary).slice(0, 3)];
    }),
  );
  const head = ['', 'requests/s', 'todo-api is ×', 'p50 ms', 'p99 ms', 'CPU µs, with the database'];
  const users = `${plain(report.embedded.users)} users with 20 tasks each; memory is that after the load.`;
  return `${users}\n\n${table(head, rows)}\n\n${starts(report, report.embedded.starts)}`;
}

const METHOD = `The mix is 40 lists, 40 gets, 7 creates, 7 updates and 6 toggles. Figures are medians of the rounds with
minimum and maximum; ratios are of medians, with minimum and maximum of rounds side by side. The load is a closed loop:
a connection sends its next request when the previous one is answered, so latencies under load include queueing. CPU is
per request. Statements and their time are from pg_stat_statements, in one more round.

The floors verify tokens and read the same JSON from the database without a framework: one sends begin, settings,
statement and commit through the pipeline of pg, the other uses the connection pool of the service. pgbench sends the
transaction of a list of 20 in one pipeline over at most 4 connections. PocketBase runs with its defaults: SQLite with
synchronous=NORMAL, which does not fsync each commit (PostgreSQL here does), and its request log. Its toggle is a PATCH
of the field, and the tasks it creates stay in its table.`;

function coresText({ cores: { server, load, database } }: Report): string {
  if (server === null) return 'Nothing was bound to a core.';
  const postgres = database === null ? 'not bound' : `on ${database.join(', ')}`;
  return `Each server ran on core ${server}, the load on core ${load}, PostgreSQL ${postgres}; PocketBase, whose
database is in its process, on the cores of both.`;
}

function circumstances(report: Report): string {
  const { machine, database, options, startedAt, minutes } = report;
  const hardware = `${machine.processor}, ${machine.cores} cores, ${machine.memoryGiB} GiB, Linux ${machine.kernel}`;
  const rounds = `${options.rounds} rounds of ${options.seconds} s in turns`;
  return [
    `Commit ${machine.commit}, ${startedAt}, ${plain(minutes, 1)} minutes.
${hardware}, load average ${plain(machine.load, 2)} before the run.
PostgreSQL ${database.version} with ${database.settings.join(', ')}.
${coresText(report)}`,
    list([
      ...report.contenders.map(({ label, components }) => `**${label}**: ${components}`),
      ...report.absent.map(({ label, reason }) => `${label} is absent: ${reason}`),
      ...(database.hasStatistics ? [] : ['pg_stat_statements is absent: no statement times']),
    ]),
    `10,000 users with 20 tasks each and one with 1000; requests carry the tokens of 1000 users.
Each cell: ${options.warmUpSeconds} s of warm-up per contender, then ${rounds}.
${METHOD}`,
  ].join('\n\n');
}

/** The report as Markdown, without the sections that were not run. */
export function toMarkdown(report: Report): string {
  const { options, cells } = report;
  const failures = failuresOf(report);
  const regressions = regressionsOf(report);
  const section = (title: string, isPresent: boolean, text: () => string) => (isPresent ? [`## ${title}`, text()] : []);
  const parts = [
    '# Benchmark',
    ...(options.quick ? ['**A quick run, which shows that everything works; its numbers mean nothing.**'] : []),
    ...(failures.length > 0 ? [`**Failed:**\n\n${list(failures)}`] : []),
    ...(regressions.length > 0 ? [`**Slower than before by over 5 % (get: 8 %):**\n\n${list(regressions)}`] : []),
    ...options.connections.flatMap((count) =>
      section(`At ${count} connection${count === 1 ? '' : 's'}`, cells.length > 0, () => overview(report, count)),
    ),
    ...section('Start and memory', report.starts.length > 0, () => starts(report, report.starts)),
    ...section('304, changes and batches', report.sync.length > 0, () => sync(report)),
    ...section('Creates of one user', report.oneUser.length > 0, () => oneUser(report)),
    ...section('Table growth (32 connections)', report.growth.length > 0, () => steps(report.growth, 'tasks')),
    ...section(
      'Several processes (node:cluster, 32 connections, not bound to cores)',
      report.processes.length > 0,
      () => steps(report.processes, 'processes'),
    ),
    ...section('Embedded database', report.embedded !== null, () => embedded(report)),
    ...section('Method', true, () => circumstances(report)),
    ...section('All cells', cells.length > 0, () => cells.map((cell) => details(report, cell)).join('\n\n')),
  ];
  return `${parts.join('\n\n')}\n`;
}
