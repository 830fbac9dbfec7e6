import type { Rule } from './rrule.ts';

/*
 * The dates of a recurrence rule, as days since 1970-01-01. Dates repeat after 400 years, which are whole weeks: a rule
 * that has no date in so many periods that both it and the calendar begin again has none at all.
 */

const DAY_MS = 86_400_000;

/** @param date `YYYY-MM-DD`. */
export const dayOf = (date: string): number => Date.parse(`${date}T00:00:00Z`) / DAY_MS;

/** @param day of a year up to 9999. */
export const dateOf = (day: number): string => new Date(day * DAY_MS).toISOString().slice(0, 10);

/** How many periods 400 years have. */
const PERIODS = { DAILY: 146_097, WEEKLY: 20_871, MONTHLY: 4_800, YEARLY: 400 } as const;

const MONTH_LENGTHS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** 0 is Monday. @param day not before the week of 1970-01-01. */
const weekdayOf = (day: number) => (day + 10) % 7;

/** Of a month, counted from January of the year 0. */
interface Month {
  readonly month: number;
  /** The day before its first one. */
  readonly before: number;
  readonly length: number;
  readonly isLeap: boolean;
}

function monthAt(index: number): Month {
  const year = Math.floor(index / 12);
  const month = (index % 12) + 1;
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  // Years that begin in March have the leap day last (Howard Hinnant, chrono-Compatible Low-Level Date Algorithms).
  const from = month > 2 ? year : year - 1;
  const days = Math.floor((153 * ((month + 9) % 12) + 2) / 5);
  const before = from * 365 + Math.floor(from / 4) - Math.floor(from / 100) + Math.floor(from / 400) + days - 719_469;
  const length = (MONTH_LENGTHS[month - 1] ?? 0) + (isLeap && month === 2 ? 1 : 0);
  return { month, before, length, isLeap };
}

/** The month of a day, counted as in `monthAt`. */
function monthIndexOf(day: number): number {
  const since = day + 719_468; // 0000-03-01
  const era = Math.floor(since / 146_097);
  const ofEra = since - era * 146_097;
  const yearOfEra = Math.floor(
    (ofEra - Math.floor(ofEra / 1_460) + Math.floor(ofEra / 36_524) - Math.floor(ofEra / 146_096)) / 365,
  );
  const ofYear = ofEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  return (era * 400 + yearOfEra) * 12 + Math.floor((5 * ofYear + 2) / 153) + 2;
}

const greatestCommonDivisor = (a: number, b: number): number => (b === 0 ? a : greatestCommonDivisor(b, a % b));

const MAX_ORDINAL = 53;
const ordinalIndex = (ordinal: number, weekday: number) => (ordinal + MAX_ORDINAL) * 7 + weekday;

const NONE: readonly number[] = [];
const TWELVE = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];

/** A set of whole numbers from 0 to 31. */
type Bits = number;

const ALL: Bits = -1;
const bitsOf = (numbers: readonly number[]): Bits => numbers.reduce((bits, number) => bits | (1 << number), 0);
const has = (bits: Bits, number: number) => ((bits >> number) & 1) === 1;

/** The parts that a rule takes from the day on which it begins, where it does not say them. */
function withOwnParts(rule: Rule, anchor: number): Rule {
  const { frequency, months, monthDays, weekdays } = rule;
  if (frequency === 'DAILY' || monthDays.length + weekdays.length > 0) return rule;
  if (frequency === 'WEEKLY') return { ...rule, weekdays: [{ ordinal: 0, weekday: weekdayOf(anchor) }] };
  const { month, before } = monthAt(monthIndexOf(anchor));
  const isWithoutMonth = frequency === 'YEARLY' && months.length === 0;
  return { ...rule, months: isWithoutMonth ? [month] : months, monthDays: [anchor - before] };
}

/** As many dates a period has at most. */
function mostDatesIn({ frequency, months, monthDays, weekdays }: Rule): number {
  if (frequency === 'DAILY') return 1;
  if (frequency === 'WEEKLY') return weekdays.length;
  const ofMonths = frequency === 'MONTHLY' ? 1 : months.length;
  const weeks = ofMonths === 0 ? 53 : 5 * ofMonths;
  const each = weekdays.map(({ ordinal }) => (ordinal === 0 ? weeks : ofMonths || 1));
  const byWeekday = weekdays.length === 0 ? 366 : each.reduce((sum, dates) => sum + dates);
  return Math.min(byWeekday, monthDays.length === 0 ? 366 : monthDays.length * (ofMonths || 12));
}

function ordinalsOf(weekdays: Rule['weekdays']): Uint8Array {
  const ordinals = new Uint8Array(ordinalIndex(MAX_ORDINAL, 7));
  for (const { ordinal, weekday } of weekdays) ordinals[ordinalIndex(ordinal, weekday)] = 1;
  return ordinals;
}

/** The dates of one rule that begins on one day. */
class Dates {
  readonly #rule: Rule;
  readonly #months: Bits;
  readonly #monthDays: Bits;
  /** Counted from the end of the month, the last being 1. */
  readonly #monthDaysFromEnd: Bits;
  readonly #weekdays: Bits;
  /** At the `ordinalIndex` of each weekday with a number 1; null if there are none. */
  readonly #ordinals: Uint8Array | null;
  readonly #isOfMonths: boolean;
  /** How many days were looked at. */
  looked = 0;

