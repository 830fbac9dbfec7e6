import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Principal } from '../core/user.ts';
import type { Database } from '../database/database.ts';
import type { BoundStatement, Rows } from '../database/sql.ts';
import type { ImportedTask } from '../tasks/import-sql.ts';
import type { TaskEffects } from '../tasks/task-effects.ts';
import type { Effect } from '../writes/effect.ts';
import type { Outcome, OutcomeKind } from '../writes/outcome.ts';
import type { Writer } from '../writes/writer.ts';
import { countTasks, findTasks } from './exchange-sql.ts';
import type { ReportBuilder } from './import-report.ts';

/** Tasks of one transaction, and how long one is to take: others wait for it. */
const PIECE = { first: 20, min: 5, max: 500, targetMs: 60 };
/** Tasks of one transaction that are made by a statement each. */
const ALONE_AT_ONCE = 10;
/** Tasks that a dry run looks for at once. */
const LOOK_UP = 200;

/** A task of the file that has passed the checks of a create. */
export interface Checked extends ImportedTask {
  readonly line: number;
}

const limitMessage = (limit: number) => `The limit of ${limit} tasks is reached`;

async function read(database: Database, { userId }: Principal, statement: BoundStatement): Promise<Rows> {
  return (await database.transaction({ kind: 'user', userId }, [statement])).at(-1) ?? [];
}

/** @returns the state of each task of `piece` that there is, as `findTasks` gives it. */
async function statesOf(database: Database, user: Principal, piece: readonly Checked[]) {
  const ids = `{${piece.map(({ id }) => id).join(',')}}`;
  const rows = await read(database, user, findTasks({ owner: user.userId, ids }));
  return new Map(rows.map(([id, state]) => [id, state]));
}

interface ImporterOptions {
  readonly database: Database;
  readonly writer: Writer;
  readonly effects: TaskEffects;
  readonly maxTasksPerUser: number;
}

/** Makes tasks in pieces, and counts what became of them. */
export class Importer {
  readonly #user: Principal;
  readonly #report: ReportBuilder;
  readonly #options: ImporterOptions;
  #size = PIECE.first;
  #piece: Checked[] = [];

  constructor(user: Principal, report: ReportBuilder, options: ImporterOptions) {
    this.#user = user;
    this.#report = report;
    this.#options = options;
  }

  /** @returns whether a piece was written. */
  async add(task: Checked): Promise<boolean> {
    this.#piece.push(task);
    if (this.#piece.length < this.#size) return false;
    await this.flush();
    return true;
  }

  async flush(): Promise<void> {
    const all = this.#piece;
    if (all.length === 0) return;
    this.#piece = [];
    const states = await statesOf(this.#options.database, this.#user, all);
    const isThere = ({ id }: Checked) => states.get(id) === 'live';
    for (const { line } of all.filter(isThere)) this.#report.count(line, 'exists', null);
    const piece = all.filter((task) => !isThere(task));
    if (piece.length === 0) return;
    const startedAt = performance.now();
    const outcomes = await this.#make(piece, states);
    const fitting = (piece.length * PIECE.targetMs) / (performance.now() - startedAt);
    this.#size = Math.round(Math.min(PIECE.max, Math.max(PIECE.min, fitting)));
    const deleted = piece.filter((_, index) => outcomes[index]?.kind === 'taken');
    for (const [index, { line }] of piece.entries()) this.#count(line, outcomes[index]);
    await this.#restore(deleted);
    await nextTurn();
  }

  /** @returns what became of each. Those that need no look at others are made by one statement. */
  async #make(
    piece: readonly Checked[],
    states: ReadonlyMap<string | null | undefined, unknown>,
  ): Promise<readonly Outcome[]> {
    const { effects } = this.#options;
    const ids = new Set<string>();
    const isFirst = ({ id }: Checked) => ids.size < ids.add(id).size;
    const isApart = (one: Checked) => isFirst(one) && !states.has(one.id) && effects.isApart(one.task);
    const apart = piece.map(isApart);
    const together = piece.filter((_, index) => apart[index]);
    const alone = piece.filter((_, index) => !apart[index]);
    const outcomes = together.length === 0 ? [] : [...(await this.#write([effects.importMany(this.#user, together)]))];
    for (let from = 0; from < alone.length; from += ALONE_AT_ONCE) {
      const some = alone.slice(from, from + ALONE_AT_ONCE);
      outcomes.push(...(await this.#write(some.map((one) => effects.import(this.#user, one)))));
    }
    let [nextTogether, nextAlone] = [0, together.length];
    return apart.flatMap((isTogether) => outcomes[isTogether ? nextTogether++ : nextAlone++] ?? []);
  }

  /** One that is not deleted any more has come back with its parent. */
  async #restore(deleted: readonly Checked[]): Promise<void> {
    if (deleted.length === 0) return;
    const outcomes = await this.#write(deleted.map(({ id }) => this.#options.effects.restore(this.#user, id, null)));
    for (const [index, { line }] of deleted.entries()) {
      const outcome = outcomes[index];
      this.#count(line, outcome?.kind === 'missing' ? { ...outcome, kind: 'changed' } : outcome);
    }
  }

  async #write(effects: readonly Effect[]): Promise<readonly Outcome[]> {
    return (await this.#options.writer.write(this.#user, { effects, isAtomic: false, retry: null })).outcomes;
  }

  #count(line: number, outcome: Outcome | undefined): void {
    if (outcome === undefined || outcome.kind === 'taken') return;
    const { kind, json } = outcome;
    this.#report.count(line, kind, kind === 'limit' ? limitMessage(this.#options.maxTasksPerUser) : json);
  }
}

/** Says what would become of tasks. */
export class DryRun {
  readonly #user: Principal;
  readonly #report: ReportBuilder;
  readonly #database: Database;
  readonly #limit: number;
  readonly #made = new Set<string>();
  #room: number | null = null;
  #piece: Checked[] = [];

  /** @param maxTasksPerUser 0 is no limit. */
  constructor(user: Principal, report: ReportBuilder, database: Database, maxTasksPerUser: number) {
    this.#user = user;
    this.#report = report;
    this.#database = database;
    this.#limit = maxTasksPerUser;
  }

  /** @returns whether a piece was looked for. */
  async add(task: Checked): Promise<boolean> {
    this.#piece.push(task);
    if (this.#piece.length < LOOK_UP) return false;
    await this.flush();
    return true;
  }

  async flush(): Promise<void> {
    const piece = this.#piece;
    if (piece.length === 0) return;
    this.#piece = [];
    this.#room ??= this.#limit === 0 ? Number.POSITIVE_INFINITY : this.#limit - (await this.#count());
    const states = await statesOf(this.#database, this.#user, piece);
    for (const { line, id } of piece) {
      this.#report.count(line, this.#kindOf(id, states.get(id), this.#room), limitMessage(this.#limit));
    }
  }

  #kindOf(id: string, state: string | null | undefined, room: number): OutcomeKind {
    if (state === 'live' || this.#made.has(id)) return 'exists';
    if (this.#made.size >= room) return 'limit';
    this.#made.add(id);
    return state === 'deleted' ? 'changed' : 'created';
  }

  async #count(): Promise<number> {
    const [[tasks = '0'] = []] = await read(this.#database, this.#user, countTasks({ owner: this.#user.userId }));
    return Number(tasks);
  }
}
