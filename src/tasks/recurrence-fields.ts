import { z } from 'zod';
import { parseRecurrence } from './recurrence.ts';

export const DATE = 'must be a date as in 2026-11-23, of the years 1970 to 9999';

/** @returns whether `text` is a date of the calendar, as `YYYY-MM-DD`, of the years 1970 to 9999. */
export function isDate(text: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text) || text < '1970') return false;
  const date = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text);
}

const RECURRENCE = 'FREQ=WEEKLY;BYDAY=MO';
const MAX_RECURRENCE_LENGTH = 400;

export const recurrence = z
  .string({ error: 'Recurrence must be a string' })
  .max(MAX_RECURRENCE_LENGTH, `Recurrence cannot exceed ${MAX_RECURRENCE_LENGTH} characters`)
  .nullable()
  .meta({
    description:
      'A recurrence rule (RRULE of RFC 5545) by date, which begins at `due_date`, and so needs it: FREQ of a day or more, ' +
      'INTERVAL up to 999, COUNT (how many are left with this one) or UNTIL, WKST, BYMONTH, BYDAY, BYMONTHDAY, BYSETPOS. ' +
      'Kept in one canonical form. Once it is completed, the next task of its series appears.',
    maxLength: MAX_RECURRENCE_LENGTH,
    examples: [RECURRENCE, null],
  })
  .transform((value, context) => {
    if (value === null) return null;
    const parsed = parseRecurrence(value);
    if (parsed.fault !== null) context.addIssue({ code: 'custom', message: parsed.fault });
    return parsed.recurrence;
  })
  .pipe(
    z
      .string()
      .nullable()
      .meta({ maxLength: MAX_RECURRENCE_LENGTH, examples: [RECURRENCE, null] }),
  );

const RECURRENCE_FROM = ['due', 'completed'] as const;
export const recurrenceFrom = z
  .enum(RECURRENCE_FROM, { error: `Recurrence from must be one of ${RECURRENCE_FROM.join(', ')}` })
  .meta({
    description:
      'Whether the next date counts from the due date or from the day of completion; `due` if it is not given.',
    examples: ['due'],
  });

/** The person's day, on which a recurring task is completed. */
export const completedOn = z
  .string({ error: `Completed on ${DATE}` })
  .refine(isDate, `Completed on ${DATE}`)
  .meta({
    format: 'date',
    description:
      "The person's day on which a recurring task is completed, with `is_completed` true. Not stored. " +
      'Today in `due_time_zone`, else in UTC, if it is not given.',
    examples: ['2026-11-23'],
  });
