import type { WrittenTask } from './record.ts';

/** The fields of a repetition. */
interface Repetition {
  readonly recurrence: string;
  readonly recurrence_from: 'due' | 'completed';
}

const FREQUENCIES: Readonly<Record<string, string>> = { d: 'DAILY', w: 'WEEKLY', m: 'MONTHLY', y: 'YEARLY' };
const LETTERS: Readonly<Record<string, string>> = { DAILY: 'd', WEEKLY: 'w', MONTHLY: 'm', YEARLY: 'y' };
const WORKDAYS = 'FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR';

const REPETITION = /^(\+?)([1-9]\d{0,2})([dwmy])$/;
const INTERVAL_ALONE = /^FREQ=(DAILY|WEEKLY|MONTHLY|YEARLY)(?:;INTERVAL=(\d{1,3}))?$/;

/**
 * Reads the value of `rec:`, as todo.txt clients write it: a number and `d`, `w`, `m`, `y`, or `1b` for each working day,
 * counted from the day of completion, or after a `+` from the due date.
 * @returns null if it is none of these.
 */
export function readRepetition(value: string): Repetition | null {
  if (/^\+?1b$/.test(value)) return { recurrence: WORKDAYS, recurrence_from: 'due' };
  const [, strict, interval, letter = ''] = REPETITION.exec(value) ?? [];
  const frequency = FREQUENCIES[letter];
  if (frequency === undefined) return null;
  return {
    recurrence: `FREQ=${frequency}${interval === '1' ? '' : `;INTERVAL=${interval}`}`,
    recurrence_from: strict === '+' ? 'due' : 'completed',
  };
}

/** @returns the value of `rec:`; null if the task does not recur, or by a rule that it has no form for. */
export function writeRepetition({ recurrence, recurrence_from: from }: WrittenTask): string | null {
  if (recurrence === null) return null;
  if (recurrence === WORKDAYS && from === 'due') return '+1b';
  const [, frequency = '', interval = '1'] = INTERVAL_ALONE.exec(recurrence) ?? [];
  const letter = LETTERS[frequency];
  return letter === undefined ? null : `${from === 'due' ? '+' : ''}${interval}${letter}`;
}
