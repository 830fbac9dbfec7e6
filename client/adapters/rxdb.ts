import {
  type Arrival,
  type BatchResult,
  changes,
  type Operation,
  type Task,
  type TaskUpdate,
  type TodoClient,
  writtenFields,
} from 'todo-api-client';
import { follow } from './follow.ts';
import { hasCode, inBatches, newTask, ofTasks, orphaned, type TaskChange } from './tasks.ts';

export { newTask } from './tasks.ts';

/** A task as RxDB replicates it. */
export type TaskDocument = Task & { readonly _deleted: boolean };

export interface TaskCheckpoint {
  readonly cursor: string;
}

interface Row {
  readonly newDocumentState: TaskDocument;
  readonly assumedMasterState?: TaskDocument;
}

interface Master {
  readonly realMasterState: TaskDocument;
}

type StreamItem = 'RESYNC' | { documents: TaskDocument[]; checkpoint: TaskCheckpoint };

interface Subscriber {
  next(item: StreamItem): void;
}

export interface TaskReplicationOptions<Stream> {
  readonly client: TodoClient;
  /** The collection that is replicated. */
  readonly collection: { find(): { exec(): Promise<readonly { toJSON(): Task }[]> } };
  /** That of `rxjs`. */
  readonly Observable: new (
    subscribe: (subscriber: Subscriber) => () => void,
  ) => Stream;
  /** Told of a write that the service refuses for good (400, 409), after which the document is again as it is there. */
  readonly onRefused?: (task: Task, refusal: BatchResult) => void;
  /** Told of what keeps changes from arriving, before the next attempt. */
  readonly onError?: (error: unknown) => void;
}

const text = { type: 'string' } as const;

function propertyOf(value: unknown) {
  if (Array.isArray(value)) return { type: 'array', items: text } as const;
  if (value === null) return { type: ['string', 'null'] } as const;
  return { type: typeof value === 'boolean' ? 'boolean' : typeof value === 'number' ? 'integer' : 'string' } as const;
}

const EMPTY = newTask({ title: '' });

/** The schema of the collection. */
export const taskSchema = {
  version: 0,
  primaryKey: 'id',
  type: 'object',
  properties: {
    ...Object.fromEntries(Object.entries(EMPTY).map(([name, value]) => [name, propertyOf(value)])),
    id: { type: 'string', maxLength: 36 },
    title: { type: 'string', maxLength: 200 },
    description: { type: ['string', 'null'], maxLength: 2000 },
    position: { type: 'string', maxLength: 64 },
  },
  required: ['id', 'title', 'description', 'is_completed', 'version'],
} as const;

/** @returns what the schema has of it: a newer service may know of more. */
const known = (task: Task): Task => ({
  ...EMPTY,
  ...Object.fromEntries(Object.entries(task).filter(([name]) => Object.hasOwn(EMPTY, name))),
});

/** What a user may change, each value as JSON. */
const valuesOf = (task: Task) =>
  new Map(Object.entries(writtenFields(task)).map(([name, value]) => [name, JSON.stringify(value)]));

/** @returns the fields of `task` that `base` does not have so. */
function changedFields(task: Task, base: Task | undefined): TaskUpdate {
  const before = base === undefined ? new Map<string, string>() : valuesOf(base);
  const changed = [...valuesOf(task)].filter(([name, value]) => before.get(name) !== value);
  return Object.fromEntries(changed.map(([name, value]) => [name, JSON.parse(value)]));
}

/** Whether `task` has every value of `fields`. */
const holds = (task: Task, fields: Task) => Object.keys(changedFields(fields, task)).length === 0;

const deletedDocument = (task: Task): TaskDocument => ({ ...task, _deleted: true });

/** RxDB's conflict handler: what was changed here is put on what the service has. Of a deletion the service's side is kept. */
export const taskConflictHandler = {
  isEqual: (a: TaskDocument, b: TaskDocument): boolean =>
    a.version === b.version && a._deleted === b._deleted && holds(a, b) && holds(b, a),

  async resolve({ newDocumentState: ours, assumedMasterState: base, realMasterState: theirs }: Row & Master) {
    // Of the same version only if the service refused the write.
    if (ours._deleted || theirs._deleted || theirs.version === base?.version) return theirs;
    const merged = { ...theirs, ...changedFields(ours, base) };
    return { ...merged, ...orphaned(merged) };
  },
};

/** A row to be pushed, and the version that it is to be based on. */
interface Push {
  readonly row: Row;
  readonly version: number | undefined;
}

function operationsOf({ row: { newDocumentState: task, assumedMasterState: base }, version }: Push): Operation[] {
  const { id } = task;
  const guard = version === undefined ? {} : { if_version: version };
  if (task._deleted) return [{ op: 'delete', id, ...guard }];
  if (base === undefined) return [{ op: 'create', id, title: '', ...writtenFields(task) }];
  if (!base._deleted) return [{ op: 'update', id, ...guard, title: task.title, ...changedFields(task, base) }];
  return [
    { op: 'restore', id },
    { op: 'update', id, ...writtenFields(task) },
  ];
}

