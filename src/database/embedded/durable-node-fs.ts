import { existsSync, fsyncSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { NodeFS } from '@electric-sql/pglite/nodefs';
import { syncDirectory } from '../../core/sync-directory.ts';
import { flushTree } from './durable-files.ts';

/** A file or directory; the root is its own parent. */
interface Node {
  readonly parent: Node;
  readonly mode: number;
}

/** An open file, with its descriptor in this process. */
interface Stream {
  readonly node: Node;
  readonly nfd: number;
}

type On<Subject, Result = void> = (subject: Subject, ...rest: never[]) => Result;

/** What is used of Emscripten's NODEFS, which looks its functions up here at each call. */
interface NodeFiles {
  realPath(node: Node): string;
  readonly node_ops: {
    setattr: On<Node>;
    mknod: On<Node, Node>;
    rename(node: Node, parent: Node, name: string): void;
    unlink: On<Node>;
    rmdir: On<Node>;
  };
  readonly stream_ops: {
    setattr: On<Stream>;
    write: On<Stream, number>;
    /** Called for fsync(2), but not for fdatasync(2). */
    fsync?: (stream: Stream) => number;
  };
}

const isDirectory = ({ mode }: Node) => (mode & 0o170_000) === 0o040_000;

/** Exists while PostgreSQL has the files open, and after it was killed. */
const PID_FILE = 'postmaster.pid';

/**
 * PGlite's files, with an fsync(2) that flushes them to the disk; PGlite's own does nothing. A file that is flushed has
 * its directory entry flushed too: PostgreSQL does not do that for the files of tables, and POSIX demands it.
 */
export class DurableNodeFs extends NodeFS {
  readonly #onFailure: (error: unknown) => never;
  readonly #isFlushed: boolean;

  private constructor(directory: string, isFlushed: boolean, onFailure: (error: unknown) => never) {
    super(directory);
    this.#isFlushed = isFlushed;
    this.#onFailure = onFailure;
  }

  /**
   * The database files in `directory`. If they were not closed, all are flushed here, many at the same time: PostgreSQL
   * would flush one after another, and twice, which takes seconds.
   * @param onFailure called if fsync fails: what was written before may be lost, so PostgreSQL must not go on.
   */
  static async open(directory: string, onFailure: (error: unknown) => never): Promise<DurableNodeFs> {
    const pidFile = join(directory, PID_FILE);
    const wasKilled = existsSync(pidFile);
    if (wasKilled) {
      await flushTree(directory);
      rmSync(pidFile); // PostgreSQL refuses an empty one, which a power failure can leave
    }
    return new DurableNodeFs(directory, wasKilled, onFailure);
  }

  override async init(...args: Parameters<NodeFS['init']>): ReturnType<NodeFS['init']> {
    const { emscriptenOpts } = await super.init(...args);
    const preRun = [...(emscriptenOpts.preRun ?? [])];
    preRun.unshift(({ NODEFS }) => this.#addFsync(NODEFS));
    return { emscriptenOpts: { ...emscriptenOpts, preRun } };
  }

  #addFsync({ realPath, node_ops, stream_ops }: NodeFiles): void {
    /** Paths of files and directories that were changed and not flushed since. */
    const changed = new Set<string>();
    const change = (node: Node) => void changed.add(realPath(node));
    const { mknod, rename, unlink, rmdir, setattr } = node_ops;
    const { write, setattr: setStreamAttributes } = stream_ops;
    node_ops.setattr = (node, ...rest) => {
      change(node);
      setattr(node, ...rest);
    };
    node_ops.mknod = (parent, ...rest) => {
      change(parent);
      const node = mknod(parent, ...rest);
      change(node);
      return node;
    };
    node_ops.rename = (node, parent, name) => {
      change(node.parent);
      change(parent);
      const wasChanged = changed.delete(realPath(node));
      rename(node, parent, name);
      if (wasChanged) changed.add(join(realPath(parent), name));
    };
    node_ops.unlink = (parent, ...rest) => {
      change(parent);
      unlink(parent, ...rest);
    };
    node_ops.rmdir = (parent, ...rest) => {
      change(parent);
      rmdir(parent, ...rest);
    };
    stream_ops.setattr = (stream, ...rest) => {
      change(stream.node);
      setStreamAttributes(stream, ...rest);
    };
    stream_ops.write = (stream, ...rest) => {
      change(stream.node);
      return write(stream, ...rest);
    };
    const flush = ({ node, nfd }: Stream) => {
      const path = realPath(node);
      const wasChanged = changed.delete(path);
      if (wasChanged || !this.#isFlushed) {
        if (isDirectory(node)) syncDirectory(path);
        else fsyncSync(nfd);
      }
      for (let { parent } = node, at = node; at !== parent; at = parent, { parent } = parent) {
        const directory = realPath(parent);
        if (changed.delete(directory)) syncDirectory(directory);
      }
    };
    stream_ops.fsync = (stream) => {
      try {
        flush(stream);
        return 0;
      } catch (error) {
        return this.#onFailure(error);
      }
    };
  }
}
