import { z } from 'zod';
import { isStorableText } from '../core/text.ts';
import { addDays, dateIn, isTimeZone } from '../core/zone.ts';
import { MAX_TAGS, MAX_ZONE_LENGTH, PRIORITIES, tag } from './fields.ts';
import { isDate } from './recurrence-fields.ts';
import { tagKey } from './tag.ts';
import { MAX_TASKS_IN_LIST, TaskId } from './task.ts';
import { wantedWords } from './words.ts';

/* The query parameters of the list, and what they ask for. */

const MAX_QUERY_LENGTH = 200;
const MAX_WANTED_WORDS = 50;

const ORDERS = ['created_at', 'updated_at', 'completed_at', 'due', 'priority', 'title', 'position'] as const;
const SORTS = [
  ...ORDERS,
  '-created_at',
  '-updated_at',
  '-completed_at',
  '-due',
  '-priority',
  '-title',
  '-position',
] as const;

export interface TaskOrder {
  readonly by: (typeof ORDERS)[number];
  readonly isDescending: boolean;
}

const VIEWS = ['today', 'upcoming', 'overdue'] as const;

const oneOf = <const Values extends readonly [string, ...string[]]>(values: Values) =>
  z.enum(values, { error: `Must be ${values.length === 2 ? values.join(' or ') : `one of ${values.join(', ')}`}` });
const flag = oneOf(['true', 'false']);

const date = z
  .string()
  .refine(isDate, 'Must be a date as in 2026-11-23, of the years 1970 to 9999')
  .meta({ format: 'date' });

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-](?:0\d|1[0-4]):[0-5]\d)$/;
const time = z
  .string()
  .refine(
    (text) => TIME.test(text) && !Number.isNaN(Date.parse(text)) && isDate(text.slice(0, 10)),
    'Must be a time as in 2026-11-23T09:30:00Z, of the years 1970 to 9999; a + is written %2B',
  )
  .meta({ format: 'date-time' });

const timeZone = z
  .string()
  .refine(
    (name) => name.length <= MAX_ZONE_LENGTH && isTimeZone(name),
    'Must be an IANA time zone, as in Europe/Berlin',
  )
  .meta({ maxLength: MAX_ZONE_LENGTH });

const limit = z
  .string()
  .refine(
    (text) => /^[1-9]\d{0,3}$/.test(text) && Number(text) <= MAX_TASKS_IN_LIST,
    `Must be a number from 1 to ${MAX_TASKS_IN_LIST}`,
  )
  .transform(Number)
  .meta({ type: 'integer', minimum: 1, maximum: MAX_TASKS_IN_LIST });

const searched = z
  .string()
  .refine((text) => isStorableText(text), 'Contains characters that cannot be searched for')
  .refine((text) => text.trim() !== '', 'Must not be empty')
  .refine((text) => [...text].length <= MAX_QUERY_LENGTH, `Must not exceed ${MAX_QUERY_LENGTH} characters`)
  .refine((text) => wantedWords(text).length <= MAX_WANTED_WORDS, `Must not have over ${MAX_WANTED_WORDS} words`)
  .meta({ minLength: 1, maxLength: MAX_QUERY_LENGTH });

const TAGS = `At most ${MAX_TAGS} tags are allowed`;
const wantedTags = z
  .union([z.string(), z.array(z.string()).max(MAX_TAGS, TAGS)], { error: TAGS })
  .transform((value, context) => {
    const parsed = z.array(tag).safeParse(typeof value === 'string' ? [value] : value);
    for (const { message } of parsed.error?.issues ?? []) context.addIssue({ code: 'custom', message });
    return parsed.data ?? [];
  })
  .meta({ type: 'array', items: { type: 'string', minLength: 1 }, maxItems: MAX_TAGS, anyOf: undefined });

const ownId = (word: string, what: string) =>
  z.union([z.literal(word), TaskId.meta({ format: 'uuid', description: `The UUID of a ${what}.`, examples: [] })], {
    error: `Must be the UUID of a ${what}, or ${word}`,
  });

const Parameters = z.object({
  limit: limit.optional().meta({ description: 'How many to answer with; without it 1000.' }),
  cursor: z.string().max(16_384, 'Is not a cursor').optional().meta({
    description: '`next_cursor` of the page before, of a query with the same parameters but for `limit`.',
  }),
  sort: oneOf(SORTS).optional().meta({
    description: '`-created_at` if it is not given. Tasks without the value come last, ties are in order of id.',
  }),
  is_completed: flag.optional().meta({ description: 'Those that are completed, or those that are not.' }),
  list_id: ownId('inbox', 'list').optional().meta({ description: 'Those in a list, or in none: `inbox`.' }),
  parent_id: ownId('none', 'task').optional().meta({ description: 'Those below a task, or below none: `none`.' }),
  priority: oneOf(PRIORITIES).optional().meta({ description: 'Those with this priority.' }),
  tag: wantedTags.optional().meta({
    description: 'Those with this tag, whatever its case; with all of them if it is sent several times.',
  }),
  due_from: date.optional().meta({ description: 'Those due on this day or later.' }),
  due_to: date.optional().meta({ description: 'Those due on this day or earlier.' }),
  has_due: flag.optional().meta({ description: 'Those with a due date, or those without.' }),
  completed_from: time.optional().meta({ description: 'Those completed then or later.' }),
  completed_to: time.optional().meta({ description: 'Those completed then or earlier.' }),
  updated_from: time.optional().meta({ description: 'Those changed then or later.' }),
  view: oneOf(VIEWS)
    .optional()
    .meta({ description: 'Open tasks due on the day of `time_zone`, on the 7 days after it, or before it.' }),
  time_zone: timeZone.optional().meta({ description: 'IANA time zone of the day of `view`; UTC if it is not given.' }),
  q: searched.optional().meta({
    description:
      'Those with all of these words in title, description or tags, or words that begin with them, ignoring case and ' +
      'accents; within a sentence in scripts that are written without spaces.',
  }),
  deleted: flag.optional().meta({
    description: '`true` lists the deleted tasks that can be restored, newest deletion first; alone.',
  }),
});

