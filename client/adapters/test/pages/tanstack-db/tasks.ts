// src/tasks.ts
import { createCollection } from '@tanstack/db';
import { NonRetriableError, type OfflineConfig, startOfflineExecutor } from '@tanstack/offline-transactions';
import type { TodoClient } from 'todo-api-client';
import { taskCollection } from 'todo-api-client/adapters/tanstack-db';

/** @param options of the executor, such as another storage. */
export function openTasks(client: TodoClient, options: Partial<OfflineConfig> = {}) {
  const { collection, write } = taskCollection(client, { NonRetriableError });
  const tasks = createCollection(collection);
  const outbox = startOfflineExecutor({ collections: { tasks }, mutationFns: { write }, ...options });

  /** Shows at once what `change` does. Resolves when the service has it, rejects if it refuses. */
  async function save(change: () => void): Promise<void> {
    await outbox.waitForInit();
    const transaction = outbox.createOfflineTransaction({ mutationFnName: 'write', autoCommit: false });
    transaction.mutate(change);
    await transaction.commit();
  }

  return { tasks, outbox, save };
}
