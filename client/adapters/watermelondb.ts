import { type Changes, type Operation, type Task, type TodoClient, writtenFields } from 'todo-api-client';
import { hasCode, inBatches, newTask, ofTasks, orphaned } from './tasks.ts';

/** For WatermelonDB's `setGenerator`: the service's ids are UUIDs. */
export { uuidv7 as newTaskId } from 'todo-api-client';

/** A record as WatermelonDB stores it. */
interface Raw {
  readonly id: string;
  readonly title?: string;
  /** `created` or `updated` since it was synchronized. */
  readonly _status?: string;
  /** The columns that were changed, separated by commas. */
  readonly _changed?: string;
}

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

const EMPTY = newTask({ title: '' });
/** Not stored: WatermelonDB has them itself, or they are the same in all. */
const OTHERS = ['id', 'user_id', 'deleted_at', 'version'];
const isTime = (name: string) => name.endsWith('_at');

/** The columns of the table `tasks`. Times are numbers, `tags` is JSON; WatermelonDB ignores what the table does not have. */
export const taskColumns = Object.entries(EMPTY)
  .filter(([name]) => !OTHERS.includes(name))
  .map(([name, value]) => {
    const type = isTime(name) ? 'number' : typeof value === 'boolean' ? 'boolean' : 'string';
    return { name, type, isOptional: value === null } as const;
  });

/** For WatermelonDB's decorator `json`. */
export const toTags = (parsed: unknown): readonly string[] =>
  Array.isArray(parsed) ? parsed.filter((tag) => typeof tag === 'string') : [];

function columnOf(name: string, value: unknown): unknown {
  if (Array.isArray(value)) return JSON.stringify(value);
  return isTime(name) && typeof value === 'string' ? Date.parse(value) : value;
}

const recordOf = (task: Task) =>
  Object.fromEntries(
    Object.entries(task)
      .filter(([name]) => name === 'id' || !OTHERS.includes(name))
      .map(([name, value]) => [name, columnOf(name, value)]),
  );

/** What users write of a record: an empty text is null, or was never set. */
function fieldsOf(raw: Raw) {
  const empty = new Map<string, unknown>(Object.entries(EMPTY));
  const given = Object.entries(raw).flatMap(([name, value]) => {
    if (value === '' && name !== 'title') return empty.get(name) === null ? [[name, null]] : [];
    return [[name, Array.isArray(empty.get(name)) ? JSON.parse(value) : value]];
  });
  const fields = Object.fromEntries(given);
  return writtenFields({ ...fields, ...orphaned(fields) });
}

/** Of a record that is there already only what was changed. */
function operationsOf(raw: Raw): readonly Operation[] {
  const { id, _status: status, _changed: changed = '' } = raw;
  const fields = fieldsOf(raw);
  if (status !== 'updated') return [{ op: 'put', id, title: '', ...fields }];
  const names = [...changed.split(','), ...Object.keys(orphaned(raw))];
  const news = Object.fromEntries(Object.entries(fields).filter(([name]) => names.includes(name)));
  return Object.keys(news).length === 0 ? [] : [{ op: 'update', id, ...news }];
}

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
    const writes = [...created, ...updated].flatMap(operationsOf);
    for (const operations of inBatches([...deletions, ...writes], (one) => [one])) {
      await client.batch(operations, { atomic: true, ifUnchangedSince: lastPulledAt - 1 });
    }
  }

  return { pullChanges, pushChanges, sendCreatedAsUpdated: true };
}
