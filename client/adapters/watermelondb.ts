import type { Changes, Operation, Task, TodoClient } from 'todo-api-client';
import { hasCode, inBatches, ofTasks } from './tasks.ts';

/** For WatermelonDB's `setGenerator`: the service's ids are UUIDs. */
export { uuidv7 as newTaskId } from 'todo-api-client';

type Raw = Readonly<Record<string, unknown>>;

interface TableChanges {
  readonly created: readonly Raw[];
  readonly updated: readonly Raw[];
  readonly deleted: readonly string[];
}

interface Pushed {
  readonly changes: Readonly<Record<string, TableChanges>>;
  readonly lastPulledAt: number;
}

/** Of WatermelonDB's `Database`: where it keeps what is not a record. */
interface LocalDatabase {
  readonly adapter: {
    getLocal(key: string): Promise<string | null | undefined>;
    setLocal(key: string, value: string): Promise<void>;
  };
}

const EPOCHS = 'todo_api_epochs';
const PAGE = 1000;

const recordOf = ({ id, title, description, is_completed, created_at, updated_at }: Task) => ({
  ...{ id, title, description, is_completed },
  ...{ created_at: Date.parse(created_at), updated_at: Date.parse(updated_at) },
});

const putOf = ({ id, title, description, is_completed }: Raw): Operation => ({
  ...{ op: 'put', id: String(id), title: String(title), is_completed: is_completed === true },
  description: typeof description === 'string' ? description : null,
});

/**
 * What `synchronize` needs to synchronize the table `tasks` with one user's tasks. A push is refused as a whole, with 412, if one of
 * its tasks was changed since the pull: call `synchronize` again. One of over 100 tasks or 200 KiB is sent in several batches, each
 * all or nothing: after a failure in between, the next synchronization finds what was done and sends the rest.
 */
export function taskSync(client: TodoClient, { adapter }: LocalDatabase) {
  /** The first page since a pull. @param lastPulledAt one more than the version, because it must not be 0. */
  async function since(lastPulledAt: number, epoch: string): Promise<Changes> {
    const path = `/api/changes?since=${lastPulledAt - 1}&epoch=${epoch}&limit=${PAGE}`;
    return (await client.http.send<Changes>({ method: 'GET', path })).body;
  }

  async function pullChanges({ lastPulledAt }: { readonly lastPulledAt?: number | null }) {
    const epochs: Readonly<Record<string, string>> = JSON.parse((await adapter.getLocal(EPOCHS)) ?? '{}');
    const epoch = lastPulledAt ? epochs[lastPulledAt] : undefined;
    const news =
      lastPulledAt && epoch !== undefined
        ? await since(lastPulledAt, epoch).catch((error: unknown) => {
            if (!hasCode(error, 'CURSOR_EXPIRED')) throw error;
          })
        : undefined;
    const found = new Map<string, Task | null>();
    let page = news ?? (await client.changes({ limit: PAGE }));
    for (;;) {
      for (const { id, deleted, task } of ofTasks(page.changes)) found.set(id, deleted ? null : task);
      if (!page.has_more) break;
      page = await client.changes({ cursor: page.cursor, limit: PAGE });
    }
    const timestamp = page.version + 1;
    // WatermelonDB stores the timestamp later: if it does not come to that, the former epoch is still known.
    const former = lastPulledAt && epoch !== undefined ? { [lastPulledAt]: epoch } : {};
    await adapter.setLocal(EPOCHS, JSON.stringify({ ...former, [timestamp]: page.epoch }));
    const updated = [...found.values()].flatMap((task) => (task === null ? [] : [recordOf(task)]));
    const deleted = [...found].flatMap(([id, task]) => (task === null ? [id] : []));
    const strategy = news === undefined ? { experimentalStrategy: 'replacement' as const } : {};
    return { changes: { tasks: { created: [], updated, deleted } }, timestamp, ...strategy };
  }

  async function pushChanges({ changes, lastPulledAt }: Pushed): Promise<void> {
    const { created = [], updated = [], deleted = [] } = changes.tasks ?? {};
    const deletions = deleted.map((id): Operation => ({ op: 'delete', id }));
    for (const operations of inBatches([...deletions, ...created.map(putOf), ...updated.map(putOf)], (one) => [one])) {
      await client.batch(operations, { atomic: true, ifUnchangedSince: lastPulledAt - 1 });
    }
  }

  return { pullChanges, pushChanges, sendCreatedAsUpdated: true };
}
