import { readFile, writeFile } from 'node:fs/promises';
import type { Drill, Figures } from './drill.ts';

const PAGE = new URL('../../docs/reliability.md', import.meta.url);
const BEGIN = '<!-- begin: written by npm run drill -- --record -->\n';
const END = '\n<!-- end -->';
const HEAD = '| drill | what must hold | recorded | figures | held |\n| --- | --- | --- | --- | --- |\n';
const NOT_RECORDED = ['-', 'not recorded', '-'];

export interface DrillResult {
  readonly drill: Drill;
  readonly figures: Figures;
  readonly failures: readonly string[];
}

/** The last three cells of each row, by the name of the drill. */
function parseRows(table: string): Map<string, readonly string[]> {
  const rows = table.split('\n').map((line) => line.slice(2, -2).split(' | '));
  return new Map(rows.map(([name = '', , ...cells]) => [name.replaceAll('`', ''), cells]));
}

function formatResult({ figures, failures }: DrillResult): readonly string[] {
  const text = Object.entries(figures).map(([label, figure]) => `${label}: ${figure}`);
  const held = failures.length === 0 ? 'yes' : `**no**: ${failures.join('; ')}`;
  return [new Date().toISOString().slice(0, 10), text.join('; '), held].map((cell) => cell.replaceAll('|', '/'));
}

/**
 * Writes the table of figures in docs/reliability.md: a row for each of `drills`, with the figures of `results` or, for
 * drills that were not run, those already there. @throws when the page has no markers for the table.
 */
export async function recordResults(drills: readonly Drill[], results: readonly DrillResult[]): Promise<void> {
  const page = await readFile(PAGE, 'utf8');
  const [before, rest] = page.split(BEGIN);
  const [table, after] = rest?.split(END) ?? [];
  if (before === undefined || table === undefined || after === undefined) {
    throw new Error(`docs/reliability.md has no lines ${BEGIN.trim()} and ${END.trim()}`);
  }
  const cells = parseRows(table);
  for (const result of results) cells.set(result.drill.name, formatResult(result));
  const rows = drills.map(
    ({ name, holds }) => `| \`${name}\` | ${holds} | ${(cells.get(name) ?? NOT_RECORDED).join(' | ')} |`,
  );
  await writeFile(PAGE, `${before}${BEGIN}${HEAD}${rows.join('\n')}${END}${after}`);
}
