import { setImmediate as nextTurn } from 'node:timers/promises';
import { z } from 'zod';
import { AppError } from '../core/errors.ts';
import type { Principal } from '../core/user.ts';
import type { Database } from '../database/database.ts';
import type { ListEffects } from '../lists/list-effects.ts';
import { TaskCreate, TaskId } from '../tasks/task.ts';
import type { TaskEffects } from '../tasks/task-effects.ts';
import type { Writer } from '../writes/writer.ts';
import { ListDirectory, makeLists } from './import-lists.ts';
import type { ImportPlan } from './import-plan.ts';
import { type ImportReport, ReportBuilder } from './import-report.ts';
import { type Checked, DryRun, Importer } from './import-target.ts';
import type { TaskEntry } from './record.ts';

/** The first and last years are what programs write for none, and are no times of the database in every zone. */
const moment = z.iso
  .datetime({ offset: true })
  .refine((text) => !/^(000[01]|9999)/.test(text) && !/[.]\d{10}|[+-](1[5-9]|2)\d?:/.test(text));
/** What is no time is left out. */
const History = z.object({
  created_at: moment.nullish().catch(null),
  completed_at: moment.nullish().catch(null),
});

/** What checking records takes before others have their turn. */
const MAX_TURN_MS = 20;

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
  readonly lists: ListEffects;
  /** 0 is no limit. */
  readonly maxTasksPerUser: number;
}

export function createImportService(options: ImportServiceOptions): ImportService {
  const { database, writer, effects, lists, maxTasksPerUser } = options;
  const toChecked = ({ line, id, parentId, fields }: TaskEntry, listId: string | null): Checked | string => {
    // A subtask is in the list of its parent.
    const place = parentId === null ? (listId === null ? {} : { list_id: listId }) : { parent_id: parentId };
    const parsed = TaskCreate.safeParse({ ...fields, ...place });
    if (!parsed.success)
      return parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ');
    const { created_at: createdAt = null, completed_at: completedAt = null } = History.parse(fields);
    const taskId = TaskId.parse(id);
    return { line, id: taskId, task: parsed.data, history: { createdAt, completedAt } };
  };

  return {
    apply: async (user, plan, { isDryRun, onProgress, signal }) => {
      const report = new ReportBuilder();
      const directory = isDryRun
        ? new ListDirectory([])
        : await makeLists({ database, writer, effects: lists }, user, plan, report);
      const target = isDryRun
        ? new DryRun(user, report, database, maxTasksPerUser)
        : new Importer(user, report, { database, writer, effects, maxTasksPerUser });
      let turnAt = performance.now();
      for (let level = 0; level < plan.levels; level += 1) {
        for await (const entry of plan.read(plan.source())) {
          if (performance.now() - turnAt > MAX_TURN_MS) {
            await nextTurn();
            turnAt = performance.now();
          }
          if (entry.kind === 'refused' && level === 0) report.refuse(entry.line, entry.message);
          if (entry.kind !== 'task') continue;
          const own = plan.levelOf(entry.id);
          if (own === null && level === 0)
            report.refuse(entry.line, 'parent_id: it is its own parent, or on a sixth level');
          if (own !== level) continue;
          const checked = toChecked(entry, isDryRun ? null : directory.idOf(entry.list));
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
