import { RecentMap } from './recent-map.ts';

/*
 * Time zones as the runtime's `Intl` knows them. Dates are text `YYYY-MM-DD` of the proleptic Gregorian calendar, times of
 * day are text `HH:MM`, instants are milliseconds since the Unix epoch.
 */

const SECOND_MS = 1_000;
const DAY_MS = 86_400_000;
/** There are some 600 names; each formatter has tens of kilobytes. */
const MAX_FORMATTERS = 1_000;

/** Names as in the IANA database; an offset such as `+02:00`, which newer runtimes take for a zone, has another form. */
const NAME = /^[a-z][a-z0-9_+-]*(?:\/[a-z0-9_+-]+)*$/i;
/** The names of three letters in the IANA database; ICU has others (`PST`, `IST`), which say no one zone. */
const THREE_LETTERS = /^(?:cet|eet|est|gmt|hst|met|mst|prc|roc|rok|uct|utc|wet)$/i;
/** Names of ICU's own. */
const OF_ICU = /^systemv\//i;

const formatters = new RecentMap<string, Intl.DateTimeFormat>(MAX_FORMATTERS);

/** @throws {RangeError} if the runtime has no such zone. */
function formatterOf(zone: string): Intl.DateTimeFormat {
  const key = zone.toLowerCase();
  const known = formatters.get(key);
  if (known !== undefined) return known;
  const formatter = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    calendar: 'gregory',
    numberingSystem: 'latn',
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  formatters.set(key, formatter);
  return formatter;
}

/**
 * @returns whether `text` names a time zone of the IANA database that the runtime knows: a zone or a link, in any case, as
 *   ECMA-402 compares them. Offsets, and abbreviations that are none of its names, are not.
 */
export function isTimeZone(text: string): boolean {
  if (!NAME.test(text) || OF_ICU.test(text) || (text.length === 3 && !THREE_LETTERS.test(text))) return false;
  try {
    formatterOf(text);
    return true;
  } catch {
    return false;
  }
}

/** @returns what the clocks of `zone` show at `instant`, as the instant at which those of UTC show it, in whole seconds. */
function wallClock(zone: string, instant: number): number {
  const shown: Record<string, number> = {};
  for (const { type, value } of formatterOf(zone).formatToParts(instant)) shown[type] = Number(value);
  const { year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0 } = shown;
  return Date.UTC(year, month - 1, day, hour, minute, second);
}

const dateOf = (wall: number) => new Date(wall).toISOString().slice(0, 10);

/** @returns the date in `zone` at `instant`. @throws {RangeError} if there is no such zone. */
export const dateIn = (zone: string, instant: number): string => dateOf(wallClock(zone, instant));

/** @returns the date `days` after `date`, or before it if negative; both within the years 0 to 9999. */
export const addDays = (date: string, days: number): string => dateOf(Date.parse(date) + days * DAY_MS);

/**
 * @returns the first instant at which the clocks of `zone` show `time` on `date`; where they skip it, the instant of the
 *   first time after it that they show. @throws {RangeError} if there is no such zone.
 * @public
 */
export function instantOf(date: string, time: string, zone: string): number {
  const wall = Date.parse(`${date}T${time}Z`);
  const offsetAt = (instant: number) => wallClock(zone, instant) - instant;
  const [before, after] = [offsetAt(wall - DAY_MS), offsetAt(wall + DAY_MS)];
  const instants = [wall - before, wall - after].sort((a, b) => a - b);
  const shown = instants.find((instant) => wallClock(zone, instant) === wall);
  if (shown !== undefined) return shown;
  // The clocks skip it between these two instants: all are whole seconds.
  let [skipped = 0, past = 0] = instants;
  while (past - skipped > SECOND_MS) {
    const middle = skipped + Math.floor((past - skipped) / 2 / SECOND_MS) * SECOND_MS;
    if (wallClock(zone, middle) < wall) skipped = middle;
    else past = middle;
  }
  return past;
}
