import { randomUUID } from 'node:crypto';
import { link, readdir, readFile, readlink, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { isHeld, type LockFile } from './lock-file.ts';

/** A process, as a lock file describes it. */
const Holder = z.object({
  pid: z.int(),
  host: z.string(),
  /**
   * Boot and PID namespace in which `pid` is valid: containers can share a host name. '' if the system has neither. Its
   * name in the file is that of version 0.1, which must recognise the lock too.
   */
  world: z.string(),
  /** The process's start time, in the system's own unit; tells it from a later process with the same PID. */
  started: z.string(),
});
type Holder = z.output<typeof Holder>;

const LOCK_NAME = /^lock\.(\d+)$/;
const HEARTBEAT_MS = 2_000;
/** A holder that cannot be looked up here, such as one on another host, is stale if no heartbeat is seen for so long. */
const STALE_AFTER_MS = 10_000;
const WATCH_INTERVAL_MS = 200;
/** Longer than the interval at which a holder's thread verifies its lock: one that resumes now stops within this time. */
const SETTLE_MS = 1_500;

export interface LockOptions {
  readonly directory: string;
  /** Called if another process has taken the lock, as after a long suspension of this one: it must not write. */
  readonly onLost: (error: Error) => void;
  readonly onWarning: (message: string) => void;
}

/** A lock of a data directory. */
export interface DirectoryLock {
  readonly file: LockFile;
  /** Removes the lock file, if it still is this holder's. */
  release(): Promise<void>;
}

const inUseError = (directory: string, holder: string) =>
  new Error(
    `The data directory ${directory} is in use by ${holder}. ` +
      'Stop that process first, or give this one a DATA_DIR of its own.',
  );
const hasCode = (error: unknown, code: string) => error instanceof Error && 'code' in error && error.code === code;
const readOrEmpty = (path: string) => readFile(path, 'utf8').catch(() => '');

async function describeProcess(pid: number): Promise<Holder> {
  const [boot, pidNamespace, status] = await Promise.all([
    readOrEmpty('/proc/sys/kernel/random/boot_id'),
    readlink('/proc/self/ns/pid').catch(() => ''),
    readOrEmpty(`/proc/${pid}/stat`),
  ]);
  const started = status.slice(status.lastIndexOf(')') + 2).split(' ')[19] ?? ''; // field 22, proc_pid_stat(5)
  return { pid, host: hostname(), world: `${boot.trim()} ${pidNamespace}`.trim(), started };
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return hasCode(error, 'EPERM');
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** A lock file: its content, and the time of its last heartbeat, which is only compared with itself. */
interface Look {
  readonly text: string;
  readonly heartbeat: number;
}

/** @returns null if the file is gone. */
async function look(path: string): Promise<Look | null> {
  const file = await stat(path).catch(() => null);
  return file === null ? null : { text: await readOrEmpty(path), heartbeat: file.mtimeMs };
}

const isSame = (before: Look | undefined, now: Look) =>
  before !== undefined && before.text === now.text && before.heartbeat === now.heartbeat;

/**
 * Decides which locks are stale. A holder that can be looked up is live if its process runs; any other one if its file
 * changes within 10 s. No time is compared with a clock, which may have been set, or be another host's.
 */
class StaleLocks {
  readonly #options: LockOptions;
  readonly #looks = new Map<string, Look>();
  /** Whether a holder was judged by its heartbeat, and may thus be suspended. */
  watched = false;

  constructor(options: LockOptions) {
    this.#options = options;
  }

  /** Resolves if the lock at `path` is stale, or gone. @throws {Error} if it is live. */
  async add(path: string): Promise<void> {
    const seen = await look(path);
    if (seen === null || isSame(this.#looks.get(path), seen)) return;
    const { success, data: holder } = Holder.safeParse(parseJson(seen.text));
    const name = success ? `process ${holder.pid} on host ${holder.host}` : 'another process';
    const here = success ? await describeProcess(holder.pid) : null;
    if (success && holder.host === here?.host && holder.world === here.world) {
      if (isRunning(holder.pid) && holder.started === here.started) throw inUseError(this.#options.directory, name);
    } else {
      await this.#watch(path, seen, name);
    }
    this.#looks.set(path, seen);
  }

  async #watch(path: string, seen: Look, name: string): Promise<void> {
    const { directory, onWarning } = this.#options;
    const seconds = STALE_AFTER_MS / 1_000;
    onWarning(`DATA_DIR ${directory} was locked by ${name}: waiting ${seconds} s for a sign that it runs`);
    this.watched = true;
    const until = performance.now() + STALE_AFTER_MS;
    while (performance.now() < until) {
      await delay(WATCH_INTERVAL_MS);
      const now = await look(path);
      if (now === null) return;
      if (!isSame(seen, now)) throw inUseError(directory, name);
    }
  }
}

/** @returns the numbers of the lock files, descending. */
async function lockNumbers(directory: string): Promise<number[]> {
  const names = await readdir(directory);
  return names
    .flatMap((name) => LOCK_NAME.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => b - a);
}

/** Creates the lock file of this process with its content, atomically. @returns false if it exists already. */
async function create({ path, id }: LockFile): Promise<boolean> {
  const temporaryPath = `${path}.${process.pid}.${id}`;
  await writeFile(temporaryPath, JSON.stringify({ ...(await describeProcess(process.pid)), id }), { flag: 'wx' });
  try {
    await link(temporaryPath, path);
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    throw error;
  } finally {
    await rm(temporaryPath, { force: true });
  }
}

async function remove(file: LockFile): Promise<void> {
  if (isHeld(file)) await rm(file.path, { force: true });
}

/** @returns a function that ends the heartbeat. */
function startHeartbeat(file: LockFile, { directory, onLost }: LockOptions): () => void {
  const timer = setInterval(() => {
    if (isHeld(file)) {
      const now = new Date();
      utimes(file.path, now, now).catch(() => undefined); // gone: noticed at the next heartbeat
      return;
    }
    clearInterval(timer);
    onLost(new Error(`Another process has removed this process's lock of the data directory ${directory}`));
  }, HEARTBEAT_MS).unref();
  return () => clearInterval(timer);
}

/**
 * Locks a directory for this process. A stale lock is not deleted and created anew, which two processes could do
 * concurrently: each contender creates `lock.N+1` with link(2), which only one can, and fails if another lock is live.
 * Takes up to 12 s if there is a lock of a holder that cannot be looked up.
 * @throws {Error} while another live process holds it.
 */
export async function lockDataDirectory(options: LockOptions): Promise<DirectoryLock> {
  const { directory } = options;
  const stale = new StaleLocks(options);
  const pathOf = (number: number) => join(directory, `lock.${number}`);
  const numbers = await lockNumbers(directory);
  await Promise.all(numbers.map((number) => stale.add(pathOf(number))));
  const own = (numbers[0] ?? 0) + 1;
  const file = { path: pathOf(own), id: randomUUID() };
  if (!(await create(file))) return lockDataDirectory(options);
  const stopHeartbeat = startHeartbeat(file, options);
  const release = async () => {
    stopHeartbeat();
    await remove(file);
  };
  try {
    for (const number of await lockNumbers(directory)) {
      if (number === own) continue;
      await stale.add(pathOf(number));
      await rm(pathOf(number), { force: true });
    }
    if (stale.watched) await delay(SETTLE_MS);
  } catch (error) {
    await release();
    throw error;
  }
  return { file, release };
}
