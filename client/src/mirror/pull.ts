import type { Change } from '../api-types.ts';
import { changes } from '../changes.ts';
import type { TodoClient } from '../client.ts';
import { type Arrival, events } from '../events.ts';
import type { Contents } from './contents.ts';
import type { LocalCopy } from './local-copy.ts';
import { BEGINNING, type Position, type StorageChange, type StoredTask } from './storage.ts';

const PAGE = 1000;

/** What `changes` of the service change here, and that the copy now stands at `position`. */
function received(
  { byId }: Contents,
  changes: readonly Change[],
  position: Position,
  gone: Map<string, number>,
): StorageChange & { put: StoredTask[]; remove: string[] } {
  const put: StoredTask[] = [];
  const remove: string[] = [];
  for (const { id, version, deleted, task } of changes) {
    const stored = byId.get(id);
    // Versions of a former copy prove nothing: the database may be an older one, restored.
    const isOld = stored?.copy === position.copy && stored.task.version >= version;
    if (isOld || version <= (gone.get(id) ?? -1)) continue;
    if (deleted || task === null) {
      remove.push(id);
      gone.set(id, version);
    } else put.push({ id, task, copy: position.copy, own: stored?.own ?? null });
  }
  return { put, remove, position };
}

const after = (position: Position, { cursor, changes: told }: Arrival): Position => ({
  ...position,
  cursor,
  version: told.at(-1)?.version ?? position.version,
});

/** Makes the copy, or goes on with it where it was interrupted. */
async function copy(client: TodoClient, local: LocalCopy, gone: Map<string, number>, signal: AbortSignal) {
  const { cursor } = local.contents.position;
  for await (const page of changes(client, { cursor, limit: PAGE, signal })) {
    await local.commit((contents) => {
      const { cursor, version, has_more: copying } = page;
      const position = { ...contents.position, cursor, version, copying };
      const change = received(contents, page.changes, position, gone);
      if (page.has_more) return change;
      const kept = new Set(change.put.map(({ id }) => id));
      const former = contents.tasks.filter((stored) => stored.copy !== position.copy && !kept.has(stored.id));
      return { ...change, remove: [...change.remove, ...former.map(({ id }) => id)] };
    });
  }
}

/** Begins a new copy. The tasks stay until it is complete, the writes that are pending in any case. */
export async function startAgain(local: LocalCopy, gone: Map<string, number>): Promise<void> {
  gone.clear();
  await local.commit(({ position }) => ({ position: { ...BEGINNING, copy: position.copy + 1 } }));
}

/**
 * Makes the copy and keeps it current until `signal` is aborted.
 * @throws {TodoApiError} of the copy; 410, upon which to start again; what `events` throws.
 */
export async function pull(
  {
    client,
    local,
    gone,
    signal,
  }: { client: TodoClient; local: LocalCopy; gone: Map<string, number>; signal: AbortSignal },
  onSynced: () => void,
  onError: (error: unknown) => void,
): Promise<void> {
  if (local.contents.position.copying) await copy(client, local, gone, signal);
  const { cursor } = local.contents.position;
  for await (const arrival of events(client, { cursor, signal, onError })) {
    if (arrival.changes.length > 0 || arrival.cursor !== local.contents.position.cursor) {
      await local.commit((contents) => received(contents, arrival.changes, after(contents.position, arrival), gone));
    }
    if (arrival.synced) onSynced();
  }
}
