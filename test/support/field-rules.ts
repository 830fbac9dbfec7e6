import type { CHANGES, FIELDS } from './fields.ts';
import type { Task } from './service.ts';

/** What users write of a task. */
export type Fields = Pick<Task, (typeof FIELDS)[number]>;

/** Where a task is and how it recurs: a write of them may change other tasks too. */
type OfMany = 'list_id' | 'parent_id' | 'recurrence' | 'recurrence_from' | 'before' | 'after' | 'completed_on';

/** What a request says of the others. */
export type Written = Partial<Omit<Fields, OfMany>> & {
  readonly [name in Exclude<(typeof CHANGES)[number], OfMany>]?: readonly string[];
};

/** What a task has that is created without them; its position is the last. */
export const DEFAULTS = {
  title: '',
  description: null,
  is_completed: false,
  list_id: null,
  parent_id: null,
  due_date: null,
  due_time: null,
  due_time_zone: null,
  priority: 'none' as const,
  tags: [],
  recurrence: null,
  recurrence_from: 'due' as const,
} satisfies Omit<Fields, 'position'>;

/** So few values that writers of one task meet, and that some do not go with others. */
export const CHOICES: { readonly [name in Exclude<keyof Written, 'title' | 'description'>]: readonly Written[name][] } =
  {
    is_completed: [true, false],
    position: ['a0', 'a1', 'a1V', 'Zz'],
    due_date: [null, '1970-01-01', '2026-11-23'],
    due_time: [null, '00:00', '23:59'],
    due_time_zone: [null, 'Europe/Berlin', 'UTC'],
    priority: ['none', 'low', 'medium', 'high'],
    tags: [[], ['Home'], ['büro', 'car'], Array.from({ length: 20 }, (_, index) => `${index}`)],
    add_tags: [['home'], ['Car', 'BÜRO'], ['new', 'home']],
    remove_tags: [['HOME'], ['car', '7'], ['none']],
  };

const keyOf = (tag: string) => tag.normalize('NFC').toLowerCase();

/** @returns the fields of a task that had `fields`, with what was written. */
export function changed(fields: Fields, written: Written): Fields {
  const { add_tags: added = [], remove_tags: removed = [], ...values } = written;
  const had = new Set(fields.tags.map(keyOf));
  const gone = new Set(removed.map(keyOf));
  const kept = fields.tags.filter((tag) => !gone.has(keyOf(tag)));
  const tags = [...kept, ...added.filter((tag) => !had.has(keyOf(tag)))];
  return { ...fields, ...(added.length + removed.length > 0 ? { tags } : {}), ...values };
}

/** Whether the fields break a rule together. */
export const isRefused = ({ due_date, due_time, due_time_zone, tags }: Omit<Fields, 'position'>) =>
  (due_time !== null && due_date === null) || (due_time_zone !== null && due_time === null) || tags.length > 20;
