import { monthEndOf, parseRule, type Rule, RuleFault, ruleText, withoutMonthEnd } from './rrule.ts';
import { dateOf, dayOf, searchDate } from './rrule-dates.ts';

/** What the date after a completion counts from. */
type RecurrenceFrom = 'due' | 'completed';

/** A rule in its canonical form, or what is wrong with it. */
export type ParsedRecurrence =
  | { readonly recurrence: string; readonly fault: null }
  | { readonly recurrence: null; readonly fault: string };

const NEVER = 'recurrence: no date has all that it demands, so it never occurs';

/** A date on which a rule may begin, whatever it demands: only periods are left out by an interval. */
const anyAnchor = ({ months: [month = 1] }: Rule) => dayOf(`2000-${String(month).padStart(2, '0')}-01`);

const hasDate = (rule: Rule, anchor: number) => searchDate(rule, anchor, anchor).day !== null;

/**
 * @param text an RRULE (RFC 5545) as `parseRule` takes it.
 * @returns its canonical form, of at most 400 characters; or a fault that names the part, also of a rule that never
 * occurs, whatever the date on which it begins.
 */
export function parseRecurrence(text: string): ParsedRecurrence {
  try {
    const rule = parseRule(text);
    const recurrence = ruleText(rule);
    return hasDate({ ...rule, interval: 1 }, anyAnchor(rule))
      ? { recurrence, fault: null }
      : { recurrence: null, fault: NEVER };
  } catch (error) {
    if (error instanceof RuleFault) return { recurrence: null, fault: `recurrence: ${error.message}` };
    throw error;
  }
}

/**
 * @param recurrence a canonical rule. @param due `YYYY-MM-DD`, the date on which it begins.
 * @returns whether it has a date after that one, without regard to COUNT, UNTIL and the last year of dates.
 */
export const recurs = (recurrence: string, due: string): boolean => hasDate(parseRule(recurrence), dayOf(due));

/** A completion of a recurring task. */
interface Completion {
  /** Canonical. */
  readonly recurrence: string;
  readonly from: RecurrenceFrom;
  /** Dates are `YYYY-MM-DD`. */
  readonly due: string;
  readonly completedOn: string;
}

/** What a successor differs in. */
export interface Occurrence {
  readonly due: string;
  readonly recurrence: string;
}

/**
 * From `due`: the first date of the rule, begun at the due date, after the later of that and the day of completion. From
 * `completed`: the first date after the day of completion of the rule begun at that day, which is one interval later if it
 * says no days; so a rule that only has the last days of months since it began on one counts from the day of completion.
 * COUNT is how many occurrences are left with this one: dates that are skipped do not count.
 * @returns the next occurrence, null if there is none: by COUNT or UNTIL, or not before the year 10000.
 */
export function nextOccurrence({ recurrence, from, due, completedOn }: Completion): Occurrence | null {
  const given = parseRule(recurrence);
  const anchor = from === 'due' ? due : completedOn;
  const rule = monthEndOf(from === 'due' ? given : withoutMonthEnd(given), anchor);
  if (rule.count === 1) return null;
  const after = completedOn > anchor ? completedOn : anchor;
  const { day } = searchDate(rule, dayOf(anchor), dayOf(after));
  if (day === null || day > dayOf('9999-12-31')) return null;
  const date = dateOf(day);
  if (rule.until !== null && date > rule.until) return null;
  const next = { ...rule, count: rule.count === null ? null : rule.count - 1 };
  return { due: date, recurrence: ruleText(from === 'due' ? next : monthEndOf(withoutMonthEnd(next), date)) };
}
