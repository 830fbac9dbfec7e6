import assert from 'node:assert/strict';
import type { Task } from './service.ts';

/** What a user may change of a task. */
export interface Fields {
  readonly title: string;
  readonly description: string | null;
  readonly is_completed: boolean;
}

/** One way a task may be; null: it is not there. */
type State = Fields | null;

/** What a write makes of a task that is there. */
export type Change = (fields: Fields) => State;

const fieldsOf = ({ title, description, is_completed }: Fields): Fields => ({ title, description, is_completed });
const same = (a: State, b: State) => JSON.stringify(a) === JSON.stringify(b);

/** A task as its owner may expect it: in more than one state while the fate of a write is unknown. */
export class ExpectedTask {
  readonly #first: Task;
  #updatedAt: string;
  #states: State[];

  constructor(task: Task) {
    this.#first = task;
    this.#updatedAt = task.updated_at;
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

  /** An answer showed it as it is. */
  isSeen(task: Task): void {
    this.#settle(task, this.#states);
    assert.ok(task.updated_at >= this.#updatedAt, 'updated_at went back');
    this.#updatedAt = task.updated_at;
  }

  /** An answer said that it is not there. */
  isMissed(): void {
    assert.ok(this.mayBeGone, `a task is gone that was acknowledged: ${this.id}`);
    this.#states = [null];
  }

  /** A write was acknowledged, with the task as it is now, or with nothing where the task is gone. */
  isChanged(change: Change, task: Task | null): void {
    const after = this.#states.flatMap((state) => (state === null ? [] : [change(state)]));
    if (task === null) {
      assert.ok(after.includes(null), 'a task that could not be there was deleted');
      this.#states = [null];
      return;
    }
    this.#settle(task, after);
    assert.ok(task.updated_at > this.#updatedAt, 'updated_at did not move');
    this.#updatedAt = task.updated_at;
  }

  /** A write was sent, and it is not known whether it happened. */
  mayBeChanged(change: Change): void {
    const after = this.#states.map((state) => (state === null ? null : change(state)));
    this.#states = [...this.#states, ...after].filter(
      (state, index, all) => all.findIndex((other) => same(state, other)) === index,
    );
  }

  #settle(task: Task, possible: readonly State[]): void {
    const { id, user_id, created_at } = task;
    const { id: firstId, user_id: owner, created_at: created } = this.#first;
    assert.deepEqual({ id, user_id, created_at }, { id: firstId, user_id: owner, created_at: created });
    const seen = fieldsOf(task);
    assert.ok(
      possible.some((state) => same(state, seen)),
      `a task is ${JSON.stringify(seen)} and could be ${JSON.stringify(possible)}`,
    );
    this.#states = [seen];
  }
}

/** All that one user may expect to see. */
export class ExpectedTasks {
  readonly #owner: string;
  readonly #tasks: ExpectedTask[] = [];
  /** What was sent to be created and may or may not be there; titles are unique. */
  #unsure: Fields[] = [];

  constructor(owner: string) {
    this.#owner = owner;
  }

  /** One that may be there, by any number; undefined where there is none. */
  pick(number: number): ExpectedTask | undefined {
    const there = this.#tasks.filter((task) => task.mayBeThere);
    return there[number % there.length];
  }

  isCreated(fields: Fields, task: Task): void {
    assert.equal(task.user_id, this.#owner);
    assert.deepEqual(fieldsOf(task), fields);
    this.#tasks.push(new ExpectedTask(task));
  }

  mayBeCreated(fields: Fields): void {
    this.#unsure.push(fields);
  }

  /** A list was answered: it must have each task that must be there, and none that cannot. */
  isListed(listed: readonly Task[]): void {
    const order = listed.map(({ created_at, id }) => `${created_at} ${id}`);
    assert.deepEqual(order, [...order].sort().reverse(), 'newest first');
    for (const fields of this.#unsure) {
      const made = listed.filter(({ title }) => title === fields.title);
      assert.ok(made.length <= 1, `a create happened ${made.length} times`);
      for (const task of made) this.isCreated(fields, task);
    }
    this.#unsure = [];
    const shown = new Map(listed.map((task) => [task.id, task]));
    assert.equal(shown.size, listed.length, 'a task is listed twice');
    for (const expected of this.#tasks) {
      const task = shown.get(expected.id);
      if (task === undefined) expected.isMissed();
      else expected.isSeen(task);
      shown.delete(expected.id);
    }
    assert.deepEqual([...shown.values()], [], 'tasks that nobody made, or somebody else');
  }
}
