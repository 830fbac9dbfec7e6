import { randomBytes } from 'node:crypto';
import { type FileHandle, open, realpath, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncDirectory } from '../core/sync-directory.ts';

const BUFFER_BYTES = 1_048_576;

/** @returns `path` with symbolic links resolved, if it exists. @throws {TypeError} if it is not a regular file. */
async function destinationOf(path: string): Promise<string> {
  const destination = await realpath(path).catch(() => path);
  const isFile = await stat(destination).then(
    (found) => found.isFile(),
    () => true,
  );
  if (!isFile) throw new TypeError(`${path} is not a regular file`);
  return destination;
}

/** A text file, mode 0600, that is renamed to its path, replacing any file there, once complete and on the disk. */
export class AtomicFile {
  readonly #destination: string;
  readonly #temporaryPath: string;
  readonly #handle: FileHandle;
  #lines: string[] = [];
  #bytes = 0;

  private constructor(destination: string, temporaryPath: string, handle: FileHandle) {
    this.#destination = destination;
    this.#temporaryPath = temporaryPath;
    this.#handle = handle;
  }

  static async create(path: string): Promise<AtomicFile> {
    const destination = await destinationOf(path);
    const temporaryPath = `${destination}.${randomBytes(6).toString('hex')}.partial`;
    return new AtomicFile(destination, temporaryPath, await open(temporaryPath, 'wx', 0o600));
  }

  async writeLine(line: string): Promise<void> {
    this.#lines.push(line, '\n');
    this.#bytes += line.length;
    if (this.#bytes >= BUFFER_BYTES) await this.#flush();
  }

  /** Flushes the file to the disk and renames it to its path. */
  async finish(): Promise<void> {
    await this.#flush();
    await this.#handle.sync();
    await this.#handle.close();
    await rename(this.#temporaryPath, this.#destination);
    syncDirectory(dirname(this.#destination));
  }

  /** Deletes an unfinished file. */
  async discard(): Promise<void> {
    await this.#handle.close().catch(() => undefined);
    await rm(this.#temporaryPath, { force: true });
  }

  async #flush(): Promise<void> {
    const text = this.#lines.join('');
    this.#lines = [];
    this.#bytes = 0;
    await this.#handle.writeFile(text);
  }
}
