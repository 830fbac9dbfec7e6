import { REQUEST_LABELS } from '../load/workload.ts';
import type { CellResult } from '../measure.ts';
import { labelOf, type Report, type Summary, summarize } from './report.ts';

const PANEL_WIDTH = 550;
const LABEL_WIDTH = 225;
const VALUE_WIDTH = 62;
const BAR_HEIGHT = 16;
const BAR_GAP = 6;
const TITLE_HEIGHT = 30;
const MARGIN = 24;
const HEAD_HEIGHT = 58;
const COLUMNS = 2;

const COLOURS = {
  service: '#2563eb',
  before: '#60a5fa',
  variant: '#93c5fd',
  floor: '#a8a29e',
  peer: '#f59e0b',
} as const;

const escaped = (text: string) => text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
const whole = (value: number) => value.toLocaleString('en', { maximumFractionDigits: 0 });

function text(x: number, y: number, content: string, style = ''): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${style}>${escaped(content)}</text>`;
}

function bar(report: Report, summary: Summary, y: number, scale: number): string[] {
  const label = text(LABEL_WIDTH - 8, y + 12, labelOf(report, summary.name), 'text-anchor="end"');
  if (summary.rate === null) return [label, text(LABEL_WIDTH, y + 12, 'failed', 'fill="#dc2626"')];
  const { median, min, max } = summary.rate;
  const role = report.contenders.find(({ name }) => name === summary.name)?.role ?? 'peer';
  const [from, to] = [LABEL_WIDTH + min * scale, LABEL_WIDTH + max * scale];
  const middle = y + BAR_HEIGHT / 2;
  const width = (median * scale).toFixed(1);
  const ticks = [from, to].map((x) => `M${x.toFixed(1)} ${middle - 3}v6`).join('');
  return [
    label,
    `<rect x="${LABEL_WIDTH}" y="${y}" width="${width}" height="${BAR_HEIGHT}" rx="2" fill="${COLOURS[role]}"/>`,
    `<path d="M${from.toFixed(1)} ${middle}H${to.toFixed(1)}${ticks}" stroke="#1c1917" fill="none"/>`,
    text(to + 6, y + 12, whole(median), 'font-weight="600"'),
  ];
}

function panelHeight(cell: CellResult): number {
  return TITLE_HEIGHT + cell.results.length * (BAR_HEIGHT + BAR_GAP);
}

function panel(report: Report, cell: CellResult, x: number, y: number): string {
  const summaries = summarize(cell);
  const max = Math.max(1, ...summaries.map(({ rate }) => rate?.max ?? 0));
  const scale = (PANEL_WIDTH - LABEL_WIDTH - VALUE_WIDTH) / max;
  const bars = summaries.flatMap((summary, index) =>
    bar(report, summary, TITLE_HEIGHT + index * (BAR_HEIGHT + BAR_GAP), scale),
  );
  const title = text(0, 16, REQUEST_LABELS[cell.kind], 'font-size="14" font-weight="600"');
  return `<g transform="translate(${x} ${y})">${[title, ...bars].join('')}</g>`;
}

/** Requests per second, one panel for each kind of request, at 32 connections (or the first number measured). */
export function toSvg(report: Report): string {
  const { connections } = report.options;
  const shown = connections.includes(32) ? 32 : (connections[0] ?? 0);
  const cells = report.cells.filter((cell) => cell.connections === shown);
  const width = COLUMNS * (PANEL_WIDTH + MARGIN) + MARGIN;
  let y = HEAD_HEIGHT;
  const panels: string[] = [];
  for (let first = 0; first < cells.length; first += COLUMNS) {
    const row = cells.slice(first, first + COLUMNS);
    panels.push(...row.map((cell, column) => panel(report, cell, MARGIN + column * (PANEL_WIDTH + MARGIN), y)));
    y += Math.max(...row.map(panelHeight)) + MARGIN;
  }
  const { machine, database, options, startedAt } = report;
  const hardware = `${machine.processor}, ${machine.cores} cores, PostgreSQL ${database.version}`;
  const note = options.quick ? '; a quick run, whose numbers mean nothing' : '';
  const title = `Requests per second, ${shown} connections: median of ${options.rounds} rounds, minimum to maximum`;
  const size = `width="${width}" height="${y}" viewBox="0 0 ${width} ${y}"`;
  const font = 'font-family="system-ui, sans-serif" font-size="12" fill="#1c1917"';
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" ${size} ${font}>`,
    `<rect width="${width}" height="${y}" fill="#ffffff"/>`,
    text(MARGIN, 26, title, 'font-size="16" font-weight="600"'),
    text(MARGIN, 44, `${hardware}, commit ${machine.commit}, ${startedAt.slice(0, 10)}${note}`, 'fill="#57534e"'),
    ...panels,
    '</svg>\n',
  ].join('\n');
}
