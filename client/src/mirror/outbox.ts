import type { BatchResult, List, Task } from '../api-types.ts';
import { listPath, query, taskPath } from '../client.ts';
import type { TodoApiError } from '../errors.ts';
import { uuidv7 } from '../ids.ts';
import type { Operation } from '../operation.ts';
import { mergedUpdate } from '../task.ts';
import type { Contents } from './contents.ts';
import {
  type Fields,
  type Flight,
  keyOf,
  type NewWrite,
  type PendingWrite,
  type Refusal,
  type StorageChange,
} from './storage.ts';

const MAX_OPERATIONS = 100;
/** The service takes 256 KiB. */
const MAX_BYTES = 200 * 1024;

/** The version that a write expects; undefined: any. */
function expected(contents: Contents, write: PendingWrite): number | undefined {
  return write.base ?? contents.byKey.get(keyOf(write))?.own ?? undefined;
}

function operationOf(contents: Contents, write: PendingWrite): Operation {
  const { type, kind, id, fields } = write;
  const version = expected(contents, write);
  const guard = version === undefined ? {} : { if_version: version };
  if (type === 'list') {
    if (kind === 'create') return { op: 'create', type, id, ...fields, name: fields.name ?? '' };
    if (kind === 'delete') return { op: kind, type, id, ...guard, ...fields };
    return { op: 'update', type, id, ...guard, ...fields };
  }
  if (kind === 'create') return { op: 'create', id, ...fields, title: fields.title ?? '' };
  if (kind === 'restore') return { op: kind, id };
  if (kind === 'delete') return { op: kind, id, ...guard };
  return { op: kind, id, ...guard, ...fields };
}

/** A write as a request of its own. */
function requestOf(contents: Contents, write: PendingWrite): Pick<Flight, 'method' | 'path' | 'body' | 'headers'> {
  const { type, kind, id, fields } = write;
  const path = type === 'list' ? listPath(id) : taskPath(id);
  const version = expected(contents, write);
  const headers: Record<string, string> = version === undefined ? {} : { 'If-Match': `"${version}"` };
  const body = JSON.stringify(fields);
  if (kind === 'create') return { method: 'PUT', path, body, headers: { 'If-None-Match': '*' } };
  if (kind === 'update') return { method: 'PATCH', path, body, headers };
  if (kind === 'delete') return { method: 'DELETE', path: path + query({ tasks: fields.tasks }), body: null, headers };
  return { method: 'POST', path: `${path}/restore`, body: null, headers: {} };
}

/**
 * The next request of the outbox, with at most one write of each task or list: several changes of one are merged, others wait
 * for the result of the first. Null if nothing can be sent.
 */
