/*
 * Recurrence rules: the subset of RFC 5545, section 3.3.10, that has dates and no times, in one canonical form.
 */

const FREQUENCIES = ['DAILY', 'WEEKLY', 'MONTHLY', 'YEARLY'] as const;
const WEEKDAYS: readonly string[] = ['MO', 'TU', 'WE', 'TH', 'FR', 'SA', 'SU'];

interface WeekdayNumber {
  /** The how manyth of its month or year, counted from the end if negative; 0 for each. */
  readonly ordinal: number;
  /** 0 is Monday. */
  readonly weekday: number;
}

/** A recurrence rule; the lists are sorted and without duplicates, and empty where the part is absent. */
export interface Rule {
  readonly frequency: (typeof FREQUENCIES)[number];
  readonly interval: number;
  readonly count: number | null;
  /** `YYYY-MM-DD`, inclusive. */
  readonly until: string | null;
  /** The first day of the week; 0 is Monday. */
  readonly weekStart: number;
  readonly months: readonly number[];
  readonly weekdays: readonly WeekdayNumber[];
  readonly monthDays: readonly number[];
  readonly positions: readonly number[];
}

/** What is wrong with a text; the message names the part. */
export class RuleFault extends Error {}

const MAX_RULE_LENGTH = 400;
const MAX_INTERVAL = 999;
const MAX_COUNT = 999_999;

const NAMES = ['FREQ', 'INTERVAL', 'COUNT', 'UNTIL', 'WKST', 'BYMONTH', 'BYDAY', 'BYMONTHDAY', 'BYSETPOS'] as const;
type Name = (typeof NAMES)[number];
type Parts = ReadonlyMap<Name, string>;

function partsOf(text: string): Parts {
  const parts = new Map<Name, string>();
  for (const part of text.split(';')) {
    const [, label, value] = /^([A-Z-]{1,20})=([^=]+)$/.exec(part) ?? [];
    if (label === undefined || value === undefined) {
      throw new RuleFault(`each part must be NAME=value, such as FREQ=DAILY, and parts are separated by ";"`);
    }
    const name = NAMES.find((known) => known === label);
    if (name === undefined) throw new RuleFault(`${label} is not supported; the parts are ${NAMES.join(', ')}`);
    if (parts.has(name)) throw new RuleFault(`${name} is given twice`);
    parts.set(name, value);
  }
  return parts;
}

/** A list of whole numbers, sorted. @param isSigned whether they may be negative. */
function numbersIn(parts: Parts, name: Name, max: number, isSigned: boolean): number[] {
  const value = parts.get(name);
  if (value === undefined) return [];
  const numbers = value.split(',').map((item) => {
    const number = (isSigned ? /^[+-]?\d{1,6}$/ : /^\d{1,6}$/).test(item) ? Math.abs(Number(item)) : 0;
    if (number >= 1 && number <= max) return Number(item);
    throw new RuleFault(`${name} must be 1 to ${max}${isSigned ? ` or -${max} to -1` : ''}`);
  });
  return [...new Set(numbers)].sort((a, b) => a - b);
}

function numberIn(parts: Parts, name: Name, max: number): number | null {
  const [number, ...others] = numbersIn(parts, name, max, false);
  if (others.length > 0) throw new RuleFault(`${name} must be one number`);
  return number ?? null;
}

function frequencyIn(parts: Parts): Rule['frequency'] {
  const frequency = FREQUENCIES.find((known) => known === parts.get('FREQ'));
  if (frequency === undefined) throw new RuleFault(`FREQ must be one of ${FREQUENCIES.join(', ')}`);
  return frequency;
}

/** Without the time, if it has one. */
function untilIn(parts: Parts): string | null {
  const value = parts.get('UNTIL');
  if (value === undefined) return null;
  const [, year, month, day] = /^(\d{4})(\d\d)(\d\d)(?:T([01]\d|2[0-3])[0-5]\d[0-5]\dZ?)?$/.exec(value) ?? [];
  const date = `${year}-${month}-${day}`;
  const time = Date.parse(`${date}T00:00:00Z`);
  if (time >= 0 && new Date(time).toISOString().startsWith(date)) return date;
  throw new RuleFault('UNTIL must be a date of 1970 to 9999 as YYYYMMDD');
}

function weekStartIn(parts: Parts): number {
  const weekday = WEEKDAYS.indexOf(parts.get('WKST') ?? 'MO');
  if (weekday === -1) throw new RuleFault(`WKST must be one of ${WEEKDAYS.join(', ')}`);
  return weekday;
}

function weekdaysIn(parts: Parts): WeekdayNumber[] {
  const days = new Map<string, WeekdayNumber>();
  for (const item of parts.get('BYDAY')?.split(',') ?? []) {
    const [, number = '', name = ''] = /^([+-]?\d{1,2})?([A-Z]{2})$/.exec(item) ?? [];
    const ordinal = Number(number);
    const weekday = WEEKDAYS.indexOf(name);
    if (weekday === -1 || (number !== '' && ordinal === 0) || Math.abs(ordinal) > 53) {
      throw new RuleFault(`BYDAY must be days such as MO, 2TU or -1FR: ${WEEKDAYS.join(', ')}, numbers up to 53`);
    }
    days.set(`${ordinal} ${weekday}`, { ordinal, weekday });
  }
  return [...days.values()].sort((a, b) => a.ordinal - b.ordinal || a.weekday - b.weekday);
}

