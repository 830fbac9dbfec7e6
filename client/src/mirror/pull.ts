import type { Change } from '../api-types.ts';
import { changes } from '../changes.ts';
import type { TodoClient } from '../client.ts';
import { type Arrival, events } from '../events.ts';
import type { Contents } from './contents.ts';
import type { LocalCopy } from './local-copy.ts';
import { BEGINNING, keyOf, type Position, type StorageChange, type StoredItem } from './storage.ts';

const PAGE = 1000;

/** What `changes` of the service change here, and that the copy now stands at `position`. */
function received(
  { byKey }: Contents,
  changes: readonly Change[],
  position: Position,
  gone: Map<string, number>,
): StorageChange & { put: StoredItem[]; remove: string[] } {
  const put: StoredItem[] = [];
  const remove: string[] = [];
  for (const change of changes) {
    const { version, deleted } = change;
    const item = change.type === 'list' ? change.list : change.type === 'task' ? change.task : undefined;
    if (item === undefined) continue; // of a type that this version does not know
    const key = keyOf(change);
    const stored = byKey.get(key);
    // Versions of a former copy prove nothing: the database may be an older one, restored.
    const isOld = stored?.copy === position.copy && stored.item.version >= version;
    if (isOld || version <= (gone.get(key) ?? -1)) continue;
    if (deleted || item === null) {
      remove.push(key);
      gone.set(key, version);
    } else put.push({ key, item, copy: position.copy, own: stored?.own ?? null });
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
      const kept = new Set(change.put.map(({ key }) => key));
      const former = contents.items.filter((stored) => stored.copy !== position.copy && !kept.has(stored.key));
      return { ...change, remove: [...change.remove, ...former.map(({ key }) => key)] };
    });
  }
}

/** Begins a new copy. What is here stays until it is complete, the writes that are pending in any case. */
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
