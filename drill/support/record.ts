import { readFile, writeFile } from 'node:fs/promises';
import type { Drill, Result } from './drill.ts';

const PAGE = new URL('../../docs/operations.md', import.meta.url);

/** What a row of the table begins with; it is replaced when the drill is run again. */
const rowStart = ({ name }: Drill) => `| \`npm run drill -- ${name}\` |`;

function row(drill: Drill, { figures, faults }: Result): string {
  const told = Object.entries(figures).map(([what, figure]) => `${what}: ${figure}`);
  const verdict = faults.length === 0 ? 'yes' : `**no**: ${faults.join('; ')}`;
  return `${rowStart(drill)} ${drill.holds} | ${told.join('; ').replaceAll('|', '\\|')} | ${verdict} |`;
}

/**
 * Puts the results of long drills into their rows of the table in docs/operations.md.
 * @throws when a drill has no row there.
 */
export async function recordResults(results: readonly { drill: Drill; result: Result }[]): Promise<void> {
  const lines = (await readFile(PAGE, 'utf8')).split('\n');
  for (const { drill, result } of results) {
    const at = lines.findIndex((line) => line.startsWith(rowStart(drill)));
    if (at === -1) throw new Error(`docs/operations.md has no row for ${drill.name}`);
    lines[at] = row(drill, result);
  }
  await writeFile(PAGE, lines.join('\n'));
}