/** @throws {RuleFault} for parts that RFC 5545 does not allow together. */
function checkTogether({ frequency, count, until, months, weekdays, monthDays, positions }: Rule): void {
  if (count !== null && until !== null) throw new RuleFault('COUNT and UNTIL exclude each other');
  const hasOrdinals = weekdays.some(({ ordinal }) => ordinal !== 0);
  if (hasOrdinals && (frequency === 'DAILY' || frequency === 'WEEKLY')) {
    throw new RuleFault(`BYDAY may have numbers only with FREQ=MONTHLY and FREQ=YEARLY`);
  }
  if (monthDays.length > 0 && frequency === 'WEEKLY') throw new RuleFault('BYMONTHDAY excludes FREQ=WEEKLY');
  if (positions.length > 0 && months.length + weekdays.length + monthDays.length === 0) {
    throw new RuleFault('BYSETPOS needs BYMONTH, BYDAY or BYMONTHDAY');
  }
}

/** Whether each period has one date at most: a position is then without meaning, unless there is never such a one. */
const isSingle = ({ frequency, weekdays, monthDays }: Rule) =>
  frequency === 'DAILY' || (frequency !== 'YEARLY' && weekdays.length + monthDays.length === 0);

const isFirst = (position: number) => position === 1 || position === -1;

/** The rule without the parts that have no meaning in it. */
function simplified(rule: Rule): Rule {
  const positions = isSingle(rule) && rule.positions.some(isFirst) ? [] : rule.positions;
  const hasWeeks =
    rule.frequency === 'WEEKLY' && rule.weekdays.length > 0 && (rule.interval > 1 || positions.length > 0);
  return { ...rule, positions, weekStart: hasWeeks ? rule.weekStart : 0 };
}

/**
 * @param text of the value of an RRULE, in any case, also with `RRULE:` before it.
 * @throws {RuleFault} if it is none, or outside the subset: FREQ of a day or more, INTERVAL, COUNT or UNTIL, WKST,
 * BYMONTH, BYDAY, BYMONTHDAY, BYSETPOS; at most 400 characters.
 */
export function parseRule(text: string): Rule {
  if (text.length > MAX_RULE_LENGTH) throw new RuleFault(`cannot exceed ${MAX_RULE_LENGTH} characters`);
  const parts = partsOf(
    text
      .trim()
      .toUpperCase()
      .replace(/^RRULE:/, ''),
  );
  const rule: Rule = {
    frequency: frequencyIn(parts),
    interval: numberIn(parts, 'INTERVAL', MAX_INTERVAL) ?? 1,
    count: numberIn(parts, 'COUNT', MAX_COUNT),
    until: untilIn(parts),
    weekStart: weekStartIn(parts),
    months: numbersIn(parts, 'BYMONTH', 12, false),
    weekdays: weekdaysIn(parts),
    monthDays: numbersIn(parts, 'BYMONTHDAY', 31, true),
    positions: numbersIn(parts, 'BYSETPOS', 366, true),
  };
  checkTogether(rule);
  return simplified(rule);
}

/** @returns the canonical form: the order of `NAMES`, without INTERVAL=1 and a WKST that is Monday. */
export function ruleText(rule: Rule): string {
  const values: Readonly<Record<Name, string | number>> = {
    FREQ: rule.frequency,
    INTERVAL: rule.interval === 1 ? '' : rule.interval,
    COUNT: rule.count ?? '',
    UNTIL: rule.until?.replaceAll('-', '') ?? '',
    WKST: rule.weekStart === 0 ? '' : (WEEKDAYS[rule.weekStart] ?? ''),
    BYMONTH: rule.months.join(','),
    BYDAY: rule.weekdays.map(({ ordinal, weekday }) => `${ordinal || ''}${WEEKDAYS[weekday]}`).join(','),
    BYMONTHDAY: rule.monthDays.join(','),
    BYSETPOS: rule.positions.join(','),
  };
  const given = NAMES.filter((name) => values[name] !== '');
  return given.map((name) => `${name}=${values[name]}`).join(';');
}

const isMonthEnd = ({ frequency, months, weekdays, monthDays, positions }: Rule) =>
  weekdays.length === 0 &&
  positions.join() === '-1' &&
  (frequency === 'MONTHLY'
    ? ['28,29', '28,29,30', '28,29,30,31'].includes(monthDays.join())
    : frequency === 'YEARLY' && months.join() === '2' && monthDays.join() === '28,29');

/**
 * @param date `YYYY-MM-DD`, on which the rule begins.
 * @returns a rule that has a date in each of its months or years: `FREQ=MONTHLY` without a day from the 29th, 30th or
 * 31st has the last day up to that one, `FREQ=YEARLY` without BY parts from 29 February that or the 28th. Others as they are.
 */
export function monthEndOf(rule: Rule, date: string): Rule {
  const { frequency, months, weekdays, monthDays } = rule;
  if (weekdays.length + monthDays.length > 0) return rule;
  const dayOfMonth = Number(date.slice(-2));
  const days = [28, 29, 30, 31].filter((day) => day <= dayOfMonth);
  if (frequency === 'MONTHLY' && days.length > 1) return { ...rule, monthDays: days, positions: [-1] };
  if (frequency !== 'YEARLY' || months.length > 0 || !date.endsWith('-02-29')) return rule;
  return { ...rule, months: [2], monthDays: days, positions: [-1] };
}

/** The reverse of `monthEndOf`. */
export function withoutMonthEnd(rule: Rule): Rule {
  if (!isMonthEnd(rule)) return rule;
  return { ...rule, months: rule.frequency === 'YEARLY' ? [] : rule.months, monthDays: [], positions: [] };
}
