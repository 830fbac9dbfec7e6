import type { Task, TaskCreate, TaskUpdate } from './api-types.ts';

/** After all that the service gives in practice: it places a task or list when it first sees it. */
export const LAST = 'hzzzzzzzz';

type Fields = Pick<Task, keyof TaskCreate & keyof Task>;

/** The fields that users write, with what a task has that is created without them. */
const DEFAULTS = {
  description: null,
  is_completed: false,
  list_id: null,
  parent_id: null,
  position: LAST,
  due_date: null,
  due_time: null,
  due_time_zone: null,
  priority: 'none',
  tags: [],
  recurrence: null,
  recurrence_from: 'due',
} as const satisfies Omit<Fields, 'title'>;

const isField = (name: string): name is keyof Fields => name === 'title' || Object.hasOwn(DEFAULTS, name);

/** The names of the fields that users write. */
export const TASK_FIELDS: readonly (keyof Fields)[] = ['title', ...Object.keys(DEFAULTS).filter(isField)];

/** @returns a task as it is until the service has seen it: of version 0. @param at the time, as the service writes it. */
export const newTask = (id: string, user: string, at: string, { before, after, ...fields }: TaskCreate): Task => ({
  id,
  user_id: user,
  ...DEFAULTS,
  series_id: null,
  completed_at: fields.is_completed === true ? at : null,
  created_at: at,
  updated_at: at,
  deleted_at: null,
  version: 0,
  ...fields,
});

/** @returns the fields that users write, as the service stores them; without a position that the service has to give. */
export function writtenFields(task: Partial<Task>): TaskUpdate {
  const names: readonly string[] = TASK_FIELDS;
  const isGiven = ([name, value]: readonly [string, unknown]) =>
    names.includes(name) && (name !== 'position' || value !== LAST);
  return storedFields(Object.fromEntries(Object.entries(task).filter(isGiven)));
}

const key = (tag: string) => tag.normalize().toLowerCase();

const without = (tags: readonly string[], others: readonly string[]) => {
  const gone = others.map(key);
  return tags.filter((tag) => !gone.includes(key(tag)));
};

const changedTags = (tags: readonly string[], added: readonly string[], removed: readonly string[]) => [
  ...without(tags, removed),
  ...without(added, tags),
];

/** @returns `task` as the service will make it of the update. @param at the time, as the service writes it. */
export function changedTask(task: Task, update: TaskUpdate, at: string): Task {
  const { add_tags = [], remove_tags = [], before, after, completed_on, ...fields } = update;
  const changed = { ...task, ...fields, updated_at: at };
  return {
    ...changed,
    tags: changedTags(changed.tags, add_tags, remove_tags),
    completed_at: changed.is_completed ? (task.completed_at ?? at) : null,
  };
}

/** Whether a place that was given before is none any more. */
const isPlaced = ({ position, before, after, list_id, parent_id }: TaskUpdate) =>
  [position, before, after, list_id, parent_id].some((given) => given !== undefined);
const withoutPlace = ({ position, before, after, ...others }: TaskUpdate): TaskUpdate => others;

/** The most that a write may have in each of `add_tags` and `remove_tags`. */
const MAX_TAGS = 20;

/**
 * @param isNew whether the first creates the task.
 * @returns one write for two of one task, or null if it takes two: one removes its tags before it adds any.
 */
export function mergedUpdate(first: TaskUpdate, second: TaskUpdate, isNew: boolean): TaskUpdate | null {
  const {
    add_tags: firstAdded = [],
    remove_tags: firstRemoved = [],
    ...firstFields
  } = isPlaced(second) ? withoutPlace(first) : first;
  const { add_tags: added = [], remove_tags: removed = [], ...secondFields } = second;
  const { completed_on: day, ...rest } = { ...firstFields, ...secondFields };
  const fields = rest.is_completed === true && day !== undefined ? { ...rest, completed_on: day } : rest;
  if (second.tags !== undefined) return fields;
  const tags = isNew ? (first.tags ?? []) : first.tags;
  if (tags !== undefined) return { ...fields, tags: changedTags(tags, added, removed) };
  const add_tags = [...without(firstAdded, [...added, ...removed]), ...added];
  const remove_tags = [...without(firstRemoved, removed), ...removed];
  if (without(added, firstRemoved).length < added.length) return null;
  if (add_tags.length > MAX_TAGS || remove_tags.length > MAX_TAGS) return null;
  return { ...fields, ...(add_tags.length + remove_tags.length > 0 ? { add_tags, remove_tags } : {}) };
}

/**
 * @param task as it was before. @param now when the person changes it, of whose day a recurring task is completed.
 * @returns the update, with that day.
 */
export function datedUpdate(update: TaskUpdate, task: Task | undefined, now: Date): TaskUpdate {
  const { is_completed, completed_on, recurrence = task?.recurrence ?? null } = update;
  if (is_completed !== true || task?.is_completed === true || completed_on !== undefined || recurrence === null) {
    return update;
  }
  const [month, day] = [now.getMonth() + 1, now.getDate()].map((part) => String(part).padStart(2, '0'));
  return { ...update, completed_on: `${now.getFullYear()}-${month}-${day}` };
}

const trimmed = (tags: readonly string[]) => tags.map((tag) => tag.trim());

/** @returns the fields as the service stores them. */
export function storedFields(update: TaskUpdate): TaskUpdate {
  const { title, description, tags, add_tags, remove_tags } = update;
  return {
    ...update,
    ...(title === undefined ? {} : { title: title.trim() }),
    ...(description === undefined ? {} : { description: description?.trim() || null }),
    ...(tags === undefined ? {} : { tags: trimmed(tags) }),
    ...(add_tags === undefined ? {} : { add_tags: trimmed(add_tags) }),
    ...(remove_tags === undefined ? {} : { remove_tags: trimmed(remove_tags) }),
  };
}
