import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { v5 as uuidv5 } from 'uuid';
import type { UserId } from '../dist/core/user.js';
import { openEmbedded } from '../dist/database/embedded/embedded.js';
import { nextOccurrence, parseRecurrence } from '../dist/tasks/recurrence.js';
import { monthEndOf, parseRule, ruleText } from '../dist/tasks/rrule.js';
import { dayOf, searchDate } from '../dist/tasks/rrule-dates.js';
import type { TaskId } from '../dist/tasks/task.js';
import { temporaryFolder } from '../test/support/process.ts';
import { daysAfter, type RecurrenceCase, randomRecurrence, SERIES } from '../test/support/recurrence-cases.ts';
import type { Task } from '../test/support/service.ts';
import type { Drill } from './support/drill.ts';
import { tasksOn } from './support/ledger.ts';
import { Random } from './support/random.ts';

const FOLDER = fileURLToPath(new URL('../test/recurrence/', import.meta.url));
const RULES = { short: 500, long: 10_000 };
/** How far python-dateutil looks, which goes from date to date. */
const YEARS = 60;
const COMPLETIONS = 500;
const COMPLETED = { short: 25, long: COMPLETIONS };
const MAX_MS = 5;
const MAX_OUTPUT = 64 * 1024 * 1024;

const run = promisify(execFile);

/** A Python that has python-dateutil. @throws where there is none. */
async function findPython(): Promise<string> {
  for (const python of ['python3', '/usr/bin/python3']) {
    const found = await run(python, ['-c', 'import dateutil']).catch(() => null);
    if (found !== null) return python;
  }
  throw new Error('No Python with python-dateutil: install python3-dateutil');
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
    if (recurrence !== null) cases.push({ rule: ruleText(monthEndOf(parseRule(recurrence), due)), due, after });
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

/** The due dates of the tasks that are made where each series is completed so many times in a row. */
async function completeSeries(folder: string, times: number): Promise<Record<string, string[]>> {
  const ignore = () => undefined;
  const database = await openEmbedded({ directory: folder, onWarning: ignore, onFatal: ignore });
  const tasks = tasksOn(database);
  const user = { userId: 'recurring' as UserId, email: null };
  const dates: Record<string, string[]> = {};
  for (const { title, rule, due, from, late } of SERIES) {
    const given = { title, due_date: due, recurrence: rule, recurrence_from: from };
    const parse = (json: string | null): Task => JSON.parse(json ?? 'null');
    let task = parse((await tasks.create(user, given, null)).outcome.json);
    const made: string[] = [];
    for (let done = 0; done < times; done += 1) {
      const completedOn = daysAfter(task.due_date ?? '', late?.at((done - 1) % late.length) ?? 0);
      const guard = { expected: null, retry: null };
      const completion = { completed_on: completedOn };
      const completed = parse((await tasks.toggle(user, task.id as TaskId, completion, guard)).outcome.json);
      const next = nextOccurrence({ recurrence: rule, from, due: task.due_date ?? '', completedOn });
      const id = uuidv5(next?.due ?? '', completed.series_id ?? '') as TaskId;
      task = parse((await tasks.get(user, id)).json);
      made.push(task.due_date ?? '');
    }
    dates[title] = made;
  }
  await database.close();
  return dates;
}

export const recurrence: Drill = {
  name: 'recurrence',
  holds:
    'the next date of a random rule is found within 5 ms, it and 500 completions in a row are as python-dateutil says',
  timeoutSeconds: { short: 300, long: 3_600 },
  run: async (drill) => {
    const folder = temporaryFolder();
    drill.onRelease(folder.remove);
    const python = await findPython();
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
    const series = await ask(
      python,
      SERIES.map(({ rule, due, late }) => ({ rule, due, late, completions: COMPLETIONS })),
    );
    const completions = COMPLETED[drill.scale];
    const completed = await completeSeries(join(folder.path, 'data'), completions);
    for (const [index, { title }] of SERIES.entries()) {
      const expected = JSON.stringify((series[index] as readonly string[]).slice(0, completions));
      drill.expect(JSON.stringify(completed[title]) === expected, `${title}: the tasks have other dates than dateutil`);
    }
    if (process.env.WRITE_FIXTURES) {
      const bySeries = Object.fromEntries(SERIES.map(({ title }, index) => [title, series[index]]));
      writeFileSync(join(FOLDER, 'series.json'), `${JSON.stringify(bySeries)}\n`);
      const lines = cases.map((one, index) => JSON.stringify({ ...one, years: YEARS, next: answers[index] }));
      writeFileSync(join(FOLDER, 'dates.json'), `[\n${lines.join(',\n')}\n]\n`);
    }
    return {
      'rules compared': cases.length,
      'completions of each of 6 series': completions,
      'without a date in 60 years': answers.filter((date) => date === null).length,
      'CPU ms, p50, p99 and most': [0.5, 0.99, 1]
        .map((part) => times[Math.ceil(part * times.length) - 1]?.toFixed(3))
        .join(', '),
    };
  },
};
