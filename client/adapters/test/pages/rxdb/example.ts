// src/example.ts
import { newTask } from 'todo-api-client/adapters/rxdb';
import type { openTasks } from './tasks.ts';

export async function example({ tasks, replication }: Awaited<ReturnType<typeof openTasks>>): Promise<void> {
  await replication.awaitInitialReplication(); // everything is there, and from now on current
  const task = await tasks.insert(newTask({ title: 'Buy oat milk' }));
  await task.incrementalPatch({ is_completed: true });
  await replication.awaitInSync(); // the service has it
  await task.getLatest().remove();
}
