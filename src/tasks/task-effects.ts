import { v7 as uuidv7 } from 'uuid';
import type { Clock } from '../core/clock.ts';
import type { Principal } from '../core/user.ts';
import type { BoundStatement } from '../database/sql.ts';
import type { Effect } from '../writes/effect.ts';
import { isAmongOthers, isPlaced } from './columns.ts';
import * as series from './completion-sql.ts';
import { type ImportedTask, importTask, importTasks } from './import-sql.ts';
import type { Expected } from './parts-sql.ts';
import * as remove from './remove-sql.ts';
import { withSuccession } from './succession.ts';
import type { TaskCreate, TaskId, TaskUpdate } from './task.ts';
import * as write from './write-sql.ts';

export interface TaskLimits {
  /** Of one user; 0 is no limit. */
  readonly maxTasksPerUser: number;
  /** For how long the content of a deleted task is kept; 0 is not at all. */
  readonly deletedTasksDays: number;
}

/** The person's day of a completion. */
interface CompletedOn {
  /** `YYYY-MM-DD`. */
  readonly completed_on?: string | undefined;
}

/** What can be done to the tasks of a user, alone or as one of several operations; the outcomes are in write-sql.ts. */
export interface TaskEffects {
  /** Under an id of the service's, unless there is one of the client's. */
  create(user: Principal, id: TaskId | null, task: TaskCreate): Effect;
  /** Whether it can be created without a look at other tasks. */
  isAlone(task: TaskCreate): boolean;
  /** Under ids of the service's, of tasks that are alone. */
  createMany(user: Principal, tasks: readonly TaskCreate[]): Effect;
  /** Made elsewhere. */
  import(user: Principal, imported: ImportedTask): Effect;
  /** Several made elsewhere, with different ids and `isApart`. */
  importMany(user: Principal, imported: readonly ImportedTask[]): Effect;
  /** Whether it can be created without a look at tasks other than the last one. */
  isApart(task: TaskCreate): boolean;
  put(user: Principal, id: TaskId, task: TaskCreate & CompletedOn, expected: Expected): Effect;
  update(user: Principal, id: TaskId, changes: TaskUpdate, expected: Expected): Effect;
  toggle(user: Principal, id: TaskId, completion: CompletedOn, expected: Expected): Effect;
  delete(user: Principal, id: TaskId, deletion: Omit<remove.Deletion, 'keepsContent'>, expected: Expected): Effect;
  restore(user: Principal, id: TaskId, expected: Expected): Effect;
  /** To be run after deletions: blanks the oldest deleted tasks if there are too many. */
  afterDeletions(user: Principal): readonly BoundStatement[];
}

/** @param clock says which day it is where a completion does not. */
export function taskEffects({ maxTasksPerUser: limit, deletedTasksDays }: TaskLimits, clock: Clock): TaskEffects {
  const keepsContent = deletedTasksDays > 0;
  const completionOf = (id: TaskId, { completed_on: completedOn }: CompletedOn) => ({ id, completedOn, limit, clock });
  return {
    // UUIDv7: newest first even within one microsecond, if one process created them.
    create: (user, id, task) =>
      id === null ? write.insertTask(user, uuidv7(), task, limit) : write.insertTaskAs(user.userId, id, task, limit),
    isAlone: (task) => !isPlaced(task),
    createMany: ({ userId }, tasks) =>
      write.insertTasks(
        userId,
        tasks.map(() => uuidv7()),
        tasks,
        limit,
      ),
    import: ({ userId }, { id, task, history }) => importTask(userId, id, task, history, limit),
    importMany: ({ userId }, imported) => importTasks(userId, imported, limit),
    isApart: (task) => !isAmongOthers(task),
    put: ({ userId }, id, task, expected) =>
      withSuccession(completionOf(id, task), write.putTask(userId, id, task, expected, limit), (succession) =>
        series.putInSeries(userId, id, task, expected, succession),
      ),
    update: ({ userId }, id, changes, expected) =>
      withSuccession(completionOf(id, changes), write.updateTask(userId, id, changes, expected), (succession) =>
        series.updateInSeries(userId, id, changes, expected, succession),
      ),
    toggle: ({ userId }, id, completion, expected) =>
      withSuccession(completionOf(id, completion), write.toggleTask(userId, id, expected), (succession) =>
        series.toggleInSeries(userId, id, expected, succession),
      ),
    delete: ({ userId }, id, deletion, expected) =>
      remove.deleteTask(userId, id, { ...deletion, keepsContent }, expected),
    restore: ({ userId }, id, expected) => remove.restoreTask(userId, id, expected, limit),
    afterDeletions: ({ userId }) => (limit > 0 ? [remove.blankOldestDeleted(userId, limit)] : []),
  };
}
