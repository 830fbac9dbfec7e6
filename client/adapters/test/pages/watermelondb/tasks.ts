// src/tasks.ts
import { appSchema, Database, type DatabaseAdapter, Model, tableSchema } from '@nozbe/watermelondb';
import { date, field, json, readonly, text } from '@nozbe/watermelondb/decorators';
import { synchronize } from '@nozbe/watermelondb/sync';
import { setGenerator } from '@nozbe/watermelondb/utils/common/randomId';
import { TodoApiError, type TodoClient } from 'todo-api-client';
import { newTaskId, taskColumns, taskSync, toTags } from 'todo-api-client/adapters/watermelondb';

setGenerator(newTaskId);

export const schema = appSchema({
  version: 1,
  tables: [tableSchema({ name: 'tasks', columns: taskColumns })],
});

export class Task extends Model {
  static override readonly table = 'tasks';
  @text('title') declare title: string;
  @text('description') declare description: string | null;
  @field('is_completed') declare isCompleted: boolean;
  @field('list_id') declare listId: string | null;
  @field('parent_id') declare parentId: string | null;
  @field('position') declare position: string;
  @field('due_date') declare dueDate: string | null;
  @field('due_time') declare dueTime: string | null;
  @field('due_time_zone') declare dueTimeZone: string | null;
  @field('priority') declare priority: string;
  @json('tags', toTags) declare tags: readonly string[];
  @field('recurrence') declare recurrence: string | null;
  @field('recurrence_from') declare recurrenceFrom: string;
  @readonly @field('series_id') declare seriesId: string | null;
  @readonly @date('completed_at') declare completedAt: Date | null;
  @readonly @date('created_at') declare createdAt: Date;
  @readonly @date('updated_at') declare updatedAt: Date;
}

/** @param adapter of a database that is this user's alone. */
export function openTasks(client: TodoClient, adapter: DatabaseAdapter) {
  const database = new Database({ adapter, modelClasses: [Task] });
  const once = () => synchronize({ database, ...taskSync(client, database) });

  /** Once more if a task that is to be pushed was changed meanwhile. */
  async function sync(): Promise<void> {
    await once().catch((error: unknown) => {
      if (error instanceof TodoApiError && error.status === 412) return once();
      throw error;
    });
  }

  return { database, tasks: database.get<Task>('tasks'), sync };
}