export function nextFlight(contents: Contents): { flight: Flight; change: StorageChange } | null {
  const chosen = new Map<string, PendingWrite>();
  const held = new Set<string>();
  const drop: number[] = [];
  const encoder = new TextEncoder();
  let bytes = 0;
  for (const write of contents.writes) {
    const { kind } = write;
    const key = keyOf(write);
    if (held.has(key)) continue;
    const first = chosen.get(key);
    const size = encoder.encode(JSON.stringify(write)).length;
    const isFull = bytes > 0 && (bytes + size > MAX_BYTES || (first === undefined && chosen.size === MAX_OPERATIONS));
    // The successor of a recurring task comes of a completion, not of a task that is created completed.
    const completes = write.fields.completed_on !== undefined;
    const merges = kind === 'update' && ((first?.kind === 'create' && !completes) || first?.kind === 'update');
    if (isFull) break;
    const merged = merges ? mergedUpdate(first.fields, write.fields, first.kind === 'create') : null;
    if (write.refusal !== null || (first !== undefined && merged === null)) {
      held.add(key);
      continue;
    }
    bytes += size;
    if (first !== undefined) drop.push(write.seq);
    chosen.set(key, { ...(first ?? write), fields: merged ?? write.fields });
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

/** Whether `item` has every value of `fields`. */
function holds(item: Task | List, fields: Fields): boolean {
  const values = new Map<string, unknown>(Object.entries(item));
  return Object.entries(fields).every(([name, value]) => JSON.stringify(values.get(name)) === JSON.stringify(value));
}

/** What became of one write; the code of an error may be one that this version does not know. */
export type OperationResult = Omit<BatchResult, 'code'> & { readonly code?: string; readonly item?: Task | List };

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

/** Whether the copy knows what became since of what had `version`, and does not have it: it was deleted. */
const wasTold = ({ byKey, position }: Contents, key: string, version: number) =>
  !byKey.has(key) && version <= position.version;

/**
 * What the results of a flight change.
 * @param gone versions of deletions by key, to which those of the flight are added; what is older is not put back.
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
    const { kind } = write;
    const key = keyOf(write);
    const stored = contents.byKey.get(key);
    const { current } = result;
    const isThere = kind === 'create' && result.status === 412 && current !== undefined && holds(current, write.fields);
    const wasDone = result.status === 404 && (kind === 'delete' || (kind === 'restore' && stored !== undefined));
    const isDone = result.status < 300 || isThere || wasDone;
    const item = result.item ?? result.task ?? result.list ?? current;
    if (isDone && kind === 'delete') {
      // A newer state has been told before this answer: the task was restored since.
      const upTo = version ?? expected(contents, write) ?? Number.POSITIVE_INFINITY;
      if (stored === undefined || stored.item.version <= upTo) remove.push(key);
      if (version !== null) gone.set(key, version);
    } else if (item !== undefined && item.version > (gone.get(key) ?? -1) && !wasTold(contents, key, item.version)) {
      const newest = stored !== undefined && stored.item.version > item.version ? stored.item : item;
      const own = isDone ? item.version : (stored?.own ?? null);
      put.push({ key, item: newest, copy: contents.position.copy, own });
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

/**
 * `mine`: the write is made again on the task or list as it is now. `theirs`: it and later ones
 * of that are dropped. A list that is gone does not come back.
 */
export type Decision = 'mine' | 'theirs' | { readonly fields: Fields };

/** What the application's decision about a refused write changes. */
export function decided(contents: Contents, seq: number, decision: Decision): StorageChange {
  const write = contents.writes.find((pending) => pending.seq === seq);
  if (write === undefined || write.refusal === null) return {};
  const { refusal, kind, type } = write;
  const later = contents.writes.filter((pending) => keyOf(pending) === keyOf(write) && pending.seq > seq);
  const all = [seq, ...later.map((pending) => pending.seq)];
  const isGone = refusal.status === 404 || refusal.code === 'CONFLICT';
  if (decision === 'theirs' || (isGone && (kind === 'restore' || type === 'list'))) return { drop: all };
  const fields = decision === 'mine' ? write.fields : decision.fields;
  const again: PendingWrite = { ...write, fields, refusal: null };
  if (refusal.current !== null) {
    const next = kind === 'create' ? 'update' : kind;
    return { replace: [{ ...again, kind: next, base: refusal.current.version }] };
  }
  if (!isGone) return { replace: [again] };
  const last = later.at(-1);
  if (last?.kind === 'delete') return { drop: all };
  const both = (sum: Fields, { fields: next }: PendingWrite) => mergedUpdate(sum, next, false) ?? { ...sum, ...next };
  const merged = later.reduce(both, fields);
  const update: NewWrite = { ...again, kind: 'update', fields: merged, base: null };
  return {
    replace: [{ ...again, kind: 'restore', fields: {}, base: null }],
    drop: all.slice(1),
    add: [withoutSeq(update)],
  };
}

const withoutSeq = ({ type, kind, id, fields, base, at, refusal }: NewWrite): NewWrite => ({
  type,
  kind,
  id,
  fields,
  base,
  at,
  refusal,
});
