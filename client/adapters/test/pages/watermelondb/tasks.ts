// src/tasks.ts
import { appSchema, Database, type DatabaseAdapter, Model, tableSchema } from '@nozbe/watermelondb';
import { date, field, readonly, text } from '@nozbe/watermelondb/decorators';
import { synchronize } from '@nozbe/watermelondb/sync';
import { setGenerator } from '@nozbe/watermelondb/utils/common/randomId';
import { TodoApiError, type TodoClient } from 'todo-api-client';
import { newTaskId, taskSync } from 'todo-api-client/adapters/watermelondb';

setGenerator(newTaskId);

export const schema = appSchema({
  version: 1,
  tables: [
    tableSchema({
      name: 'tasks',
      columns: [
        { name: 'title', type: 'string' },
        { name: 'description', type: 'string', isOptional: true },
        { name: 'is_completed', type: 'boolean' },
        { name: 'created_at', type: 'number' },
        { name: 'updated_at', type: 'number' },
      ],
    }),
  ],
});

export class Task extends Model {
  static override readonly table = 'tasks';
  @text('title') declare title: string;
  @text('description') declare description: string | null;
  @field('is_completed') declare isCompleted: boolean;
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