  constructor(rule: Rule) {
    this.#rule = rule;
    const { months, monthDays, weekdays } = rule;
    this.#months = months.length === 0 ? ALL : bitsOf(months);
    this.#monthDays = monthDays.length === 0 ? ALL : bitsOf(monthDays.filter((day) => day > 0));
    this.#monthDaysFromEnd = bitsOf(monthDays.filter((day) => day < 0).map((day) => -day));
    const plain = weekdays.filter(({ ordinal }) => ordinal === 0);
    this.#weekdays = weekdays.length === 0 ? ALL : bitsOf(plain.map(({ weekday }) => weekday));
    this.#ordinals = plain.length === weekdays.length ? null : ordinalsOf(weekdays);
    this.#isOfMonths = months.length + monthDays.length > 0;
  }

  /** The first date after the day `after`, of those in periods at the interval from that of `anchor`; null if none. */
  firstAfter(anchor: number, after: number): number | null {
    const { frequency, interval, positions } = this.#rule;
    const most = mostDatesIn(this.#rule);
    if (positions.length > 0 && positions.every((position) => Math.abs(position) > most)) return null;
    const start = this.#periodOf(anchor);
    const first = Math.floor((this.#periodOf(after) - start) / interval);
    const periods = PERIODS[frequency] / greatestCommonDivisor(interval, PERIODS[frequency]);
    for (let index = first; index <= first + periods; index += 1) {
      const dates = this.#datesIn(start + index * interval);
      if (dates.length === 0) continue;
      const found = this.#selected(dates).find((day) => day > after);
      if (found !== undefined) return found;
    }
    return null;
  }

  #startOfWeek(week: number): number {
    return week * 7 + this.#rule.weekStart - 3;
  }

  /** The number of the period that has the day. */
  #periodOf(day: number): number {
    switch (this.#rule.frequency) {
      case 'DAILY':
        return day;
      case 'WEEKLY':
        return Math.floor((day - this.#startOfWeek(0)) / 7);
      case 'MONTHLY':
        return monthIndexOf(day);
      case 'YEARLY':
        return Math.floor(monthIndexOf(day) / 12);
    }
  }

  /** The dates of a period, before `BYSETPOS`. */
  #datesIn(period: number): readonly number[] {
    switch (this.#rule.frequency) {
      case 'DAILY':
        return this.#isDate(period) ? [period] : NONE;
      case 'WEEKLY':
        return this.#datesInWeek(period);
      case 'MONTHLY':
        return this.#datesInMonth(period);
      case 'YEARLY':
        return TWELVE.flatMap((index) => this.#datesInMonth(period * 12 + index));
    }
  }

  #datesInWeek(week: number): readonly number[] {
    const dates: number[] = [];
    const start = this.#startOfWeek(week);
    for (let day = start; day < start + 7; day += 1) if (this.#isDate(day)) dates.push(day);
    return dates;
  }

  #isDate(day: number): boolean {
    this.looked += 1;
    if (!has(this.#weekdays, weekdayOf(day))) return false;
    if (!this.#isOfMonths) return true;
    const { month, before, length } = monthAt(monthIndexOf(day));
    return has(this.#months, month) && this.#isMonthDay(day - before, length);
  }

  #isMonthDay(dayOfMonth: number, length: number): boolean {
    return has(this.#monthDays, dayOfMonth) || has(this.#monthDaysFromEnd, length + 1 - dayOfMonth);
  }

  #datesInMonth(index: number): readonly number[] {
    const { month, before, length, isLeap } = monthAt(index);
    if (!has(this.#months, month)) return NONE;
    const dates: number[] = [];
    // Numbers of weekdays count within the year if no month is given.
    const isOfYear = this.#rule.frequency === 'YEARLY' && this.#rule.months.length === 0;
    const daysBefore = isOfYear ? before - monthAt(index - month + 1).before : 0;
    const days = isOfYear ? (isLeap ? 366 : 365) : length;
    for (let dayOfMonth = 1; dayOfMonth <= length; dayOfMonth += 1) {
      if (!this.#isMonthDay(dayOfMonth, length)) continue;
      const day = before + dayOfMonth;
      if (this.#isWeekday(day, daysBefore + dayOfMonth, days)) dates.push(day);
    }
    this.looked += length;
    return dates;
  }

  /** @param place of the day among the `days` in which ordinals count, the first being 1. */
  #isWeekday(day: number, place: number, days: number): boolean {
    const weekday = weekdayOf(day);
    if (has(this.#weekdays, weekday)) return true;
    if (this.#ordinals === null) return false;
    const fromStart = ordinalIndex(Math.ceil(place / 7), weekday);
    const fromEnd = ordinalIndex(-Math.ceil((days - place + 1) / 7), weekday);
    return this.#ordinals[fromStart] === 1 || this.#ordinals[fromEnd] === 1;
  }

  /** Those at the positions of `BYSETPOS`. */
  #selected(dates: readonly number[]): readonly number[] {
    const { positions } = this.#rule;
    if (positions.length === 0) return dates;
    const chosen = positions.flatMap((position) => dates.at(position > 0 ? position - 1 : position) ?? []);
    return chosen.sort((a, b) => a - b);
  }
}

export interface Search {
  /** Null if there is none, ever. */
  readonly day: number | null;
  /** How many days were looked at: at most 148,831. */
  readonly looked: number;
}

/**
 * @param anchor the day on which the rule begins (DTSTART), from 1970 on; `after` is that day or a later one.
 * @returns the first date of the rule after the day `after`, whatever its COUNT and UNTIL, however late.
 */
export function searchDate(rule: Rule, anchor: number, after: number): Search {
  const dates = new Dates(withOwnParts(rule, anchor));
  return { day: dates.firstAfter(anchor, after), looked: dates.looked };
}
