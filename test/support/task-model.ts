import assert from 'node:assert/strict';
import type { Fields } from './field-rules.ts';
import type { Task } from './service.ts';

/** A possible state of a task; null: it does not exist. */
type State = Fields | null;

/** The effect of a write on an existing task; `refused`: none, because its fields would not go together. */
export type Change = (fields: Fields) => State | 'refused';

const fieldsOf = (task: Fields): Fields => {
  const { title, description, is_completed, list_id, parent_id, position, due_date, due_time, due_time_zone } = task;
  const { priority, tags, recurrence, recurrence_from } = task;
  return {
    ...{ title, description, is_completed, list_id, parent_id, position, due_date, due_time, due_time_zone },
    ...{ priority, tags, recurrence, recurrence_from },
  };
};
const same = (a: State, b: State) => JSON.stringify(a) === JSON.stringify(b);

/** The fields of a task that is created; without a position it is the last. */
export type NewFields = Omit<Fields, 'position'> & Partial<Fields>;

/** A task as its owner expects it: more than one state is possible while the outcome of a write is unknown. */
export class ExpectedTask {
  readonly #first: Task;
  #updatedAt: string;
  #version: number;
  #states: State[];

  constructor(task: Task) {
    this.#first = task;
    this.#updatedAt = task.updated_at;
    this.#version = task.version;
    this.#states = [fieldsOf(task)];
  }

  get id(): string {
    return this.#first.id;
  }

  get mayBeThere(): boolean {
    return this.#states.some((state) => state !== null);
  }

  get mayBeGone(): boolean {
    return this.#states.includes(null);
  }

  /** A response contained the task. */
  isSeen(task: Task): void {
    this.#settle(task, this.#states);
  }

  /** A response said that the task does not exist. */
  isMissed(): void {
    assert.ok(this.mayBeGone, `an acknowledged task is missing: ${this.id}`);
    this.#states = [null];
  }

  /** A write was acknowledged, with the task as it is now, or null if it was deleted. */
  isChanged(change: Change, task: Task | null): void {
    const after = this.#states.flatMap((state) => {
      const next = state === null ? 'refused' : change(state);
      return next === 'refused' ? [] : [next];
    });
    if (task === null) {
      assert.ok(after.includes(null), 'a task that cannot exist was deleted');
      this.#states = [null];
      return;
    }
    this.#settle(task, after);
  }

  /** A write was refused, because the task's fields would not go together. */
  isRefused(change: Change): void {
    this.#states = this.#states.filter((state) => state !== null && change(state) === 'refused');
    assert.ok(this.#states.length > 0, `a write of ${this.id} was refused that no rule forbids`);
  }

  /** A write was sent, and its outcome is unknown. */
  mayBeChanged(change: Change): void {
    const after = this.#states.map((state) => {
      const next = state === null ? null : change(state);
      return next === 'refused' ? state : next;
    });
    this.#states = [...this.#states, ...after].filter(
      (state, index, all) => all.findIndex((other) => same(state, other)) === index,
    );
  }

  #settle(task: Task, possible: readonly State[]): void {
    const { id, user_id, created_at, deleted_at } = task;
    const { id: firstId, user_id: owner, created_at: created } = this.#first;
    const unchanging = { id: firstId, user_id: owner, created_at: created, deleted_at: null };
    assert.deepEqual({ id, user_id, created_at, deleted_at }, unchanging);
    assert.equal(task.completed_at !== null, task.is_completed, 'completed_at is set exactly while it is completed');
    const seen = fieldsOf(task);
    assert.ok(
      possible.some((state) => same(state, seen)),
      `a task is ${JSON.stringify(seen)}, expected one of ${JSON.stringify(possible)}`,
    );
    this.#follows(task);
    this.#states = [seen];
  }

  /** `updated_at` and the version increase with every change, and with nothing else. */
  #follows({ updated_at, version, ...task }: Task): void {
    const [before = null, ...others] = this.#states;
    const isUnchanged = others.length === 0 && same(before, fieldsOf(task));
    const isChanged = this.#states.every((state) => !same(state, fieldsOf(task)));
    const order = `version ${version} at ${updated_at} after ${this.#version} at ${this.#updatedAt}`;
    if (isUnchanged) assert.deepEqual([updated_at, version], [this.#updatedAt, this.#version], order);
    else if (isChanged) assert.ok(updated_at > this.#updatedAt && version > this.#version, order);
    else assert.ok(updated_at >= this.#updatedAt && version >= this.#version, order);
    this.#updatedAt = updated_at;
    this.#version = version;
  }
}

/** The tasks that one user expects to see. */
export class ExpectedTasks {
  readonly #owner: string;
  readonly #tasks: ExpectedTask[] = [];
  /** Tasks whose creation has an unknown outcome; their titles are unique. */
  #uncertain: NewFields[] = [];

  constructor(owner: string) {
    this.#owner = owner;
  }

  /** One of the tasks that may exist, chosen by `number`; undefined if there is none. */
  pick(number: number): ExpectedTask | undefined {
    const there = this.#tasks.filter((task) => task.mayBeThere);
    return there[number % there.length];
  }

  isCreated(fields: NewFields, task: Task): void {
    assert.equal(task.user_id, this.#owner);
    assert.deepEqual(fieldsOf(task), { ...fieldsOf(task), ...fields });
    assert.equal(task.completed_at !== null, task.is_completed);
    this.#tasks.push(new ExpectedTask(task));
  }

  mayBeCreated(fields: NewFields): void {
    this.#uncertain.push(fields);
  }

  /** A list was received: it must contain each task that must exist, and none that cannot. */
  isListed(listed: readonly Task[]): void {
    const order = listed.map(({ created_at, id }) => `${created_at} ${id}`);
    assert.deepEqual(order, [...order].sort().reverse(), 'newest first');
    for (const fields of this.#uncertain) {
      const made = listed.filter(({ title }) => title === fields.title);
      assert.ok(made.length <= 1, `a task was created ${made.length} times`);
      for (const task of made) this.isCreated(fields, task);
    }
    this.#uncertain = [];
    const shown = new Map(listed.map((task) => [task.id, task]));
    assert.equal(shown.size, listed.length, 'a task is listed twice');
    assert.equal(new Set(listed.map(({ version }) => version)).size, listed.length, 'two tasks have one version');
    for (const expected of this.#tasks) {
      const task = shown.get(expected.id);
      if (task === undefined) expected.isMissed();
      else expected.isSeen(task);
      shown.delete(expected.id);
    }
    assert.deepEqual([...shown.values()], [], 'tasks that this user did not create');
  }
}
