import { setImmediate as nextTurn } from 'node:timers/promises';
import { z } from 'zod';
import { AppError } from '../core/errors.ts';
import type { Principal } from '../core/user.ts';
import type { Database } from '../database/database.ts';
import type { BoundStatement, Rows } from '../database/sql.ts';
import { TaskCreate, TaskId } from '../tasks/task.ts';
import type { TaskEffects } from '../tasks/task-effects.ts';
import type { Effect } from '../writes/effect.ts';
import type { OutcomeKind } from '../writes/outcome.ts';
import type { Writer } from '../writes/writer.ts';
import { countTasks, findTasks } from './exchange-sql.ts';
import type { ImportPlan } from './import-plan.ts';
import { type ImportReport, ReportBuilder } from './import-report.ts';
import type { ListPort } from './list-port.ts';
import { idOfList, type ListReference, type TaskEntry } from './record.ts';

/** Tasks of one transaction, and how long one is to take: others wait for it. */
const PIECE = { first: 50, min: 20, max: 200, targetMs: 100 };
/** Tasks that a dry run looks for at once. */
const LOOK_UP = 200;

const moment = z.iso.datetime({ offset: true }).refine((text) => !text.startsWith('0000'));
const History = z.object({
  created_at: moment.nullish().catch(null),
  completed_at: moment.nullish().catch(null),
});

/** A task of the file that has passed the checks of a create. */
interface Checked {
  readonly line: number;
  readonly id: TaskId;
  readonly effect: Effect;
}

interface ImportOptions {
  /** Whether nothing is to be changed. */
  readonly isDryRun: boolean;
  /** Called now and then. */
  readonly onProgress: (report: ImportReport) => Promise<void>;
  /** Ends the import between two pieces. */
  readonly signal: AbortSignal;
}

export interface ImportService {
  /**
   * Makes the tasks of a file that are not there, in pieces. A task that is there is kept as it is; a deleted one comes back.
   * @throws {AppError} as `Writer.write` does, and `SERVICE_UNAVAILABLE` if `signal` is aborted: what was made by then
   *   stays, and the same file again makes the rest.
   */
  apply(user: Principal, plan: ImportPlan, options: ImportOptions): Promise<ImportReport>;
}

export interface ImportServiceOptions {
  readonly database: Database;
  readonly writer: Writer;
  readonly effects: TaskEffects;
  readonly lists: ListPort;
  /** 0 is no limit. */
  readonly maxTasksPerUser: number;
}

