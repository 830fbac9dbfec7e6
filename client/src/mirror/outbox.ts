import type { BatchResult, Task, TaskUpdate } from '../api-types.ts';
import { taskPath } from '../client.ts';
import type { TodoApiError } from '../errors.ts';
import { uuidv7 } from '../ids.ts';
import type { Operation } from '../operation.ts';
import { mergedUpdate } from '../task.ts';
import type { Contents } from './contents.ts';
import type { Flight, NewWrite, PendingWrite, Refusal, StorageChange } from './storage.ts';

const MAX_OPERATIONS = 100;
/** The service takes 256 KiB. */
const MAX_BYTES = 200 * 1024;

/** The version that a write expects; undefined: any. */
function expected(contents: Contents, { base, id }: PendingWrite): number | undefined {
  return base ?? contents.byId.get(id)?.own ?? undefined;
}

function operationOf(contents: Contents, write: PendingWrite): Operation {
  const { kind, id, fields } = write;
  const version = expected(contents, write);
  const guard = version === undefined ? {} : { if_version: version };
  if (kind === 'create') return { op: 'create', id, ...fields, title: fields.title ?? '' };
  if (kind === 'restore') return { op: 'restore', id };
  return { op: kind, id, ...guard, ...fields };
}

/** A write as a request of its own. */
function requestOf(contents: Contents, write: PendingWrite): Pick<Flight, 'method' | 'path' | 'body' | 'headers'> {
  const { kind, id, fields } = write;
  const path = taskPath(id);
  const version = expected(contents, write);
  const headers: Record<string, string> = version === undefined ? {} : { 'If-Match': `"${version}"` };
  const body = JSON.stringify(fields);
  if (kind === 'create') return { method: 'PUT', path, body, headers: { 'If-None-Match': '*' } };
  if (kind === 'update') return { method: 'PATCH', path, body, headers };
  if (kind === 'delete') return { method: 'DELETE', path, body: null, headers };
  return { method: 'POST', path: `${path}/restore`, body: null, headers: {} };
}

/**
 * The next request of the outbox, with at most one write of each task: several changes of one are merged, others wait
 * for the result of the first. Null if nothing can be sent.
 */
export function nextFlight(contents: Contents): { flight: Flight; change: StorageChange } | null {
  const chosen = new Map<string, PendingWrite>();
  const held = new Set<string>();
  const drop: number[] = [];
  const encoder = new TextEncoder();
  let bytes = 0;
  for (const write of contents.writes) {
    const { id, kind } = write;
    if (held.has(id)) continue;
    const first = chosen.get(id);
    const size = encoder.encode(JSON.stringify(write)).length;
    const isFull = bytes > 0 && (bytes + size > MAX_BYTES || (first === undefined && chosen.size === MAX_OPERATIONS));
    const merges = kind === 'update' && (first?.kind === 'create' || first?.kind === 'update');
    if (isFull) break;
    const merged = merges ? mergedUpdate(first.fields, write.fields, first.kind === 'create') : null;
    if (write.refusal !== null || (first !== undefined && merged === null)) {
      held.add(id);
      continue;
    }
    bytes += size;
    if (first !== undefined) drop.push(write.seq);
    chosen.set(id, { ...(first ?? write), fields: merged ?? write.fields });
  }
  const writes = [...chosen.values()];
  const [only, ...more] = writes;
  if (only === undefined) return null;
  const key = uuidv7();
  const seqs = writes.map(({ seq }) => seq);
  const operations = writes.map((write) => operationOf(contents, write));
  const request =
    more.length === 0
      ? requestOf(contents, only)
      : { method: 'POST', path: '/api/batch', body: JSON.stringify({ operations }), headers: {} };
  const flight = { ...request, headers: { ...request.headers, 'Idempotency-Key': key }, key, seqs };
  return { flight, change: { replace: drop.length === 0 ? [] : writes, drop, flight } };
}

/** Whether `task` has every value of `fields`. */
function holds(task: Task, fields: TaskUpdate): boolean {
  const values = new Map<string, unknown>(Object.entries(task));
  return Object.entries(fields).every(([name, value]) => JSON.stringify(values.get(name)) === JSON.stringify(value));
}

/** What became of one write; the code of an error may be one that this version does not know. */
export type OperationResult = Omit<BatchResult, 'code'> & { readonly code?: string };

/** The result of a write that was refused as a whole request. */
export const refusedResult = ({ status, code, message, details, current }: TodoApiError): OperationResult => ({
  status,
  code,
  error: message,
  details: [...details],
  ...(current === null ? {} : { current }),
});