/** What `replicateRxCollection` needs to replicate a collection with the schema `taskSchema` and one user's tasks. */
export function taskReplication<Stream>(options: TaskReplicationOptions<Stream>) {
  const { client, collection, Observable, onRefused = () => {}, onError = () => {} } = options;
  let reached = (_cursor: string): void => {};
  /** What was written and has not come back yet: an older state that arrives meanwhile must not be taken for news. */
  const written = new Map<string, TaskDocument>();
  let pushing: Promise<unknown> = Promise.resolve();

  /** RxDB wants whole documents, of a task whose content is gone too. */
  function documentOf({ id, version, deleted, task }: TaskChange): TaskDocument {
    const own = written.get(id);
    if (own !== undefined && own.version > version) return own;
    written.delete(id);
    return { ...(task === null ? { ...EMPTY, id, version } : known(task)), _deleted: deleted };
  }

  /** A checkpoint cannot be reset: everything that is there, and deletions of what is here alone. */
  async function copy() {
    const here = await collection.find().exec();
    const documents = new Map<string, TaskDocument>();
    let cursor = '';
    written.clear();
    for await (const page of changes(client, { limit: 1000 })) {
      for (const change of ofTasks(page.changes)) documents.set(change.id, documentOf(change));
      cursor = page.cursor;
    }
    const gone = here.map((document) => document.toJSON()).filter(({ id }) => !documents.has(id));
    reached(cursor);
    return { documents: [...documents.values(), ...gone.map(deletedDocument)], checkpoint: { cursor } };
  }

  async function pull(checkpoint: TaskCheckpoint | undefined, limit: number) {
    try {
      // RxDB takes fewer documents than it asked for as the last ones, and a page may have changes of lists.
      const documents: TaskDocument[] = [];
      let cursor = checkpoint?.cursor ?? null;
      for (;;) {
        const page = await client.changes({ cursor, limit });
        documents.push(...ofTasks(page.changes).map(documentOf));
        cursor = page.cursor;
        if (!page.has_more) reached(cursor);
        if (!page.has_more || documents.length >= limit) return { documents, checkpoint: { cursor } };
      }
    } catch (error) {
      if (hasCode(error, 'CURSOR_EXPIRED')) return copy();
      throw error;
    }
  }

  /** @returns the task as it is at the service if that is a conflict, and what is to be pushed again. */
  function settle({ row }: Push, result: BatchResult): { conflict?: TaskDocument; again?: Push } {
    const { newDocumentState: task, assumedMasterState: base } = row;
    const { status, code, current } = result;
    if (status < 300) return {};
    if (current !== undefined && 'title' in current) {
      if (!task._deleted && holds(current, task)) return {};
      // Only the version is another: after a write of our own that has not come back yet.
      const isOwn = task._deleted && written.get(task.id)?.version === current.version;
      if (isOwn || (base !== undefined && holds(current, base))) return { again: { row, version: current.version } };
      return { conflict: { ...known(current), _deleted: false } };
    }
    if (status === 404 || code === 'CONFLICT') return { conflict: deletedDocument(base ?? task) };
    onRefused(task, result);
    return { conflict: base ?? deletedDocument(task) };
  }

  async function push(rows: readonly Row[]): Promise<TaskDocument[]> {
    const conflicts: TaskDocument[] = [];
    let waiting = rows.map((row): Push => ({ row, version: row.assumedMasterState?.version }));
    while (waiting.length > 0) {
      const again: Push[] = [];
      for (const part of inBatches(waiting, operationsOf)) {
        const { results, version } = await client.batch(part.flatMap(operationsOf));
        let next = 0;
        for (const one of part) {
          next += operationsOf(one).length;
          const result = results[next - 1];
          if (result === undefined) throw new Error('The service did not answer every operation');
          if (result.status < 300) {
            const task = result.task === undefined ? { ...one.row.newDocumentState, version } : known(result.task);
            written.set(task.id, { ...task, _deleted: result.task === undefined });
          }
          const { conflict, again: retry } = settle(one, result);
          if (conflict !== undefined) conflicts.push(conflict);
          if (retry !== undefined) again.push(retry);
        }
      }
      waiting = again;
    }
    return conflicts;
  }

  function handlePush(rows: readonly Row[]): Promise<TaskDocument[]> {
    const pushed = push(rows);
    pushing = Promise.allSettled([pushing, pushed]);
    return pushed;
  }

  const stream$ = new Observable((subscriber) => {
    const end = new AbortController();
    const resync = () =>
      new Promise<string>((resolve) => {
        reached = resolve;
        subscriber.next('RESYNC');
      });
    const take = async ({ changes, cursor }: Arrival) => {
      await pushing;
      const arrived = ofTasks(changes);
      if (arrived.length > 0) subscriber.next({ documents: arrived.map(documentOf), checkpoint: { cursor } });
    };
    void follow(client, { signal: end.signal, copy: resync, take, onError });
    return () => end.abort();
  });

  return { pull: { handler: pull, batchSize: 500, stream$ }, push: { handler: handlePush, batchSize: 100 } };
}
