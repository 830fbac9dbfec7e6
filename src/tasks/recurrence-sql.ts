const STORED = `recurrence || case
  when due_date is null then ''
  when recurrence like 'FREQ=MONTHLY%' and strpos(recurrence, 'DAY=') = 0 and extract(day from due_date) > 28
    then ';BYMONTHDAY='
      || (array['28,29', '28,29,30', '28,29,30,31'])[extract(day from due_date)::integer - 28] || ';BYSETPOS=-1'
  when recurrence like 'FREQ=YEARLY%' and strpos(recurrence, ';BY') = 0
      and (extract(month from due_date), extract(day from due_date)) = (2, 29)
    then ';BYMONTH=2;BYMONTHDAY=28,29;BYSETPOS=-1'
  else '' end`;

/**
 * @param recurrence SQL for a rule in canonical form, or null. @param due SQL for the due date, or null.
 * @returns SQL for the rule as it is stored, which `monthEndOf` in rrule.ts gives too.
 */
export const storedRecurrence = (recurrence: string, due: string): string =>
  `(select ${STORED} from (values (${recurrence}, ${due})) as task (recurrence, due_date))`;
