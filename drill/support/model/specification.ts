import { generateKeyBetween } from 'fractional-indexing';
import { changed, DEFAULTS, type Fields, isRefused, type Written } from '../../../test/support/field-rules.ts';
import { idOf, type Operation, type Work } from './operation.ts';

/** A task, deleted or not. */
export interface State extends Omit<Fields, 'title' | 'position'> {
  readonly version: number;
  /** Both null once the content is gone. */
  readonly title: string | null;
  readonly position: string | null;
  readonly isDeleted: boolean;
}

/** All that a state says but its version, to be compared. */
export const contentOf = ({ version: _, ...content }: State) => JSON.stringify(content, Object.keys(content).sort());

/** What a user has when the counter is at a version. */
export interface Snapshot {
  readonly counter: number;
  /** How many tasks are not deleted. */
  readonly live: number;
  /** Of those, by id. */
  readonly positions: ReadonlyMap<string, string>;
  state(id: string): State | undefined;
}

/** What an operation is answered with. */
export interface Result {
  readonly status: number;
  readonly code: string | null;
  /** Of the task in the answer or, of a deletion alone, in its ETag. */
  readonly version: number | null;
}

interface Change {
  /** Null: one of the service's. */
  readonly id: string | null;
  readonly state: State;
}

/** What becomes of a request. */
export interface Consequence {
  /** Of each operation; of the first that failed if all were undone. */
  readonly results: readonly Result[];
  readonly changes: readonly Change[];
  /** The operations, one of which undid all; null if none was undone. */
  readonly undoneAt: readonly number[] | null;
  /** The counter after the operations. */
  readonly counter: number;
}

const BLANK = { ...DEFAULTS, title: null, position: null };

/** The fields of a task that has its content. */
const fieldsOf = ({ title, position, ...rest }: State): Fields => ({
  ...rest,
  title: title ?? '',
  position: position ?? '',
});

/** What a user has, and what operations make of it. */
class World {
  readonly changes: Change[] = [];
  counter: number;
  readonly #before: Snapshot;
  readonly #limit: number;
  readonly #states = new Map<string, State>();
  #live: number;

  constructor(before: Snapshot, limit: number) {
    this.#before = before;
    this.#limit = limit;
    this.counter = before.counter;
    this.#live = before.live;
  }

  find(id: string): State | undefined {
    return this.#states.get(id) ?? this.#before.state(id);
  }

  perform(operation: Operation): Result {
    switch (operation.kind) {
      case 'create':
        return this.#create(operation.id, operation.fields);
      case 'put':
        return this.#put(operation.id, operation.fields, operation.expected);
      case 'update':
        return this.#update(operation.id, operation.fields, operation.expected);
      case 'toggle': {
        const task = this.#liveOne(operation.id);
        if (task === undefined) return failure(404, 'NOT_FOUND');
        return this.#change(operation.id, task, { is_completed: !task.is_completed }, operation.expected);
      }
      case 'restore': {
        const task = this.find(operation.id);
        if (!task?.isDeleted || task.title === null) return failure(404, 'NOT_FOUND');
        if (isAccepted(operation.expected, task) && this.#isFull()) return failure(409, 'LIMIT_REACHED');
        return this.#change(operation.id, task, { isDeleted: false }, operation.expected);
      }
      case 'delete':
        return this.#delete(operation);
      case 'get': {
        const task = this.#liveOne(operation.id);
        return task === undefined ? failure(404, 'NOT_FOUND') : { status: 200, code: null, version: task.version };
      }
      case 'malformed':
        return failure(400, 'VALIDATION_ERROR');
      case 'list':
        return { status: 200, code: null, version: null };
    }
  }

  #create(id: string | null, fields: Written): Result {
    const existing = id === null ? undefined : this.find(id);
    if (existing?.isDeleted) return failure(409, 'CONFLICT');
    if (existing !== undefined) return failure(412, 'PRECONDITION_FAILED', existing.version);
    if (this.#isFull()) return failure(409, 'LIMIT_REACHED');
    return this.#insert(id, fields);
  }

  /** A new task is the last. */
  #insert(id: string | null, fields: Written): Result {
    const others = [...this.#before.positions].filter(([other]) => !this.#states.has(other));
    const own = [...this.#states.values()].filter(({ isDeleted }) => !isDeleted);
    const positions = [...others.map(([, position]) => position), ...own.map(({ position }) => position ?? '')].sort();
    const position = generateKeyBetween(positions.at(-1), null);
    return this.#write(201, id, undefined, { ...DEFAULTS, position, isDeleted: false, ...fields });
  }

  #put(id: string, fields: Written, expected: readonly number[] | null): Result {
    const existing = this.find(id);
    if (existing?.isDeleted) return failure(409, 'CONFLICT');
    if (existing !== undefined) return this.#update(id, { ...DEFAULTS, ...fields }, expected);
    if (expected !== null) return failure(404, 'NOT_FOUND');
    if (this.#isFull()) return failure(409, 'LIMIT_REACHED');
    return this.#insert(id, fields);
  }

  #update(id: string, fields: Written, expected: readonly number[] | null): Result {
    const task = this.#liveOne(id);
    if (task === undefined) return failure(404, 'NOT_FOUND');
    const after = changed(fieldsOf(task), fields);
    if (contentOf({ ...task, ...after }) === contentOf(task)) return { status: 200, code: null, version: task.version };
    if (isAccepted(expected, task) && isRefused(after)) return failure(400, 'VALIDATION_ERROR');
    return this.#change(id, task, after, expected);
  }

  #delete(operation: Extract<Operation, { readonly kind: 'delete' }>): Result {
    const { id, expected, isPermanent, absent } = operation;
    const task = this.find(id);
    if (task === undefined || (task.isDeleted && !(isPermanent && task.title !== null))) {
      return absent === 200 ? { status: 200, code: null, version: null } : failure(404, 'NOT_FOUND');
    }
    return this.#change(id, task, { isDeleted: true, ...(isPermanent ? BLANK : {}) }, expected);
  }