export function createImportService(options: ImportServiceOptions): ImportService {
  const { database, writer, effects, lists, maxTasksPerUser } = options;
  const limitMessage = `The limit of ${maxTasksPerUser} tasks is reached`;

  const read = async ({ userId }: Principal, statement: BoundStatement): Promise<Rows> =>
    (await database.transaction({ kind: 'user', userId }, [statement])).at(-1) ?? [];

  /** @returns the id of the list of each name, made where there is none. */
  const prepareLists = async (user: Principal, plan: ImportPlan, isDryRun: boolean, report: ReportBuilder) => {
    const all = await lists.all(user);
    const byName = new Map(all.map(({ id, name }) => [name, id]));
    const missing = [...plan.listNames].filter((name) => !byName.has(name));
    const wanted = [
      ...plan.lists.filter(({ id }) => all.every((list) => list.id !== id)),
      ...missing.map((name) => ({ line: 1, id: idOfList(name), fields: { name } })),
    ];
    for (const { line, id, fields } of isDryRun ? [] : wanted) {
      const fault = await lists.create(user, id, fields);
      if (fault !== null) report.refuse(line, fault);
      else if (typeof fields.name === 'string') byName.set(fields.name, id);
    }
    return (list: ListReference): string | null =>
      list === null ? null : 'id' in list ? list.id : (byName.get(list.name) ?? null);
  };

  const toChecked = (
    user: Principal,
    { line, id, parentId, fields }: TaskEntry,
    listId: string | null,
  ): Checked | string => {
    const parsed = TaskCreate.safeParse({ ...fields, parent_id: parentId, list_id: listId });
    if (!parsed.success)
      return parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ');
    const { created_at: createdAt = null, completed_at: completedAt = null } = History.parse(fields);
    const taskId = TaskId.parse(id);
    return { line, id: taskId, effect: effects.import(user, taskId, parsed.data, { createdAt, completedAt }) };
  };

  /** Makes the tasks, and counts what became of them. */
  class Importer {
    readonly #user: Principal;
    readonly #report: ReportBuilder;
    #size = PIECE.first;
    #piece: Checked[] = [];

    constructor(user: Principal, report: ReportBuilder) {
      this.#user = user;
      this.#report = report;
    }

    /** @returns whether a piece was written. */
    async add(task: Checked): Promise<boolean> {
      this.#piece.push(task);
      if (this.#piece.length < this.#size) return false;
      await this.flush();
      return true;
    }

    async flush(): Promise<void> {
      const piece = this.#piece;
      if (piece.length === 0) return;
      this.#piece = [];
      const startedAt = performance.now();
      const { outcomes } = await writer.write(this.#user, {
        effects: piece.map(({ effect }) => effect),
        isAtomic: false,
        retry: null,
      });
      const fitting = (this.#size * PIECE.targetMs) / (performance.now() - startedAt);
      this.#size = Math.round(Math.min(PIECE.max, Math.max(PIECE.min, fitting)));
      for (const [index, { line }] of piece.entries()) {
        const { kind, json } = outcomes[index] ?? { kind: 'missing', json: null };
        this.#report.count(line, kind, kind === 'limit' ? limitMessage : json);
      }
      await nextTurn();
    }
  }

  /** Says what would become of the tasks. */
  class DryRun {
    readonly #user: Principal;
    readonly #report: ReportBuilder;
    readonly #made = new Set<string>();
    #room: number | null = null;
    #piece: Checked[] = [];

    constructor(user: Principal, report: ReportBuilder) {
      this.#user = user;
      this.#report = report;
    }

    async add(task: Checked): Promise<boolean> {
      this.#piece.push(task);
      if (this.#piece.length < LOOK_UP) return false;
      await this.flush();
      return true;
    }

    async flush(): Promise<void> {
      const piece = this.#piece;
      this.#piece = [];
      const owner = this.#user.userId;
      this.#room ??= await this.#roomLeft();
      const rows = await read(this.#user, findTasks({ owner, ids: `{${piece.map(({ id }) => id).join(',')}}` }));
      const states = new Map(rows.map(([id, state]) => [id, state]));
      for (const { line, id } of piece) {
        const kind = this.#kindOf(id, states.get(id));
        this.#report.count(line, kind, limitMessage);
      }
    }

    #kindOf(id: string, state: string | null | undefined): OutcomeKind {
      if (state === 'live' || this.#made.has(id)) return 'exists';
      if (this.#made.size >= (this.#room ?? 0)) return 'limit';
      this.#made.add(id);
      return state === 'deleted' ? 'changed' : 'created';
    }

    async #roomLeft(): Promise<number> {
      if (maxTasksPerUser === 0) return Number.POSITIVE_INFINITY;
      const [[tasks = '0'] = []] = await read(this.#user, countTasks({ owner: this.#user.userId }));
      return maxTasksPerUser - Number(tasks);
    }
  }

  return {
    apply: async (user, plan, { isDryRun, onProgress, signal }) => {
      const report = new ReportBuilder();
      const listIdOf = await prepareLists(user, plan, isDryRun, report);
      const target = isDryRun ? new DryRun(user, report) : new Importer(user, report);
      for (let level = 0; level < plan.levels; level += 1) {
        for await (const entry of plan.read(plan.source())) {
          if (entry.kind === 'refused' && level === 0) report.refuse(entry.line, entry.message);
          if (entry.kind !== 'task') continue;
          const own = plan.levelOf(entry.id);
          if (own === null && level === 0)
            report.refuse(entry.line, 'parent_id: it is its own parent, or on a sixth level');
          if (own !== level) continue;
          const checked = toChecked(user, entry, listIdOf(entry.list));
          if (typeof checked === 'string') report.refuse(entry.line, checked);
          else if (await target.add(checked)) await onProgress(report.build());
          if (signal.aborted)
            throw new AppError('SERVICE_UNAVAILABLE', { cause: new Error('The service is stopping') });
        }
        await target.flush();
      }
      return report.build();
    },
  };
}
