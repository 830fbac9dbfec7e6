// src/example.ts
import type { openTasks } from './tasks.ts';

export async function example({ database, tasks, sync }: ReturnType<typeof openTasks>): Promise<void> {
  await sync();
  const task = await database.write(() =>
    tasks.create((draft) => {
      draft.title = 'Buy oat milk';
    }),
  );
  await sync();
  await database.write(() =>
    task.update((draft) => {
      draft.isCompleted = true;
    }),
  );
  await database.write(() => task.markAsDeleted());
  await sync();
}