type Parameters = z.output<typeof Parameters>;

/** Pairs that exclude each other: the parameter to blame, whether it is so, and why. */
const CONTRADICTIONS: readonly (readonly [
  field: keyof Parameters,
  isSo: (query: Parameters) => boolean,
  why: string,
])[] = [
  ['due_to', ({ due_from, due_to }) => isAfter(due_from, due_to), 'Must not be before due_from'],
  [
    'completed_to',
    ({ completed_from, completed_to }) => isAfter(completed_from, completed_to),
    'Must not be before completed_from',
  ],
  [
    'has_due',
    ({ has_due, due_from, due_to, view }) => has_due === 'false' && (due_from ?? due_to ?? view) !== undefined,
    'Must not be false together with due_from, due_to or view',
  ],
  [
    'is_completed',
    ({ is_completed, completed_from, completed_to }) =>
      is_completed === 'false' && (completed_from ?? completed_to) !== undefined,
    'Must not be false together with completed_from or completed_to',
  ],
  [
    'view',
    ({ view, is_completed, completed_from, completed_to }) =>
      view !== undefined && (is_completed === 'true' || (completed_from ?? completed_to) !== undefined),
    'Shows open tasks: not together with is_completed=true, completed_from or completed_to',
  ],
  [
    'view',
    ({ view, due_from, due_to }) => view !== undefined && (due_from ?? due_to) !== undefined,
    'Must not be given together with due_from or due_to',
  ],
  ['time_zone', ({ view, time_zone }) => view === undefined && time_zone !== undefined, 'Needs view'],
];

const isAfter = (from: string | undefined, to: string | undefined) =>
  from !== undefined && to !== undefined && Date.parse(from) > Date.parse(to);

/** The query parameters of the list. */
export const TaskListQuery = Parameters.superRefine((query, context) => {
  const refuse = (field: string, message: string) => context.addIssue({ code: 'custom', path: [field], message });
  for (const [field, isSo, why] of CONTRADICTIONS) if (isSo(query)) refuse(field, why);
  if (query.deleted !== 'true') return;
  for (const field of Object.keys(query)) {
    if (field !== 'deleted') refuse(field, 'Must not be given together with deleted=true');
  }
});

export type TaskListQuery = z.output<typeof TaskListQuery>;

/** The query parameters of the counts. */
export const TaskCountsQuery = z.object({
  time_zone: timeZone.optional().meta({ description: 'IANA time zone of the day; UTC if it is not given.' }),
});

export type TaskCountsQuery = z.output<typeof TaskCountsQuery>;

/** @returns today in the zone, UTC if there is none. */
export const today = (zone: string | undefined, now: number): string => dateIn(zone ?? 'UTC', now);

/** What a list has to have. */
export interface TaskFilter {
  readonly isCompleted: boolean | null;
  /** Null for any, `inbox` for none. */
  readonly listId: string | null;
  /** Null for any, `none` for none. */
  readonly parentId: string | null;
  readonly priority: string | null;
  /** Of all tags. */
  readonly tagKeys: readonly string[];
  readonly dueFrom: string | null;
  readonly dueTo: string | null;
  readonly hasDue: boolean | null;
  readonly completedFrom: string | null;
  readonly completedTo: string | null;
  readonly updatedFrom: string | null;
  /** Null without a search; of none nothing is found. */
  readonly words: readonly string[] | null;
}

const optional = (value: 'true' | 'false' | undefined) => (value === undefined ? null : value === 'true');

/** The days of a view, both included. */
function daysOf(view: TaskListQuery['view'], day: string): readonly [from: string | null, to: string | null] {
  if (view === 'today') return [day, day];
  if (view === 'upcoming') return [addDays(day, 1), addDays(day, 7)];
  return view === 'overdue' ? [null, addDays(day, -1)] : [null, null];
}

/** @returns the order of a list. */
export function orderOf({ sort = '-created_at' }: TaskListQuery): TaskOrder {
  const isDescending = sort.startsWith('-');
  return { by: ORDERS.find((name) => name === (isDescending ? sort.slice(1) : sort)) ?? 'created_at', isDescending };
}

/** @param day today, for a view; else null. @returns what a list has to have. */
export function filterOf(query: TaskListQuery, day: string | null): TaskFilter {
  const [viewFrom, viewTo] = day === null ? [null, null] : daysOf(query.view, day);
  const isCompletedAt = (query.completed_from ?? query.completed_to) !== undefined;
  return {
    isCompleted: query.view !== undefined ? false : isCompletedAt || optional(query.is_completed),
    listId: query.list_id ?? null,
    parentId: query.parent_id ?? null,
    priority: query.priority ?? null,
    tagKeys: [...new Set((query.tag ?? []).map(tagKey))],
    dueFrom: query.due_from ?? viewFrom,
    dueTo: query.due_to ?? viewTo,
    hasDue: (query.due_from ?? query.due_to ?? query.view) !== undefined ? true : optional(query.has_due),
    completedFrom: query.completed_from ?? null,
    completedTo: query.completed_to ?? null,
    updatedFrom: query.updated_from ?? null,
    words: query.q === undefined ? null : wantedWords(query.q),
  };
}
