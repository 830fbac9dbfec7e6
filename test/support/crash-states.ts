import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** What a recorder wrote down, in order: changes and flushes of files, by paths below its root, and marks. */
export type Operation =
  | { readonly op: 'mkdir' | 'remove' | 'sync-directory'; readonly path: string }
  | { readonly op: 'create'; readonly path: string; readonly ino: number }
  | { readonly op: 'rename'; readonly from: string; readonly to: string }
  | { readonly op: 'sync'; readonly ino: number }
  | { readonly op: 'truncate'; readonly ino: number; readonly size: number }
  | WriteOperation
  | { readonly op: 'mark'; readonly name: string };

interface WriteOperation {
  readonly op: 'write';
  readonly ino: number;
  readonly position: number;
  readonly length: number;
  /** Nothing but zeros, for which there is no `data`. */
  readonly zeros: boolean;
  readonly data?: Buffer;
}

/** Reads the log of a recorder (`file-recorder.mjs`). */
export function readOperations(path: string): readonly Operation[] {
  const log = readFileSync(path);
  const operations: Operation[] = [];
  for (let at = 0; at < log.length; ) {
    const length = log.readUInt32LE(at);
    const operation: Operation = JSON.parse(log.toString('utf8', at + 4, at + 4 + length));
    at += 4 + length;
    if (operation.op === 'write' && !operation.zeros) {
      operations.push({ ...operation, data: log.subarray(at, at + operation.length) });
      at += operation.length;
    } else operations.push(operation);
  }
  return operations;
}

/** What a disk writes in one piece. */
const SECTOR_BYTES = 512;

/** A generator of numbers from 0 to 1, the same for the same seed (mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Which part of an operation that was not flushed has reached the disk, from 0 to 1. */
export type Survival = (index: number) => number;

