import { v7 as uuidv7 } from 'uuid';
import { AppError } from '../core/errors.ts';
import type { Principal } from '../core/user.ts';
import type { Database } from '../database/database.ts';
import type { NewTask, TaskChange, TaskId } from './task.ts';
import { deleteTask, getTask, insertTask, listTasks, toggleTask, updateTask } from './task-sql.ts';

/**
 * The use cases: what a user may do with their tasks, whatever door they come through. Tasks and lists are given as the
 * JSON text that the database built (schemas `Task` and `TaskList`), which doors hand on unread.
 */
export interface TaskService {
  /** The user's newest tasks, newest first, at most 1000. */
  list(user: Principal): Promise<string>;
  /** @throws {AppError} `NOT_FOUND` when this user has no such task; so do the others that take an id. */
  get(user: Principal, id: TaskId): Promise<string>;
  /** Creates a task, and the user's row with it where that is missing. */
  create(user: Principal, task: NewTask): Promise<{ readonly id: string; readonly task: string }>;
  /** Changes what is given and nothing else. */
  update(user: Principal, id: TaskId, change: TaskChange): Promise<string>;
  /** Flips `is_completed`; of toggles at the same time none is lost. */
  toggle(user: Principal, id: TaskId): Promise<string>;
  /** @returns the id of the task that is gone. */
  delete(user: Principal, id: TaskId): Promise<string>;
}

function found(answer: string | null): string {
  if (answer === null) throw new AppError('NOT_FOUND');
  return answer;
}

export function createTaskService(database: Database): TaskService {
  return {
    list: async (user) => found(await listTasks(database, user.userId)),
    get: async (user, id) => found(await getTask(database, user.userId, id)),
    create: async (user, task) => {
      const id = uuidv7(); // ordered by time, so that tasks made in one instant list in the order they were made
      return { id, task: found(await insertTask(database, user, id, task)) };
    },
    update: async (user, id, change) => found(await updateTask(database, user.userId, id, change)),
    toggle: async (user, id) => found(await toggleTask(database, user.userId, id)),
    delete: async (user, id) => found(await deleteTask(database, user.userId, id)),
  };
}
