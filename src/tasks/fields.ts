import { z } from 'zod';
import { position, trimmed, WITHOUT_NUL, WITHOUT_NUL_NOT_BLANK } from '../core/fields.ts';
import { isTimeZone } from '../core/zone.ts';
import { EXAMPLE } from './example.ts';
import { listId, parentId } from './placement.ts';
import { recurs } from './recurrence.ts';
import { DATE, isDate, recurrence, recurrenceFrom } from './recurrence-fields.ts';
import { tagKey } from './tag.ts';

/*
 * The fields of a task that users write. Text is trimmed and then checked; the document's limits apply to text as it is
 * sent, so they are exact for a client that trims.
 */

const MAX_TITLE_LENGTH = 200;
const MAX_DESCRIPTION_LENGTH = 2000;
const MAX_TAG_LENGTH = 50;
export const MAX_TAGS = 20;

/** @param absent the message for a title that is missing or null. */
export const title = (absent: string) =>
  z
    .string({ error: ({ input }) => (input === undefined || input === null ? absent : 'Title must be a string') })
    .meta({
      description: `Trimmed; 1 to ${MAX_TITLE_LENGTH} Unicode code points after trimming.`,
      minLength: 1,
      maxLength: MAX_TITLE_LENGTH,
      pattern: WITHOUT_NUL_NOT_BLANK,
      examples: [EXAMPLE.title],
    })
    .transform((value, context) => {
      const text = trimmed(value, 'Title', MAX_TITLE_LENGTH, context);
      if (text === '') context.addIssue({ code: 'custom', message: 'Title cannot be empty' });
      return text;
    })
    .pipe(z.string().meta({ minLength: 1, maxLength: MAX_TITLE_LENGTH, examples: [EXAMPLE.title] }));

const description = z
  .string({ error: 'Description must be a string' })
  .nullable()
  .meta({
    description: `Trimmed; at most ${MAX_DESCRIPTION_LENGTH} Unicode code points after trimming; empty becomes null.`,
    maxLength: MAX_DESCRIPTION_LENGTH,
    pattern: WITHOUT_NUL,
    examples: [EXAMPLE.description],
  })
  .transform((value, context) =>
    value === null ? null : trimmed(value, 'Description', MAX_DESCRIPTION_LENGTH, context) || null,
  )
  .pipe(
    z
      .string()
      .nullable()
      .meta({ minLength: 1, maxLength: MAX_DESCRIPTION_LENGTH, examples: [EXAMPLE.description, null] }),
  );

const isCompleted = z
  .boolean({
    error: ({ input }) =>
      `Completed status must be true or false${typeof input === 'string' ? ', without quotes' : ''}`,
  })
  .meta({ description: 'Whether the task is completed.', examples: [EXAMPLE.is_completed] });

const dueDate = z
  .string({ error: `Due date ${DATE}` })
  .refine(isDate, `Due date ${DATE}`)
  .nullable()
  .meta({
    format: 'date',
    description: 'The day on which it is due, wherever the person is. Years 1970 to 9999.',
    examples: [EXAMPLE.due_date, null],
  });

const DUE_TIME = 'Due time must be a time as in 18:30, from 00:00 to 23:59';
const TIME = '^([01][0-9]|2[0-3]):[0-5][0-9]$';

const dueTime = z
  .string({ error: DUE_TIME })
  .regex(new RegExp(TIME), DUE_TIME)
  .nullable()
  .meta({
    description: 'The time of the wall clock, to the minute. Needs `due_date`.',
    pattern: TIME,
    examples: [EXAMPLE.due_time, null],
  });

const DUE_TIME_ZONE = 'Due time zone must be an IANA time zone, as in Europe/Berlin';
export const MAX_ZONE_LENGTH = 64;

const dueTimeZone = z
  .string({ error: DUE_TIME_ZONE })
  .refine((name) => name.length <= MAX_ZONE_LENGTH && isTimeZone(name), DUE_TIME_ZONE)
  .nullable()
  .meta({
    description: 'The IANA time zone of `due_time`, which it needs; null is wherever the person is.',
    maxLength: MAX_ZONE_LENGTH,
    examples: [EXAMPLE.due_time_zone, null],
  });

