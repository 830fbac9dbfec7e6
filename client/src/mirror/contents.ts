import {
  BEGINNING,
  type Flight,
  type PendingWrite,
  type Position,
  type StorageChange,
  type Stored,
  type StoredItem,
  type Written,
} from './storage.ts';

export const NOTHING: Stored = { revision: 0, position: BEGINNING, flight: null, writes: [], items: [] };

/** What is stored, in memory. */
export class Contents implements Stored {
  revision = 0;
  position: Position = BEGINNING;
  flight: Flight | null = null;
  writes: readonly PendingWrite[] = [];
  readonly byKey = new Map<string, StoredItem>();

  get items(): readonly StoredItem[] {
    return [...this.byKey.values()];
  }

  replaceWith(contents: Stored): void {
    this.byKey.clear();
    for (const stored of contents.items) this.byKey.set(stored.key, stored);
    this.writes = contents.writes;
    this.position = contents.position;
    this.flight = contents.flight;
    this.revision = contents.revision;
  }

  apply(change: StorageChange, { revision, seqs }: Written): void {
    for (const key of change.remove ?? []) this.byKey.delete(key);
    for (const stored of change.put ?? []) this.byKey.set(stored.key, stored);
    const { add = [], replace = [], drop = [] } = change;
    if (add.length + replace.length + drop.length > 0) {
      const writes = new Map(this.writes.map((write) => [write.seq, write]));
      for (const seq of drop) writes.delete(seq);
      for (const write of replace) writes.set(write.seq, write);
      add.forEach((write, index) => {
        const seq = seqs[index];
        if (seq !== undefined) writes.set(seq, { ...write, seq });
      });
      this.writes = [...writes.values()].sort((a, b) => a.seq - b.seq);
    }
    if (change.position !== undefined) this.position = change.position;
    if (change.flight !== undefined) this.flight = change.flight;
    this.revision = revision;
  }
}
