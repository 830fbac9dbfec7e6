export interface DateAndTime {
  /** `YYYY-MM-DD` */
  readonly date: string;
  /** `HH:MM` */
  readonly time: string | null;
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const MONTH = String.raw`(?<month>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?`;
const TIME = String.raw`(?:(?:T|,? (?:at |@ ?)?)(?<hour>\d{1,2}):(?<minute>\d\d)(?::\d\d)? ?(?<half>am|pm)?)?`;

const FORMS = [
  String.raw`(?<year>\d{4})-(?<number>\d\d)-(?<day>\d\d)`,
  String.raw`(?<day>\d{1,2}) ${MONTH} (?<year>\d{4})`,
  String.raw`${MONTH} (?<day>\d{1,2}),? (?<year>\d{4})`,
].map((date) => new RegExp(`^${date}${TIME}$`, 'i'));

function hourOf(hour: number, half: string | undefined): number {
  if (half === undefined) return hour;
  return (hour % 12) + (half.toLowerCase() === 'pm' ? 12 : 0);
}

const padded = (value: number) => String(value).padStart(2, '0');

/**
 * Reads a date as Todoist exports it, in English: `2026-10-05`, `5 Oct 2026`, `Oct 5 2026`, each also with a time.
 * @returns null for anything else, such as `every monday`.
 */
export function readTodoistDate(text: string): DateAndTime | null {
  for (const form of FORMS) {
    const { year, number, month, day, hour, minute, half } = form.exec(text)?.groups ?? {};
    if (year === undefined) continue;
    const monthNumber = month === undefined ? Number(number) : MONTHS.indexOf(month.toLowerCase()) + 1;
    const time = hour === undefined ? null : `${padded(hourOf(Number(hour), half))}:${minute}`;
    return { date: `${year}-${padded(monthNumber)}-${padded(Number(day))}`, time };
  }
  return null;
}
