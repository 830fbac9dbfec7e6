// src/example.ts
import type { openTasks } from './tasks.ts';

export async function example({ database, tasks, sync }: ReturnType<typeof openTasks>): Promise<void> {
  await sync();
  const task = await database.write(() =>
    tasks.create((draft) => {
      draft.title = 'Buy oat milk';
      draft.dueDate = '2026-11-23';
      draft.tags = ['Shopping'];
    }),
  );
  await sync();
  await database.write(() =>
    task.update((draft) => {
      draft.isCompleted = true;
      draft.tags = [...draft.tags, 'done'];
    }),
  );
  await database.write(() => task.markAsDeleted());
  await sync();
}