/** The bytes of a file. */
class Content {
  #bytes = Buffer.alloc(0);
  #size = 0;

  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#size);
  }

  copy(): Content {
    const copy = new Content();
    copy.#bytes = Buffer.from(this.bytes);
    copy.#size = this.#size;
    return copy;
  }

  resize(size: number): void {
    if (size > this.#bytes.length) {
      const grown = Buffer.alloc(Math.max(size, this.#bytes.length * 2));
      this.bytes.copy(grown);
      this.#bytes = grown;
    } else if (size < this.#size) this.#bytes.fill(0, size, this.#size);
    this.#size = size;
  }

  /** Writes the sectors for which `keeps` is true. */
  write({ position, length, data }: WriteOperation, keeps: () => boolean): void {
    const end = position + length;
    for (let from = position; from < end; ) {
      const to = Math.min(end, (Math.floor(from / SECTOR_BYTES) + 1) * SECTOR_BYTES);
      if (keeps()) {
        if (to > this.#size) this.resize(to);
        if (data === undefined) this.#bytes.fill(0, from, to);
        else data.copy(this.#bytes, from, from - position, to - position);
      }
      from = to;
    }
  }
}

interface Unflushed<Change> {
  /** Of the operation. */
  readonly index: number;
  readonly change: Change;
}

type FileChange = WriteOperation | Extract<Operation, { op: 'truncate' }>;

class ModelFile {
  readonly flushed = new Content();
  readonly unflushed: Unflushed<FileChange>[] = [];

  flush(): void {
    for (const { change } of this.unflushed.splice(0)) apply(this.flushed, change, 1, () => 0);
  }

  contentAfterCrash(survival: Survival, random: () => number): Buffer {
    if (this.unflushed.length === 0) return this.flushed.bytes;
    const content = this.flushed.copy();
    for (const { index, change } of this.unflushed) apply(content, change, survival(index), random);
    return content.bytes;
  }
}

function apply(content: Content, change: FileChange, share: number, random: () => number): void {
  if (share === 0) return;
  if (change.op === 'truncate') {
    if (share === 1 || random() < share) content.resize(change.size);
    return;
  }
  const end = change.position + change.length;
  if (share < 1 && random() < 0.5 && end > content.bytes.length) content.resize(end); // the size, without the data
  content.write(change, () => share === 1 || random() < share);
}

type Entry = ModelFile | ModelDirectory;

interface EntryChange {
  readonly removed: string | null;
  readonly added: string | null;
  readonly entry: Entry | null;
}

class ModelDirectory {
  #flushed = new Map<string, Entry>();
  readonly entries = new Map<string, Entry>();
  readonly #unflushed: Unflushed<EntryChange>[] = [];

  change(index: number, change: EntryChange): void {
    this.#unflushed.push({ index, change });
    changeEntries(this.entries, change);
  }

  flush(): void {
    this.#unflushed.length = 0;
    this.#flushed = new Map(this.entries);
  }

  entriesAfterCrash(survival: Survival, random: () => number): ReadonlyMap<string, Entry> {
    const entries = new Map(this.#flushed);
    for (const { index, change } of this.#unflushed) {
      const share = survival(index);
      if (share === 1 || (share > 0 && random() < share)) changeEntries(entries, change);
    }
    return entries;
  }

  /** Operations in and below it that are not flushed. */
  get unflushed(): number {
    const below = [...this.entries.values()].map(({ unflushed }) =>
      typeof unflushed === 'number' ? unflushed : unflushed.length,
    );
    return below.reduce((sum, count) => sum + count, this.#unflushed.length);
  }
}

function changeEntries(entries: Map<string, Entry>, { removed, added, entry }: EntryChange): void {
  if (removed !== null) entries.delete(removed);
  if (added !== null && entry !== null) entries.set(added, entry);
}

/** Splits a path into its folder ('' for the root) and its name. */
const split = (path: string) => {
  const folder = dirname(path);
  return [folder === '.' ? '' : folder, path.slice(path.lastIndexOf('/') + 1)] as const;
};

/**
 * A file system that keeps what POSIX promises and nothing else. fsync of a file keeps its content, fsync of a directory
 * its entries. Of whatever else was done, any part may have reached the disk, in any order, writes by sectors of 512
 * bytes, sizes without their data. A rename is done or not done.
 */
export class CrashModel {
  readonly #root = new ModelDirectory();
  readonly #files = new Map<number, ModelFile>();

  /** Operations that a crash now would put at risk. */
  get unflushed(): number {
    return this.#root.unflushed;
  }

  /** Does the operation with this index. */
  perform(index: number, operation: Operation): void {
    switch (operation.op) {
      case 'mkdir':
        this.#add(index, operation.path, new ModelDirectory());
        break;
      case 'create': {
        const file = new ModelFile();
        this.#files.set(operation.ino, file);
        this.#add(index, operation.path, file);
        break;
      }
      case 'remove': {
        const [folder, removed] = split(operation.path);
        this.#directory(folder).change(index, { removed, added: null, entry: null });
        break;
      }
      case 'rename':
        this.#rename(index, operation.from, operation.to);
        break;
      case 'write':
      case 'truncate':
        this.#file(operation.ino).unflushed.push({ index, change: operation });
        break;
      case 'sync':
        this.#file(operation.ino).flush();
        break;
      case 'sync-directory':
        this.#directory(operation.path).flush();
        break;
      case 'mark':
        break;
    }
  }

  /** Writes what a crash now may leave below the folder `path`. */
  writeState(path: string, survival: Survival, random: () => number): void {
    const write = (directory: ModelDirectory, target: string) => {
      mkdirSync(target, { recursive: true, mode: 0o700 });
      for (const [name, entry] of directory.entriesAfterCrash(survival, random)) {
        if (entry instanceof ModelDirectory) write(entry, join(target, name));
        else writeFileSync(join(target, name), entry.contentAfterCrash(survival, random), { mode: 0o600 });
      }
    };
    write(this.#root, path);
  }

  #add(index: number, path: string, entry: Entry): void {
    const [folder, added] = split(path);
    this.#directory(folder).change(index, { removed: null, added, entry });
  }

  #rename(index: number, from: string, to: string): void {
    const [folder, removed] = split(from);
    const [target, added] = split(to);
    if (folder !== target) throw new Error(`A rename between directories: ${from} to ${to}`);
    const directory = this.#directory(folder);
    const entry = directory.entries.get(removed);
    if (entry === undefined) throw new Error(`Nothing to rename: ${from}`);
    directory.change(index, { removed, added, entry });
  }

  #directory(path: string): ModelDirectory {
    let directory = this.#root;
    for (const name of path.split('/').filter((part) => part !== '')) {
      const entry = directory.entries.get(name);
      if (!(entry instanceof ModelDirectory)) throw new Error(`No directory ${path}`);
      directory = entry;
    }
    return directory;
  }

  #file(ino: number): ModelFile {
    const file = this.#files.get(ino);
    if (file === undefined) throw new Error(`No file with inode ${ino}`);
    return file;
  }
}