  #change(id: string, task: State, values: Partial<State>, expected: readonly number[] | null): Result {
    if (!isAccepted(expected, task)) return failure(412, 'PRECONDITION_FAILED', task.version);
    return this.#write(200, id, task, { ...task, ...values });
  }

  #write(status: number, id: string | null, before: State | undefined, values: Omit<State, 'version'>): Result {
    this.counter += 1;
    const state = { ...values, version: this.counter };
    this.#states.set(id ?? `the new one of version ${this.counter}`, state);
    this.#live += Number(!state.isDeleted) - Number(before !== undefined && !before.isDeleted);
    this.changes.push({ id, state });
    return { status, code: null, version: state.version };
  }

  #liveOne(id: string): State | undefined {
    const task = this.find(id);
    return task?.isDeleted ? undefined : task;
  }

  #isFull(): boolean {
    return this.#limit > 0 && this.#live >= this.#limit;
  }
}

const isAccepted = (expected: readonly number[] | null, { version }: State) =>
  expected === null || expected.includes(version);

const failure = (status: number, code: string, version: number | null = null): Result => ({ status, code, version });

/** What the contract says becomes of `work` when the user has what `before` says. @param limit of tasks; 0: none. */
export function consequenceOf(work: Work, before: Snapshot, limit: number): Consequence {
  const { operations, isAtomic, unchangedSince } = work;
  const { counter } = before;
  const undone = (at: readonly number[], result: Result): Consequence => ({
    results: [result],
    changes: [],
    undoneAt: at,
    counter,
  });
  const malformed = operations.findIndex(({ kind }) => kind === 'malformed');
  if (isAtomic && malformed !== -1) return undone([malformed], failure(400, 'VALIDATION_ERROR'));
  if (unchangedSince !== null) {
    const moved = operations.flatMap((operation, index) => {
      const id = idOf(operation);
      return id !== null && (before.state(id)?.version ?? 0) > unchangedSince ? [index] : [];
    });
    if (moved.length > 0) return undone(moved, failure(412, 'PRECONDITION_FAILED'));
  }
  const world = new World(before, limit);
  const results: Result[] = [];
  for (const [index, operation] of operations.entries()) {
    const result = world.perform(operation);
    if (isAtomic && result.status >= 400) {
      // What an operation before it has made of the task is undone, and not shown.
      const isOwn = operations.slice(0, index).some((other) => idOf(other) !== null && idOf(other) === idOf(operation));
      return undone([index], isOwn ? { ...result, version: null } : result);
    }
    results.push(result);
  }
  return { results, changes: world.changes, undoneAt: null, counter: world.counter };
}
