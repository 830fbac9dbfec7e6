/** A rule that is accepted, begun at `due`, of which the first date after `after` is asked for. */
export interface RecurrenceCase {
  readonly rule: string;
  readonly due: string;
  readonly after: string;
}

/** @returns an integer from 0 to below `limit`. */
type Below = (limit: number) => number;

const FREQUENCIES = ['DAILY', 'WEEKLY', 'MONTHLY', 'YEARLY'];
const WEEKDAYS = ['MO', 'TU', 'WE', 'TH', 'FR', 'SA', 'SU'];
const DAY_MS = 86_400_000;

/** A rule of the subset that says much, seldom or never occurs, or has days that few months have, and a date. */
export function randomRecurrence(below: Below): RecurrenceCase {
  const from = (least: number, most: number) => least + below(most - least + 1);
  const sometimes = (percent: number) => below(100) < percent;
  const pick = (items: readonly string[]) => items[below(items.length)] ?? '';
  const list = (most: number, item: () => number | string) =>
    [...new Set(Array.from({ length: from(1, most) }, item))].join(',');
  const signed = (number: number, percent: number) => (sometimes(percent) ? -number : number);

  const frequency = pick(FREQUENCIES);
  const hasMonths = sometimes(35);
  const hasMonthDays = frequency !== 'WEEKLY' && sometimes(35);
  const hasWeekdays = sometimes(40);
  const ordinals = frequency === 'MONTHLY' || hasMonths ? 5 : 53;
  const mayHaveOrdinals = frequency === 'MONTHLY' || frequency === 'YEARLY';
  const weekday = () => `${mayHaveOrdinals && sometimes(50) ? signed(from(1, ordinals), 40) : ''}${pick(WEEKDAYS)}`;
  const monthDay = () => signed(sometimes(40) ? from(28, 31) : from(1, 31), 30);
  const parts = [
    `FREQ=${frequency}`,
    sometimes(50) ? `INTERVAL=${sometimes(60) ? from(2, 12) : from(13, 999)}` : '',
    sometimes(30) ? `WKST=${pick(WEEKDAYS)}` : '',
    hasMonths ? `BYMONTH=${list(3, () => from(1, 12))}` : '',
    hasWeekdays ? `BYDAY=${list(3, weekday)}` : '',
    hasMonthDays ? `BYMONTHDAY=${list(4, monthDay)}` : '',
    (hasMonths || hasWeekdays || hasMonthDays) && sometimes(30)
      ? `BYSETPOS=${list(2, () => signed(from(1, 5), 50))}`
      : '',
  ];
  const due = Date.UTC(sometimes(5) ? from(9900, 9999) : from(1970, 2100), below(12), from(sometimes(30) ? 28 : 1, 31));
  const after = due + (sometimes(60) ? 0 : from(0, 3_000) * DAY_MS);
  const [dueDate, afterDate] = [due, after].map((time) =>
    new Date(Math.min(time, Date.UTC(9999, 11, 31))).toISOString().slice(0, 10),
  );
  return { rule: parts.filter((part) => part !== '').join(';'), due: dueDate ?? '', after: afterDate ?? '' };
}

/** The series of which `test/recurrence/series.json` has the dates of 500 completions. */
export const SERIES = [
  { title: 'every 31st', rule: 'FREQ=MONTHLY;BYMONTHDAY=31', due: '2026-01-31', from: 'due', late: null },
  {
    title: 'the last weekday of the month',
    rule: 'FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1',
    due: '2026-01-30',
    from: 'due',
    late: null,
  },
  {
    title: 'every 2 weeks on Mon, Thu',
    rule: 'FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,TH',
    due: '2026-11-23',
    from: 'due',
    late: null,
  },
  {
    title: 'monthly from the 31st',
    rule: 'FREQ=MONTHLY;BYMONTHDAY=28,29,30,31;BYSETPOS=-1',
    due: '2026-01-31',
    from: 'due',
    late: null,
  },
  {
    title: '3 days after completion',
    rule: 'FREQ=DAILY;INTERVAL=3',
    due: '2026-11-22',
    from: 'completed',
    late: [0, 5, 1, 0, 2],
  },
  {
    title: 'every 2 weeks on Mon, Thu after completion',
    rule: 'FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,TH',
    due: '2026-11-23',
    from: 'completed',
    late: [0, 1, 3, 0, 6, 20],
  },
] as const;

/** Moves a date of the form `YYYY-MM-DD`. */
export const daysAfter = (date: string, days: number): string =>
  new Date(Date.parse(date) + days * DAY_MS).toISOString().slice(0, 10);
