import { changes, type Operation, type Task, TodoApiError, type TodoClient, writtenFields } from 'todo-api-client';
import { follow, pauseAfter } from './follow.ts';
import { inBatches, ofTasks, type TaskChange } from './tasks.ts';

export { newTask } from './tasks.ts';

/** What `@tanstack/db` gives to a collection's `sync`. */
interface Sync {
  readonly begin: () => void;
  readonly write: (message: { type: 'update'; value: Task } | { type: 'delete'; key: string }) => void;
  readonly commit: () => unknown;
  readonly truncate: () => void;
  readonly markReady: () => void;
}

interface Mutation {
  readonly type: 'insert' | 'update' | 'delete';
  readonly key: unknown;
  readonly modified: Partial<Task>;
  readonly changes: Partial<Task>;
}

interface Write {
  readonly transaction: { readonly id: string; readonly mutations: readonly Mutation[] };
}

export interface TaskCollectionOptions {
  /** `NonRetriableError` of `@tanstack/offline-transactions`: thrown for a write that the service refuses for good. */
  readonly NonRetriableError?: new (
    message: string,
  ) => Error;
  /** Ends everything, also a write that waits for a token. */
  readonly signal?: AbortSignal;
  /** Told of what keeps changes from arriving, or a write from being sent, before the next attempt. */
  readonly onError?: (error: unknown) => void;
}

/** Of an update only what it changes, so that it leaves alone what others changed meanwhile. */
function operationOf({ type, key, modified, changes }: Mutation): readonly Operation[] {
  const id = String(key);
  if (type === 'delete') return [{ op: 'delete', id }];
  if (type === 'insert') return [{ op: 'create', id, title: '', ...writtenFields(modified) }];
  const fields = writtenFields(changes);
  return Object.keys(fields).length === 0 ? [] : [{ op: 'update', id, ...fields }];
}

const needsToken = (error: unknown) =>
  error instanceof TodoApiError && (error.status === 401 || ['TOKEN', 'USER_CHANGED'].includes(error.code));

const isRefused = (error: unknown): error is TodoApiError =>
  error instanceof TodoApiError && error.code !== 'UNKNOWN' && [400, 404, 409, 412, 413, 422].includes(error.status);

/**
 * The options of a `@tanstack/db` collection that holds the user's tasks and follows their changes, and `write`, which sends its
 * transactions, for the `mutationFns` of `startOfflineExecutor`. Idempotency keys come from the transaction's id. A transaction is
 * one batch, all or nothing; one of over 100 tasks or 200 KiB is several.
 */
export function taskCollection(client: TodoClient, options: TaskCollectionOptions = {}) {
  const { NonRetriableError = Error, signal = new AbortController().signal, onError = () => {} } = options;
  /** The newest version of each task that was applied, deleted ones too. */
  const versions = new Map<string, number>();
  let sync: Sync | null = null;

  function apply(arrived: readonly TaskChange[], isCopy = false): void {
    if (sync === null) return;
    sync.begin();
    if (isCopy) {
      versions.clear();
      sync.truncate();
    }
    for (const { id, version, deleted, task } of arrived) {
      if (version <= (versions.get(id) ?? -1)) continue;
      versions.set(id, version);
      if (deleted || task === null) sync.write({ type: 'delete', key: id });
      else sync.write({ type: 'update', value: task });
    }
    sync.commit();
  }

  async function copy(ended: AbortSignal): Promise<string> {
    const arrived: TaskChange[] = [];
    let cursor = '';
    for await (const page of changes(client, { limit: 1000, signal: ended })) {
      arrived.push(...ofTasks(page.changes));
      cursor = page.cursor;
    }
    apply(arrived, true);
    sync?.markReady();
    return cursor;
  }

  async function send(operations: readonly Operation[], key: string): Promise<void> {
    for (let failures = 0; !signal.aborted; failures += 1) {
      try {
        const { results, version } = await client.batch(operations, { atomic: true, key, signal });
        // Before the transaction ends: what it showed is replaced by what the service has.
        const written = operations.map(({ id = '' }, at): TaskChange => {
          const task = results[at]?.task ?? null;
          return { id, version: task?.version ?? version, deleted: task === null, task };
        });
        return apply(written);
      } catch (error) {
        if (isRefused(error)) throw Object.assign(new NonRetriableError(error.message), { cause: error });
        // The outbox drops what it takes for final, by status codes in the text: no text of others is passed on.
        if (!needsToken(error)) throw new Error('The service cannot be reached', { cause: error });
        onError(error);
        await pauseAfter(client, failures, signal);
      }
    }
    throw new Error('The application has ended');
  }

  async function write({ transaction }: Write): Promise<void> {
    const batches = inBatches(transaction.mutations.flatMap(operationOf), (operation) => [operation]);
    for (const [index, operations] of batches.entries()) await send(operations, `${transaction.id}.${index}`);
  }

  const collection = {
    getKey: ({ id }: Task) => id,
    onInsert: write,
    onUpdate: write,
    onDelete: write,
    sync: {
      rowUpdateMode: 'full' as const,
      sync: (started: Sync) => {
        sync = started;
        const end = new AbortController();
        const stop = () => end.abort();
        signal.addEventListener('abort', stop);
        void follow(client, {
          signal: end.signal,
          copy: () => copy(end.signal),
          take: ({ changes: arrived }) => apply(ofTasks(arrived)),
          onError,
        });
        return () => {
          signal.removeEventListener('abort', stop);
          stop();
        };
      },
    },
  };
  return { collection, write };
}
