import type { FieldError, List, ListUpdate, Task, TaskUpdate } from '../api-types.ts';

export type ItemType = 'task' | 'list';

/** What a thing is stored under: a task and a list may have the same id. */
export const keyOf = ({ type, id }: { readonly type: ItemType; readonly id: string }) => `${type} ${id}`;

/** A task or list as the service last told it. */
export interface StoredItem {
  /** Of `keyOf`. */
  readonly key: string;
  readonly item: Task | List;
  /** The copy that it belongs to; a new copy drops what is of the one before at its end. */
  readonly copy: number;
  /** The version of the last write of this mirror, which later writes expect; null if there was none. */
  readonly own: number | null;
}

/** Why the service refused a write. */
export interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  readonly details: readonly FieldError[];
  /** The task or list as it is now, or null. */
  readonly current: Task | List | null;
}

/** The fields of a write, those of its type; of a list's deletion what becomes of its tasks. */
export type Fields = TaskUpdate & ListUpdate & { readonly tasks?: 'inbox' | 'delete' };

export interface NewWrite {
  readonly type: ItemType;
  readonly kind: 'create' | 'update' | 'delete' | 'restore';
  readonly id: string;
  readonly fields: Fields;
  /** The version that the task or list must still have; null: the one that the mirror's write before this made. */
  readonly base: number | null;
  /** When it was made, RFC 3339. */
  readonly at: string;
  /** Set while the application decides about it. */
  readonly refusal: Refusal | null;
}

/** A write that the service has not confirmed. */
export interface PendingWrite extends NewWrite {
  /** Its place in the order of writes. */
  readonly seq: number;
}

/** A request on its way: after a crash it is sent again to the byte, so that the service recognises it. */
export interface Flight {
  readonly key: string;
  readonly method: string;
  readonly path: string;
  readonly body: string | null;
  readonly headers: Readonly<Record<string, string>>;
  /** Of the writes that it carries, one an operation. */
  readonly seqs: readonly number[];
}

export interface Position {
  /** Null: at the beginning. */
  readonly cursor: string | null;
  /** The number of the copy. */
  readonly copy: number;
  /** Whether the copy is still being made. */
  readonly copying: boolean;
  /** The copy knows of everything up to this version. */
  readonly version: number;
}

/** A change of what is stored, of which all is done or nothing. */
export interface StorageChange {
  readonly put?: readonly StoredItem[];
  /** Keys. */
  readonly remove?: readonly string[];
  readonly add?: readonly NewWrite[];
  readonly replace?: readonly PendingWrite[];
  readonly drop?: readonly number[];
  readonly position?: Position;
  readonly flight?: Flight | null;
}

export interface Stored {
  /** Raised by each change. */
  readonly revision: number;
  readonly items: readonly StoredItem[];
  /** In their order. */
  readonly writes: readonly PendingWrite[];
  readonly position: Position;
  readonly flight: Flight | null;
}

export interface Written {
  readonly revision: number;
  /** Of the writes that were added. */
  readonly seqs: readonly number[];
}

export interface MirrorStorage {
  /** The name that all windows know it by, or null if no other has it. */
  readonly name: string | null;
  load(): Promise<Stored>;
  /** @throws {TodoApiError} STORAGE_FULL, STORAGE; nothing is written then. */
  write(change: StorageChange): Promise<Written>;
  /** Deletes everything, for all windows, and closes. */
  clear(): Promise<void>;
  close(): void;
}

/** Opens the storage of that name; `onLost` is called if it is deleted from outside. */
export type OpenStorage = (name: string, onLost: () => void) => Promise<MirrorStorage>;

export const BEGINNING: Position = { cursor: null, copy: 1, copying: true, version: 0 };