export const PRIORITIES = ['none', 'low', 'medium', 'high'] as const;
const priority = z
  .enum(PRIORITIES, { error: `Priority must be one of ${PRIORITIES.join(', ')}` })
  .meta({ description: '`none` if it is not given.', examples: [EXAMPLE.priority] });

export const tag = z
  .string({ error: 'A tag must be a string' })
  .meta({ minLength: 1, maxLength: MAX_TAG_LENGTH, pattern: WITHOUT_NUL_NOT_BLANK, examples: [EXAMPLE.tags[0]] })
  .transform((value, context) => {
    const text = trimmed(value, 'Tag', MAX_TAG_LENGTH, context);
    if (text === '') context.addIssue({ code: 'custom', message: 'Tag cannot be empty' });
    return text;
  })
  .pipe(z.string().meta({ minLength: 1, maxLength: MAX_TAG_LENGTH, examples: [EXAMPLE.tags[0]] }));

const areUnique = (tags: readonly string[]) => new Set(tags.map(tagKey)).size === tags.length;

const tagList = z
  .array(tag, { error: 'Tags must be an array of strings' })
  .max(MAX_TAGS, `At most ${MAX_TAGS} tags are allowed`)
  .refine(areUnique, 'Tags must differ by more than upper and lower case');

const tags = tagList.meta({
  description: `At most ${MAX_TAGS}, trimmed, in the given order; two that differ only in case are one too many.`,
  examples: [EXAMPLE.tags],
});

/** What users write: a new field is one line here, one in `EXAMPLE`, and one in columns.ts. */
export const TaskFields = z.object({
  title: title('Title cannot be empty'),
  description,
  is_completed: isCompleted,
  list_id: listId,
  parent_id: parentId,
  position,
  due_date: dueDate,
  due_time: dueTime,
  due_time_zone: dueTimeZone,
  priority,
  tags,
  recurrence,
  recurrence_from: recurrenceFrom,
});

export type TaskFields = z.output<typeof TaskFields>;

/** Changes of a field that are none of its whole value. */
export const FieldChanges = z.object({
  add_tags: tagList.meta({
    description: 'Adds those that the task does not have yet. Not together with `tags`.',
    examples: [[EXAMPLE.tags[1]]],
  }),
  remove_tags: tagList.meta({
    description: 'Removes those that the task has, whatever their case. Not together with `tags`.',
    examples: [[EXAMPLE.tags[0]]],
  }),
});

interface Dates {
  readonly due_date?: string | null | undefined;
  readonly due_time?: string | null | undefined;
  readonly due_time_zone?: string | null | undefined;
  readonly recurrence?: string | null | undefined;
}

export const NEEDS = {
  due_time: 'Due time needs a due date',
  due_time_zone: 'Due time zone needs a due time',
  recurrence: 'Recurrence needs a due date',
};

/** Adds an issue to `context` for each field of a new task that needs another. */
export function requireNeeded(
  { due_date, due_time = null, due_time_zone = null, recurrence = null }: Dates,
  context: z.RefinementCtx,
): void {
  const refuse = (field: keyof typeof NEEDS) =>
    context.addIssue({ code: 'custom', path: [field], message: NEEDS[field] });
  if (due_time !== null && (due_date ?? null) === null) refuse('due_time');
  if (due_time_zone !== null && due_time === null) refuse('due_time_zone');
  if (recurrence !== null && (due_date ?? null) === null) refuse('recurrence');
  requireOccurrence({ due_date, recurrence }, context);
}

/** Adds an issue to `context` if a rule that is given with its date has no other one. */
export function requireOccurrence({ due_date, recurrence }: Dates, context: z.RefinementCtx): void {
  if (typeof due_date !== 'string' || typeof recurrence !== 'string' || recurs(recurrence, due_date)) return;
  const message = `recurrence: begun on ${due_date}, it never occurs again`;
  context.addIssue({ code: 'custom', path: ['recurrence'], message });
}