/** Whether `error` answers the request for good, so that it is not sent again. */
export const isFinal = ({ status }: TodoApiError) => status >= 400 && status < 500 && ![401, 403, 429].includes(status);

const isLater = (status: number) => status >= 500 || [401, 403, 429].includes(status);

/** Whether the copy knows what became of `task` since, and does not have it: it was deleted. */
const wasTold = ({ byId, position }: Contents, { id, version }: Task) => !byId.has(id) && version <= position.version;

/**
 * What the results of a flight change.
 * @param gone versions of deletions by id, to which those of the flight are added; a task that is older is not put
 * back.
 * @param version the user's counter after the flight, or null.
 */
export function settled(
  contents: Contents,
  { seqs }: Flight,
  results: readonly OperationResult[],
  version: number | null,
  gone: Map<string, number>,
): StorageChange {
  const put = [];
  const remove = [];
  const drop = [];
  const replace = [];
  for (const [index, seq] of seqs.entries()) {
    const write = contents.writes.find((pending) => pending.seq === seq);
    const result = results[index];
    if (write === undefined || result === undefined || isLater(result.status)) continue;
    const { id, kind } = write;
    const stored = contents.byId.get(id);
    const { current } = result;
    const isThere = kind === 'create' && result.status === 412 && current !== undefined && holds(current, write.fields);
    const wasDone = result.status === 404 && (kind === 'delete' || (kind === 'restore' && stored !== undefined));
    const isDone = result.status < 300 || isThere || wasDone;
    const task = result.task ?? current;
    if (isDone && kind === 'delete') {
      // A newer state has been told before this answer: the task was restored since.
      const upTo = version ?? expected(contents, write) ?? Number.POSITIVE_INFINITY;
      if (stored === undefined || stored.task.version <= upTo) remove.push(id);
      if (version !== null) gone.set(id, version);
    } else if (task !== undefined && task.version > (gone.get(id) ?? -1) && !wasTold(contents, task)) {
      const newest = stored !== undefined && stored.task.version > task.version ? stored.task : task;
      const own = isDone ? task.version : (stored?.own ?? null);
      put.push({ id, task: newest, copy: contents.position.copy, own });
    }
    if (isDone) drop.push(seq);
    else replace.push({ ...write, refusal: refusalOf(result) });
  }
  return { put, remove, drop, replace, flight: null };
}

const refusalOf = ({ status, code, error, details, current }: OperationResult): Refusal => ({
  status,
  code: code ?? 'UNKNOWN',
  message: error ?? '',
  details: details ?? [],
  current: current ?? null,
});

/** `mine`: the write is made again on the task as it is now. `theirs`: it and later ones of the task are dropped. */
export type Decision = 'mine' | 'theirs' | { readonly fields: TaskUpdate };

/** What the application's decision about a refused write changes. */
export function decided(contents: Contents, seq: number, decision: Decision): StorageChange {
  const write = contents.writes.find((pending) => pending.seq === seq);
  if (write === undefined || write.refusal === null) return {};
  const { refusal, kind } = write;
  const later = contents.writes.filter((pending) => pending.id === write.id && pending.seq > seq);
  const all = [seq, ...later.map((pending) => pending.seq)];
  const isGone = refusal.status === 404 || refusal.code === 'CONFLICT';
  if (decision === 'theirs' || (isGone && kind === 'restore')) return { drop: all };
  const fields = decision === 'mine' ? write.fields : decision.fields;
  const again: PendingWrite = { ...write, fields, refusal: null };
  if (refusal.current !== null) {
    const next = kind === 'create' ? 'update' : kind;
    return { replace: [{ ...again, kind: next, base: refusal.current.version }] };
  }
  if (!isGone) return { replace: [again] };
  const last = later.at(-1);
  if (last?.kind === 'delete') return { drop: all };
  const both = (sum: TaskUpdate, { fields: next }: PendingWrite) =>
    mergedUpdate(sum, next, false) ?? { ...sum, ...next };
  const merged = later.reduce(both, fields);
  const update: NewWrite = { ...again, kind: 'update', fields: merged, base: null };
  return {
    replace: [{ ...again, kind: 'restore', fields: {}, base: null }],
    drop: all.slice(1),
    add: [withoutSeq(update)],
  };
}

const withoutSeq = ({ kind, id, fields, base, at, refusal }: NewWrite): NewWrite => ({
  kind,
  id,
  fields,
  base,
  at,
  refusal,
});
