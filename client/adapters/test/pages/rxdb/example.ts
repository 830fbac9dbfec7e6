// src/example.ts
import { newTask } from 'todo-api-client/adapters/rxdb';
import type { openTasks } from './tasks.ts';

export async function example({ tasks, replication }: Awaited<ReturnType<typeof openTasks>>): Promise<void> {
  await replication.awaitInitialReplication(); // everything is there, and from now on current
  const task = await tasks.insert(newTask({ title: 'Buy oat milk', due_date: '2026-11-23', tags: ['Shopping'] }));
  await task.incrementalPatch({ is_completed: true, tags: [...task.tags, 'done'] });
  await replication.awaitInSync(); // the service has it
  await task.getLatest().remove();
}
