import type { Change } from '../../../test/support/changes.ts';
import type { Checks } from '../checks.ts';
import type { AuditRow, History } from './history.ts';
import type { Reader, Told } from './reader.ts';

/** Of so many complete copies the deleted tasks are compared too, which takes longer. */
const DELETED_EVERY = 25;

/** What a mirror has that applied all it was told, and what it must have. */
class Comparison {
  readonly #history: History;
  readonly #name: string;
  readonly #checks: Checks;
  readonly #copy = new Map<string, Change>();
  readonly #live = new Map<string, AuditRow>();
  #reached = 0;
  #base = 0;
  position = 0;
  complete = 0;

  constructor(history: History, name: string, checks: Checks) {
    this.#history = history;
    this.#name = name;
    this.#checks = checks;
  }

  take({ how, base, changes, position, isComplete, floor }: Told): void {
    if (base !== null) {
      this.#copy.clear();
      this.position = 0;
      this.#base = base;
    }
    for (const change of changes) {
      const { id, version } = change;
      this.#expect(version > this.position, `${how} told of ${id}, version ${version}, after ${this.position}`);
      this.#compare(change);
      this.#copy.set(id, change);
      this.position = version;
    }
    this.#expect(position >= this.position, `${how} went back from ${this.position} to ${position}`);
    this.#expect(position >= floor, `${how} reached ${position}, when ${floor} was known already`);
    this.position = position;
    if (!isComplete) return;
    this.complete += 1;
    this.#expect(this.#history.isCommitted(position), `${how} was complete at ${position}, within a transaction`);
    this.#compareLive(how);
    if (this.complete % DELETED_EVERY === 0) this.compareAll(how);
  }

  /** Also deletions after the first copy began. */
  compareAll(how: string): void {
    const expected = [...this.#history.allAt(this.position).values()].filter(
      ({ state, version }) => !state.isDeleted || version > this.#base,
    );
    for (const row of expected) this.#compareOne(row, how);
    this.#expect(
      this.#copy.size === expected.length,
      `after ${how}, at ${this.position}, it has ${this.#copy.size} tasks and deletions of ${expected.length}`,
    );
  }

  #compareLive(how: string): void {
    if (this.position < this.#reached) {
      this.#reached = 0;
      this.#live.clear();
    }
    for (; this.#reached < this.position; this.#reached += 1) {
      const row = this.#history.row(this.#reached + 1);
      if (row === undefined) continue;
      if (row.state.isDeleted) this.#live.delete(row.id);
      else this.#live.set(row.id, row);
    }
    for (const row of this.#live.values()) this.#compareOne(row, how);
    const live = [...this.#copy.values()].filter(({ deleted }) => !deleted).length;
    this.#expect(
      live === this.#live.size,
      `after ${how}, at ${this.position}, it has ${live} of ${this.#live.size} tasks`,
    );
  }

  #compareOne({ id, version }: AuditRow, how: string): void {
    const had = this.#copy.get(id)?.version;
    this.#expect(
      had === version,
      `after ${how}, at ${this.position}, it has version ${had} of ${id}, which has ${version}`,
    );
  }

  /** What was told is what the task was at that version. */
  #compare({ id, version, deleted, task }: Change): void {
    const row = this.#history.row(version);
    const isBlank = row?.state.title === null;
    const isSame =
      row?.id === id &&
      row.state.isDeleted === deleted &&
      (isBlank ? task === null : row.json === JSON.stringify(task));
    this.#expect(isSame, `it was told ${JSON.stringify({ id, version, deleted, task })} of ${row?.json}`);
  }

  #expect(holds: boolean, failure: string): void {
    this.#checks.expect(holds, `${this.#name}: ${failure}`);
  }
}

/** Judges a mirror: what it was told was so, in order, and complete wherever it said so. @returns how often it did. */
export function judgeMirror(reader: Reader, history: History, checks: Checks): { complete: number; changes: number } {
  const comparison = new Comparison(history, reader.name, checks);
  for (const told of reader.told) comparison.take(told);
  checks.expect(
    comparison.position === history.counter,
    `${reader.name} ended at ${comparison.position} of ${history.counter}`,
  );
  comparison.compareAll('all');
  return { complete: comparison.complete, changes: reader.told.reduce((sum, { changes }) => sum + changes.length, 0) };
}
