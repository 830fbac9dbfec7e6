import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { nextOccurrence, parseRecurrence, storedRecurrence } from '../dist/tasks/recurrence.js';
import { parseRule } from '../dist/tasks/rrule.js';
import { dayOf, searchDate } from '../dist/tasks/rrule-dates.js';
import { temporaryFolder } from '../test/support/process.ts';
import { type RecurrenceCase, randomRecurrence, SERIES } from '../test/support/recurrence-cases.ts';
import type { Drill } from './support/drill.ts';
import { Random } from './support/random.ts';

const FOLDER = fileURLToPath(new URL('../test/recurrence/', import.meta.url));
const RULES = { short: 500, long: 10_000 };
/** How far python-dateutil looks, which goes from date to date. */
const YEARS = 60;
const COMPLETIONS = 500;
const MAX_MS = 5;
const MAX_OUTPUT = 64 * 1024 * 1024;

const run = promisify(execFile);

/** A Python that has python-dateutil from the package index. @throws where there is none. */
async function installDateutil(folder: string): Promise<string> {
  await run('python3', ['-m', 'venv', folder]);
  const python = join(folder, 'bin/python');
  await run(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', 'python-dateutil==4.0.0']);
  return python;
}

/** @returns the answers of `reference.py`. */
async function ask(python: string, cases: readonly object[]): Promise<readonly unknown[]> {
  const asked = run(python, [join(FOLDER, 'reference.py')], { maxBuffer: MAX_OUTPUT });
  asked.child.stdin?.end(JSON.stringify(cases));
  const { stdout } = await asked;
  return JSON.parse(stdout) as readonly unknown[];
}

function acceptedCases(random: Random, count: number): RecurrenceCase[] {
  const cases: RecurrenceCase[] = [];
  while (cases.length < count) {
    const { rule, due, after } = randomRecurrence((limit) => random.below(limit));
    const { recurrence } = parseRecurrence(rule);
    if (recurrence !== null) cases.push({ rule: storedRecurrence(recurrence, due), due, after });
  }
  return cases;
}

/** What `reference.py` calls the last day. */
const lastOf = (after: string) => `${Math.min(9999, Number(after.slice(0, 4)) + YEARS)}${after.slice(4, 8)}01`;

/** CPU time of the search in ms, the least of three, because this process has others beside it. */
function cpuOf({ rule, due, after }: RecurrenceCase): number {
  const parsed = parseRule(rule);
  const times = [1, 2, 3].map(() => {
    const start = process.cpuUsage();
    searchDate(parsed, dayOf(due), dayOf(after));
    const { user, system } = process.cpuUsage(start);
    return (user + system) / 1_000;
  });
  return Math.min(...times);
}

export const recurrence: Drill = {
  name: 'recurrence',
  holds: 'the next date of a random rule is found within 5 ms and is that of python-dateutil',
  timeoutSeconds: { short: 300, long: 3_600 },
  run: async (drill) => {
    const folder = temporaryFolder();
    drill.onRelease(folder.remove);
    const python = await installDateutil(folder.path);
    const cases = acceptedCases(new Random(drill.seed), RULES[drill.scale]);
    const answers = await ask(
      python,
      cases.map((one) => ({ ...one, years: YEARS })),
    );
    const times: number[] = [];
    for (const [index, one] of cases.entries()) {
      const { rule, due, after } = one;
      const found = nextOccurrence({ recurrence: rule, from: 'due', due, completedOn: after })?.due ?? null;
      const expected = answers[index];
      const known = found !== null && found <= lastOf(after) ? found : null;
      drill.expect(known === expected, `${rule} from ${due} after ${after}: ${known}, dateutil ${String(expected)}`);
      times.push(cpuOf(one));
    }
    times.sort((a, b) => a - b);
    drill.expect((times.at(-1) ?? 0) <= MAX_MS, `the slowest took ${times.at(-1)} ms`);
    if (process.env.WRITE_FIXTURES) {
      const series = await ask(
        python,
        SERIES.map(({ rule, due, late }) => ({ rule, due, late, completions: COMPLETIONS })),
      );
      const bySeries = Object.fromEntries(SERIES.map(({ title }, index) => [title, series[index]]));
      writeFileSync(join(FOLDER, 'series.json'), `${JSON.stringify(bySeries)}\n`);
      const lines = cases.map((one, index) => JSON.stringify({ ...one, years: YEARS, next: answers[index] }));
      writeFileSync(join(FOLDER, 'dates.json'), `[\n${lines.join(',\n')}\n]\n`);
    }
    return {
      'rules compared': cases.length,
      'without a date in 60 years': answers.filter((date) => date === null).length,
      'CPU ms, p50, p99 and most': [0.5, 0.99, 1]
        .map((part) => times[Math.ceil(part * times.length) - 1]?.toFixed(3))
        .join(', '),
    };
  },
};
