import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { nextOccurrence, parseRecurrence, recurs } from '../dist/tasks/recurrence.js';
import { storedRecurrence as storedRecurrenceSql } from '../dist/tasks/recurrence-sql.js';
import { monthEndOf, parseRule, ruleText } from '../dist/tasks/rrule.js';
import { dayOf, searchDate } from '../dist/tasks/rrule-dates.js';
import { daysAfter, type RecurrenceCase, randomRecurrence, SERIES } from './support/recurrence-cases.ts';
import { onEachDatabase } from './support/service.ts';
import { runAs } from './support/statements.ts';

const fixture = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../test/recurrence/${name}`, import.meta.url), 'utf8'));

const canonical = (text: string) => {
  const { recurrence, fault } = parseRecurrence(text);
  assert.equal(fault, null, text);
  return recurrence ?? '';
};

const arbitraryCase = fc
  .infiniteStream(fc.nat(0x7fff_fffe))
  .map((numbers) => randomRecurrence((limit) => (numbers.next().value ?? 0) % limit));

describe('the text of a recurrence', () => {
  for (const [given, expected] of [
    ['freq=daily', 'FREQ=DAILY'],
    [' RRULE:FREQ=DAILY;INTERVAL=1 ', 'FREQ=DAILY'],
    ['rrule:interval=03;freq=daily', 'FREQ=DAILY;INTERVAL=3'],
    ['FREQ=WEEKLY;BYDAY=TH,MO,TH;INTERVAL=2', 'FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,TH'],
    ['FREQ=WEEKLY;BYDAY=MO;INTERVAL=2;WKST=SU', 'FREQ=WEEKLY;INTERVAL=2;WKST=SU;BYDAY=MO'],
    ['FREQ=WEEKLY;BYDAY=MO;WKST=SU', 'FREQ=WEEKLY;BYDAY=MO'],
    ['FREQ=WEEKLY;BYDAY=SU,MO;WKST=SU;BYSETPOS=1', 'FREQ=WEEKLY;WKST=SU;BYDAY=MO,SU;BYSETPOS=1'],
    ['FREQ=WEEKLY;INTERVAL=2;BYDAY=MO;WKST=MO', 'FREQ=WEEKLY;INTERVAL=2;BYDAY=MO'],
    ['FREQ=MONTHLY;BYMONTHDAY=+15,-1,1,15', 'FREQ=MONTHLY;BYMONTHDAY=-1,1,15'],
    ['FREQ=MONTHLY;BYDAY=FR,+2TU,-1FR,FR', 'FREQ=MONTHLY;BYDAY=-1FR,FR,2TU'],
    ['FREQ=YEARLY;BYDAY=20MO', 'FREQ=YEARLY;BYDAY=20MO'],
    ['BYSETPOS=-1;BYDAY=MO,TU;FREQ=MONTHLY;BYMONTH=12,1;WKST=SU', 'FREQ=MONTHLY;BYMONTH=1,12;BYDAY=MO,TU;BYSETPOS=-1'],
    ['FREQ=DAILY;BYMONTH=2;BYSETPOS=1,-1', 'FREQ=DAILY;BYMONTH=2'],
    ['FREQ=MONTHLY;BYMONTH=2;BYSETPOS=1', 'FREQ=MONTHLY;BYMONTH=2'],
    ['FREQ=DAILY;COUNT=10', 'FREQ=DAILY;COUNT=10'],
    ['FREQ=DAILY;UNTIL=20261231', 'FREQ=DAILY;UNTIL=20261231'],
    ['FREQ=DAILY;UNTIL=20261231T235959Z', 'FREQ=DAILY;UNTIL=20261231'],
    ['FREQ=DAILY;UNTIL=20261231T000000', 'FREQ=DAILY;UNTIL=20261231'],
  ] as const) {
    test(`${given} is ${expected}`, () => {
      assert.equal(canonical(given), expected);
      assert.equal(canonical(expected), expected);
    });
  }

  for (const [given, fault] of [
    ['', 'each part must be NAME=value'],
    ['FREQ=DAILY;', 'each part must be NAME=value'],
    ['FREQ=DAILY;;INTERVAL=2', 'each part must be NAME=value'],
    ['FREQ', 'each part must be NAME=value'],
    ['FREQ=DAILY;BYMONTH=', 'each part must be NAME=value'],
    ['DTSTART:20260101\nRRULE:FREQ=DAILY', 'each part must be NAME=value'],
    ['INTERVAL=2', 'FREQ must be one of'],
    ['FREQ=HOURLY', 'FREQ must be one of'],
    ['FREQ=DAILY;FREQ=DAILY', 'FREQ is given twice'],
    ['FREQ=DAILY;BYHOUR=9', 'BYHOUR is not supported'],
    ['FREQ=YEARLY;BYWEEKNO=1', 'BYWEEKNO is not supported'],
    ['FREQ=YEARLY;BYYEARDAY=1', 'BYYEARDAY is not supported'],
    ['RSCALE=CHINESE;FREQ=YEARLY', 'RSCALE is not supported'],
    ['FREQ=DAILY;INTERVAL=0', 'INTERVAL must be 1 to 999'],
    ['FREQ=DAILY;INTERVAL=1000', 'INTERVAL must be 1 to 999'],
    ['FREQ=DAILY;INTERVAL=2,3', 'INTERVAL must be one number'],
    ['FREQ=DAILY;INTERVAL=-1', 'INTERVAL must be 1 to 999'],
    ['FREQ=DAILY;INTERVAL=1e1', 'INTERVAL must be 1 to 999'],
    ['FREQ=DAILY;COUNT=0', 'COUNT must be 1 to 999999'],
    ['FREQ=DAILY;COUNT=2;UNTIL=20261231', 'COUNT and UNTIL exclude each other'],
    ['FREQ=DAILY;UNTIL=20260230', 'UNTIL must be a date'],
    ['FREQ=DAILY;UNTIL=2026-12-31', 'UNTIL must be a date'],
    ['FREQ=DAILY;UNTIL=19691231', 'UNTIL must be a date'],
    ['FREQ=DAILY;UNTIL=20261231T250000Z', 'UNTIL must be a date'],
    ['FREQ=WEEKLY;WKST=XX', 'WKST must be one of'],
    ['FREQ=YEARLY;BYMONTH=13', 'BYMONTH must be 1 to 12'],
    ['FREQ=YEARLY;BYMONTH=-1', 'BYMONTH must be 1 to 12'],
    ['FREQ=MONTHLY;BYMONTHDAY=0', 'BYMONTHDAY must be 1 to 31'],
    ['FREQ=MONTHLY;BYMONTHDAY=32', 'BYMONTHDAY must be 1 to 31'],
    ['FREQ=WEEKLY;BYMONTHDAY=1', 'BYMONTHDAY excludes FREQ=WEEKLY'],
    ['FREQ=WEEKLY;BYDAY=1MO', 'BYDAY may have numbers only with'],
    ['FREQ=DAILY;BYDAY=-1MO', 'BYDAY may have numbers only with'],
    ['FREQ=MONTHLY;BYDAY=0MO', 'BYDAY must be days such as'],
    ['FREQ=YEARLY;BYDAY=54MO', 'BYDAY must be days such as'],
    ['FREQ=WEEKLY;BYDAY=MO,', 'BYDAY must be days such as'],
    ['FREQ=MONTHLY;BYSETPOS=1', 'BYSETPOS needs BYMONTH, BYDAY or BYMONTHDAY'],
    ['FREQ=MONTHLY;BYDAY=MO;BYSETPOS=0', 'BYSETPOS must be 1 to 366'],
    ['FREQ=MONTHLY;BYDAY=MO;BYSETPOS=-367', 'BYSETPOS must be 1 to 366'],
    [`FREQ=DAILY;BYMONTH=${'1,'.repeat(200)}1`, 'cannot exceed 400 characters'],
    ['FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30', 'it never occurs'],
    ['FREQ=YEARLY;INTERVAL=999;BYMONTH=4,6,9,11;BYMONTHDAY=31', 'it never occurs'],
    ['FREQ=WEEKLY;BYDAY=MO,TU;BYSETPOS=3', 'it never occurs'],
    ['FREQ=DAILY;BYDAY=MO;BYSETPOS=-2', 'it never occurs'],
    ['FREQ=MONTHLY;BYDAY=6MO', 'it never occurs'],
    ['FREQ=MONTHLY;BYDAY=2MO;BYMONTHDAY=1', 'it never occurs'],
    ['FREQ=YEARLY;BYDAY=20WE;BYMONTHDAY=2,25', 'it never occurs'],
  ] as const) {
    test(`${JSON.stringify(given.slice(0, 60))} is refused: ${fault}`, () => {
      const { recurrence, fault: message } = parseRecurrence(given);
      assert.equal(recurrence, null);
      assert.match(message ?? '', /^recurrence: /);
      assert.ok(message?.includes(fault), message ?? '');
    });
  }

  test('any text is a canonical rule or a fault, never an exception', () => {
    const part = fc.tuple(
      fc.constantFrom('FREQ', 'INTERVAL', 'COUNT', 'UNTIL', 'WKST', 'BYMONTH', 'BYDAY', 'BYMONTHDAY', 'BYSETPOS', 'X'),
      fc.oneof(fc.constantFrom('DAILY', 'MONTHLY', '1', '-1', 'MO', '1,2', '20261122'), fc.string({ maxLength: 9 })),
    );
    const text = fc.array(part, { maxLength: 6 }).map((parts) => parts.map((pair) => pair.join('=')).join(';'));
    fc.assert(
      fc.property(fc.oneof(text, fc.string({ unit: 'binary' })), (given) => {
        const { recurrence } = parseRecurrence(given);
        if (recurrence !== null) assert.equal(canonical(recurrence), recurrence);
      }),
      { numRuns: 2_000 },
    );
  });
});

/** More than the days of 400 years, in which the calendar begins again, by those of one month. */
const MAX_LOOKED = 148_831;

describe('the next date of a recurrence', () => {
  test('of 10,000 random rules, accepted or not, is found within 400 years of days', () => {
    fc.assert(
      fc.property(arbitraryCase, ({ rule, due, after }) => {
        const parsed = parseRule(rule);
        const { day, looked } = searchDate(parsed, dayOf(due), dayOf(after));
        assert.ok(looked <= MAX_LOOKED, `${rule}: ${looked}`);
        assert.ok(day === null || day > dayOf(after));
        const { recurrence } = parseRecurrence(rule);
        if (recurrence === null) assert.equal(day, null, rule);
        else assert.deepEqual(searchDate(parseRule(recurrence), dayOf(due), dayOf(after)).day, day, recurrence);
      }),
      { numRuns: 10_000 },
    );
  });

  test('is that of python-dateutil', () => {
    const cases = fixture('dates.json') as readonly (RecurrenceCase & { years: number; next: string | null })[];
    for (const { rule, due, after, years, next } of cases) {
      const found = nextOccurrence({ recurrence: rule, from: 'due', due, completedOn: after })?.due ?? null;
      const last = `${Math.min(9999, Number(after.slice(0, 4)) + years)}${after.slice(4, 8)}01`;
      assert.equal(found !== null && found <= last ? found : null, next, `${rule} from ${due} after ${after}`);
    }
    assert.ok(cases.length >= 500);
  });

  const series = fixture('series.json') as Readonly<Record<string, readonly string[]>>;
  for (const { title, rule, due, from, late } of SERIES) {
    test(`500 completions in a row of ${title} have the dates of python-dateutil`, () => {
      let task = { due: due as string, recurrence: canonical(rule) };
      const dates: string[] = [];
      for (let done = 0; done < 500; done += 1) {
        const days = late?.at((done - 1) % late.length) ?? 0;
        const next = nextOccurrence({ ...task, from, completedOn: daysAfter(task.due, days) });
        assert.ok(next);
        dates.push(next.due);
        task = next;
      }
      assert.deepEqual(dates, series[title]);
    });
  }

  const next = (recurrence: string, due: string, completedOn = due, from: 'due' | 'completed' = 'due') =>
    nextOccurrence({ recurrence: canonical(recurrence), due, completedOn, from });

  test('is after the day of completion, and the dates that are skipped do not count', () => {
    assert.deepEqual(next('FREQ=DAILY;COUNT=5', '2026-11-01', '2026-11-22'), {
      due: '2026-11-23',
      recurrence: 'FREQ=DAILY;COUNT=4',
    });
    assert.equal(next('FREQ=DAILY', '2026-11-22', '2026-11-01')?.due, '2026-11-23');
  });

  test('is none at the end of COUNT, UNTIL and the years', () => {
    assert.equal(next('FREQ=DAILY;COUNT=1', '2026-11-22'), null);
    assert.deepEqual(next('FREQ=DAILY;COUNT=2', '2026-11-22')?.recurrence, 'FREQ=DAILY;COUNT=1');
    assert.equal(next('FREQ=DAILY;UNTIL=20261123', '2026-11-22')?.due, '2026-11-23');
    assert.equal(next('FREQ=DAILY;UNTIL=20261123', '2026-11-23'), null);
    assert.equal(next('FREQ=DAILY;UNTIL=20261123', '2026-11-22', '2026-11-30'), null);
    assert.equal(next('FREQ=DAILY', '9999-12-31'), null);
  });

  test('is one interval after the completion where the rule says no day, and its next day where it does', () => {
    const after = (rule: string, completedOn: string) => next(rule, '2026-11-22', completedOn, 'completed')?.due;
    assert.equal(after('FREQ=DAILY;INTERVAL=3', '2026-11-20'), '2026-11-23');
    assert.equal(after('FREQ=WEEKLY', '2026-11-26'), '2026-12-03');
    assert.equal(after('FREQ=MONTHLY', '2027-01-30'), '2027-02-28');
    assert.equal(after('FREQ=YEARLY', '2028-02-29'), '2029-02-28');
    assert.equal(after('FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,TH', '2026-11-24'), '2026-11-26');
    assert.equal(after('FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,TH', '2026-11-26'), '2026-12-07');
    assert.equal(after('FREQ=MONTHLY;BYMONTHDAY=15', '2026-12-10'), '2026-12-15');
  });

  test('counted from the completion, a month from the 31st is a month, and is stored anew', () => {
    const stored = 'FREQ=MONTHLY;BYMONTHDAY=28,29,30,31;BYSETPOS=-1';
    assert.deepEqual(next(stored, '2026-01-31', '2026-02-03', 'completed'), {
      due: '2026-03-03',
      recurrence: 'FREQ=MONTHLY',
    });
    assert.deepEqual(next('FREQ=MONTHLY', '2026-03-03', '2026-03-31', 'completed'), {
      due: '2026-04-30',
      recurrence: 'FREQ=MONTHLY;BYMONTHDAY=28,29,30;BYSETPOS=-1',
    });
    assert.equal(next('FREQ=MONTHLY;BYMONTHDAY=-1', '2026-01-31', '2026-02-03', 'completed')?.due, '2026-02-28');
  });

  test('is none, ever, where the interval passes over all days that the rule has', () => {
    assert.equal(recurs('FREQ=DAILY;INTERVAL=7;BYDAY=MO', '2026-11-23'), true);
    assert.equal(recurs('FREQ=DAILY;INTERVAL=7;BYDAY=MO', '2026-11-24'), false);
    assert.equal(recurs('FREQ=MONTHLY;INTERVAL=12;BYMONTH=2', '2026-11-24'), false);
    assert.equal(recurs('FREQ=YEARLY;INTERVAL=999', '9999-12-31'), true);
    assert.equal(recurs('FREQ=DAILY;COUNT=1', '2026-11-24'), true);
  });
});

const storedRecurrence = (rule: string, due: string) => ruleText(monthEndOf(parseRule(rule), due));

const stored: readonly (readonly [rule: string, due: string, expected: string])[] = [
  ['FREQ=MONTHLY', '2026-01-28', 'FREQ=MONTHLY'],
  ['FREQ=MONTHLY', '2026-01-29', 'FREQ=MONTHLY;BYMONTHDAY=28,29;BYSETPOS=-1'],
  ['FREQ=MONTHLY', '2026-01-30', 'FREQ=MONTHLY;BYMONTHDAY=28,29,30;BYSETPOS=-1'],
  [
    'FREQ=MONTHLY;INTERVAL=2;COUNT=3',
    '2026-01-31',
    'FREQ=MONTHLY;INTERVAL=2;COUNT=3;BYMONTHDAY=28,29,30,31;BYSETPOS=-1',
  ],
  ['FREQ=MONTHLY;BYMONTH=1,2', '2026-01-31', 'FREQ=MONTHLY;BYMONTH=1,2;BYMONTHDAY=28,29,30,31;BYSETPOS=-1'],
  ['FREQ=MONTHLY;BYMONTHDAY=31', '2026-01-31', 'FREQ=MONTHLY;BYMONTHDAY=31'],
  ['FREQ=MONTHLY;BYDAY=5SA', '2026-01-31', 'FREQ=MONTHLY;BYDAY=5SA'],
  ['FREQ=YEARLY;UNTIL=20400101', '2028-02-29', 'FREQ=YEARLY;UNTIL=20400101;BYMONTH=2;BYMONTHDAY=28,29;BYSETPOS=-1'],
  ['FREQ=YEARLY;BYMONTH=2', '2028-02-29', 'FREQ=YEARLY;BYMONTH=2'],
  ['FREQ=YEARLY', '2028-02-28', 'FREQ=YEARLY'],
  ['FREQ=DAILY', '2028-02-29', 'FREQ=DAILY'],
];

test('a rule without a day that begins at the end of a month is stored as one that has a date in each', () => {
  for (const [rule, due, expected] of stored) {
    assert.equal(storedRecurrence(rule, due), expected);
    assert.equal(storedRecurrence(expected, due), expected);
    assert.equal(canonical(expected), expected);
  }
});

onEachDatabase('the stored rule in SQL', (service) => {
  test('is the one that the service computes, for any rule and date', async () => {
    const random = fc.sample(arbitraryCase, 1_000).flatMap(({ rule, due }) => {
      const { recurrence } = parseRecurrence(rule);
      return recurrence === null ? [] : [[recurrence, due] as const];
    });
    const ends = stored.flatMap(([rule]) =>
      ['2026-01-28', '2026-01-29', '2026-01-30', '2026-01-31', '2028-02-29'].map((due) => [rule, due] as const),
    );
    const cases = [...ends, ...random];
    const rows = await runAs(
      service().opened.database,
      'user_1',
      `select ${storedRecurrenceSql('task.recurrence', 'task.due_date')} from jsonb_array_elements($1::jsonb) with ordinality as cases (fields, number),
         lateral (select fields ->> 0 as recurrence, (fields ->> 1)::date as due_date) as task order by number`,
      [JSON.stringify(cases)],
    );
    assert.deepEqual(
      rows.map(([recurrence]) => recurrence),
      cases.map(([rule, due]) => storedRecurrence(rule, due)),
    );
  });
});
