import {
  BEGINNING,
  type Flight,
  type PendingWrite,
  type Position,
  type StorageChange,
  type Stored,
  type StoredTask,
  type Written,
} from './storage.ts';

export const NOTHING: Stored = { revision: 0, position: BEGINNING, flight: null, writes: [], tasks: [] };

/** What is stored, in memory. */
export class Contents implements Stored {
  revision = 0;
  position: Position = BEGINNING;
  flight: Flight | null = null;
  writes: readonly PendingWrite[] = [];
  readonly byId = new Map<string, StoredTask>();

  get tasks(): readonly StoredTask[] {
    return [...this.byId.values()];
  }

  replaceWith(stored: Stored): void {
    this.byId.clear();
    for (const task of stored.tasks) this.byId.set(task.id, task);
    this.writes = stored.writes;
    this.position = stored.position;
    this.flight = stored.flight;
    this.revision = stored.revision;
  }

  apply(change: StorageChange, { revision, seqs }: Written): void {
    for (const id of change.remove ?? []) this.byId.delete(id);
    for (const task of change.put ?? []) this.byId.set(task.id, task);
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
