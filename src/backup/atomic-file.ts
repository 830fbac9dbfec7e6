import { randomBytes } from 'node:crypto';
import { type FileHandle, open, realpath, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

const PART_BYTES = 1_048_576;

/** @returns the file that `path` leads to; `path` itself where there is none. @throws {TypeError} when it is no file. */
async function destinationOf(path: string): Promise<string> {
  const destination = await realpath(path).catch(() => path);
  const isFile = await stat(destination).then(
    (found) => found.isFile(),
    () => true,
  );
  if (!isFile) throw new TypeError(`${path} is no file`);
  return destination;
}

/** What systems say that have no way to do it, or none for this user. */
const CANNOT_SYNC: readonly unknown[] = ['EACCES', 'EPERM', 'EISDIR', 'EINVAL', 'EBADF', 'ENOTSUP'];

/** Makes a change of names in `directory` outlast a power cut, where the system allows it. */
async function syncDirectory(directory: string): Promise<void> {
  try {
    const handle = await open(directory, 'r');
    await handle.sync().finally(() => handle.close());
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && CANNOT_SYNC.includes(error.code))) throw error;
  }
}

/** A text file, mode 0600, that has its name only once it is whole and on the disk; a file of that name is replaced. */
export class DraftFile {
  readonly #destination: string;
  readonly #draft: string;
  readonly #handle: FileHandle;
  #lines: string[] = [];
  #bytes = 0;

  private constructor(destination: string, draft: string, handle: FileHandle) {
    this.#destination = destination;
    this.#draft = draft;
    this.#handle = handle;
  }

  static async create(path: string): Promise<DraftFile> {
    const destination = await destinationOf(path);
    const draft = `${destination}.${randomBytes(6).toString('hex')}.partial`;
    return new DraftFile(destination, draft, await open(draft, 'wx', 0o600));
  }

  async writeLine(line: string): Promise<void> {
    this.#lines.push(line, '\n');
    this.#bytes += line.length;
    if (this.#bytes >= PART_BYTES) await this.#flush();
  }

  /** Gives the file its name. To be called last. */
  async finish(): Promise<void> {
    await this.#flush();
    await this.#handle.sync();
    await this.#handle.close();
    await rename(this.#draft, this.#destination);
    await syncDirectory(dirname(this.#destination));
  }

  /** Leaves nothing of it; does no harm to one that is finished. */
  async discard(): Promise<void> {
    await this.#handle.close().catch(() => undefined);
    await rm(this.#draft, { force: true });
  }

  async #flush(): Promise<void> {
    const text = this.#lines.join('');
    this.#lines = [];
    this.#bytes = 0;
    await this.#handle.writeFile(text);
  }
}
