import { localError, type TodoApiError } from '../errors.ts';
import {
  BEGINNING,
  type Flight,
  type MirrorStorage,
  type OpenStorage,
  type PendingWrite,
  type Position,
  type StorageChange,
  type Stored,
  type StoredItem,
  type Written,
} from './storage.ts';

const STORES = ['items', 'writes', 'state'] as const;

function storageError(error: DOMException | null): TodoApiError {
  return error?.name === 'QuotaExceededError'
    ? localError('STORAGE_FULL', 'The storage of this browser is full: nothing was saved', error)
    : localError('STORAGE', 'The storage of this browser failed: nothing was saved', error);
}

function openDatabase(name: string): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(name, 1);
    request.onupgradeneeded = () => {
      const database = request.result;
      database.createObjectStore('items', { keyPath: 'key' });
      database.createObjectStore('writes', { keyPath: 'seq', autoIncrement: true });
      database.createObjectStore('state');
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(storageError(request.error));
  });
}

class IndexedDbStorage implements MirrorStorage {
  readonly name: string;
  readonly #database: IDBDatabase;

  constructor(name: string, database: IDBDatabase) {
    this.name = name;
    this.#database = database;
  }

  async load(): Promise<Stored> {
    let items: readonly StoredItem[] = [];
    let writes: readonly PendingWrite[] = [];
    let position = BEGINNING;
    let flight: Flight | null = null;
    let revision = 0;
    await this.#transaction('readonly', 'relaxed', (stores) => {
      read<StoredItem[]>(stores.items.getAll(), (all) => {
        items = all;
      });
      read<PendingWrite[]>(stores.writes.getAll(), (all) => {
        writes = all;
      });
      read<Position | undefined>(stores.state.get('position'), (kept = BEGINNING) => {
        position = kept;
      });
      read<Flight | null | undefined>(stores.state.get('flight'), (kept = null) => {
        flight = kept;
      });
      read<number | undefined>(stores.state.get('revision'), (kept = 0) => {
        revision = kept;
      });
    });
    return { revision, items, writes, position, flight };
  }

  async write(change: StorageChange): Promise<Written> {
    let revision = 0;
    const seqs: number[] = [];
    const touchesWrites = [change.add, change.replace, change.drop, change.flight].some((part) => part !== undefined);
    await this.#transaction('readwrite', touchesWrites ? 'strict' : 'relaxed', ({ items, writes, state }) => {
      for (const key of change.remove ?? []) items.delete(key);
      for (const item of change.put ?? []) items.put(item);
      for (const seq of change.drop ?? []) writes.delete(seq);
      for (const write of change.replace ?? []) writes.put(write);
      for (const write of change.add ?? []) read(writes.add(write), (seq) => seqs.push(Number(seq)));
      if (change.position !== undefined) state.put(change.position, 'position');
      if (change.flight !== undefined) state.put(change.flight, 'flight');
      read<number | undefined>(state.get('revision'), (before = 0) => {
        revision = before + 1;
        state.put(revision, 'revision');
      });
    });
    return { revision, seqs };
  }

  clear(): Promise<void> {
    this.close();
    return new Promise((resolve, reject) => {
      const request = indexedDB.deleteDatabase(this.name);
      request.onsuccess = () => resolve();
      request.onerror = () => reject(storageError(request.error));
    });
  }

  close(): void {
    this.#database.onclose = null;
    this.#database.close();
  }

  /** Resolves when what `work` did is stored. */
  #transaction(
    mode: 'readonly' | 'readwrite',
    durability: 'strict' | 'relaxed',
    work: (stores: Record<(typeof STORES)[number], IDBObjectStore>) => void,
  ): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      const transaction = this.#database.transaction(STORES, mode, { durability });
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(storageError(transaction.error));
      const [items, writes, state] = [
        transaction.objectStore('items'),
        transaction.objectStore('writes'),
        transaction.objectStore('state'),
      ];
      work({ items, writes, state });
    }).catch((error: unknown) => {
      if (error instanceof DOMException) throw localError('CLOSED', 'The mirror is closed', error);
      throw error;
    });
  }
}

function read<T>(request: IDBRequest<T>, take: (value: T) => unknown): void {
  request.onsuccess = () => take(request.result);
}

/** Storage in the IndexedDB of a browser, shared by its windows. */
export function indexedDbStorage(): OpenStorage {
  return async (name, onLost) => {
    const database = await openDatabase(name);
    const storage = new IndexedDbStorage(name, database);
    database.onclose = onLost;
    database.onversionchange = () => {
      storage.close();
      onLost();
    };
    return storage;
  };
}
