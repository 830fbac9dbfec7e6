// src/tasks.ts
import { createRxDatabase, type RxCollection, type RxStorage } from 'rxdb';
import { replicateRxCollection } from 'rxdb/plugins/replication';
import { Observable } from 'rxjs';
import type { Task, TodoClient } from 'todo-api-client';
import { taskConflictHandler, taskReplication, taskSchema } from 'todo-api-client/adapters/rxdb';

/** @param name of the database: another for each user. */
export async function openTasks(client: TodoClient, name: string, storage: RxStorage<unknown, unknown>) {
  const database = await createRxDatabase<{ tasks: RxCollection<Task> }>({ name, storage });
  const { tasks } = await database.addCollections({
    tasks: { schema: taskSchema, conflictHandler: taskConflictHandler },
  });
  const replication = replicateRxCollection({
    replicationIdentifier: `todo-api ${client.http.origin}`,
    collection: tasks,
    ...taskReplication({ client, collection: tasks, Observable, onRefused: console.warn }),
  });
  return { database, tasks, replication };
}
