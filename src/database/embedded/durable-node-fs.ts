import { fsyncSync } from 'node:fs';
import { NodeFS } from '@electric-sql/pglite/nodefs';
import { syncDirectory } from '../../core/sync-directory.ts';

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

/** What is used of Emscripten's NODEFS, which reads these tables at each call. */
interface NodeFiles {
  realPath(node: Node): string;
  readonly node_ops: {
    mknod(parent: Node, name: string, mode: number, device: number): Node;
    rename(node: Node, parent: Node, name: string): void;
  };
  readonly stream_ops: {
    /** Called for fsync(2), but not for fdatasync(2). */
    fsync?(stream: Stream): number;
  };
}

const isDirectory = ({ mode }: Node) => (mode & 0o170_000) === 0o040_000;

/**
 * PGlite's files, with an fsync(2) that flushes them to the disk; PGlite's own does nothing. A file that is flushed has
 * its directory entry flushed too: PostgreSQL does not do that for the files of tables, and POSIX demands it.
 */
export class DurableNodeFs extends NodeFS {
  readonly #onFailure: (error: unknown) => never;

  /** @param onFailure called if fsync fails: what was written before may be lost, so PostgreSQL must not go on. */
  constructor(directory: string, onFailure: (error: unknown) => never) {
    super(directory);
    this.#onFailure = onFailure;
  }

  override async init(...args: Parameters<NodeFS['init']>): ReturnType<NodeFS['init']> {
    const { emscriptenOpts } = await super.init(...args);
    const preRun = [...(emscriptenOpts.preRun ?? [])];
    preRun.unshift(({ NODEFS }) => this.#addFsync(NODEFS));
    return { emscriptenOpts: { ...emscriptenOpts, preRun } };
  }

  #addFsync({ realPath, node_ops, stream_ops }: NodeFiles): void {
    /** Directories with entries that may not be on the disk. */
    const changed = new Set<Node>();
    const { mknod, rename } = node_ops;
    node_ops.mknod = (parent, name, mode, device) => {
      changed.add(parent);
      return mknod(parent, name, mode, device);
    };
    node_ops.rename = (node, parent, name) => {
      changed.add(node.parent).add(parent);
      rename(node, parent, name);
    };
    stream_ops.fsync = ({ node, nfd }) => {
      try {
        if (isDirectory(node)) changed.add(node);
        else fsyncSync(nfd);
        for (let at = node; ; at = at.parent) {
          if (changed.delete(at)) syncDirectory(realPath(at));
          if (at.parent === at) return 0;
        }
      } catch (error) {
        return this.#onFailure(error);
      }
    };
  }
}
