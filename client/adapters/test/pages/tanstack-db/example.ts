// src/example.ts
import { newTask } from 'todo-api-client/adapters/tanstack-db';
import type { openTasks } from './tasks.ts';

export async function example({ tasks, save }: ReturnType<typeof openTasks>): Promise<void> {
  await tasks.preload(); // everything is there, and from now on current
  const task = newTask({ title: 'Buy oat milk', due_date: '2026-11-23', tags: ['Shopping'] });
  await save(() => tasks.insert(task));
  await save(() => {
    tasks.update(task.id, (draft) => {
      draft.is_completed = true;
      draft.tags = [...draft.tags, 'done'];
    });
  });
  await save(() => tasks.delete(task.id));
}
