import { randomUUID } from 'node:crypto';
import { link, readdir, readFile, readlink, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';

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
/** A holder that cannot be looked up here, such as one on another host, is stale after so long without a heartbeat. */
const STALE_AFTER_MS = 10_000;

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

/** @returns who holds the lock file `path`, for people; null if it is stale or gone. */
async function liveHolder(path: string): Promise<string | null> {
  const text = await readOrEmpty(path);
  const mtimeMs = await stat(path).then(
    (file) => file.mtimeMs,
    () => 0,
  );
  const { success, data: holder } = Holder.safeParse(parseJson(text));
  const name = success ? `process ${holder.pid} on host ${holder.host}` : 'another process';
  if (success) {
    const now = await describeProcess(holder.pid);
    if (holder.host === now.host && holder.world === now.world) {
      return isRunning(holder.pid) && holder.started === now.started ? name : null;
    }
  }
  return Date.now() - mtimeMs < STALE_AFTER_MS ? name : null;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
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

/** Creates a lock file with its content, atomically. @returns false if it exists already. */
async function create(path: string, holder: Holder): Promise<boolean> {
  const temporaryPath = `${path}.${process.pid}.${randomUUID()}`;
  await writeFile(temporaryPath, JSON.stringify(holder), { flag: 'wx' });
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

/** Removes stale locks. @throws {Error} if a lock other than number `own` is live. */
async function removeStaleLocks(directory: string, own: number): Promise<void> {
  for (const number of await lockNumbers(directory)) {
    if (number === own) continue;
    const path = join(directory, `lock.${number}`);
    const holder = await liveHolder(path);
    if (holder !== null) throw inUseError(directory, holder);
    await rm(path, { force: true });
  }
}

/**
 * Locks `directory` for this process. A stale lock is not deleted and created anew, which two processes could do
 * concurrently: each contender creates `lock.N+1` with link(2), which only one can, and fails if another lock is live.
 * @param onLost called if another process has removed the lock, as after a long suspension of this one: it must stop
 *   writing to the directory.
 * @returns a function that removes the lock.
 * @throws {Error} while another live process holds it.
 */
export async function lockDataDirectory(
  directory: string,
  onLost: (error: Error) => void,
): Promise<() => Promise<void>> {
  const [highest = 0] = await lockNumbers(directory);
  const path = join(directory, `lock.${highest + 1}`);
  const holder = highest > 0 ? await liveHolder(join(directory, `lock.${highest}`)) : null;
  if (holder !== null) throw inUseError(directory, holder);
  if (!(await create(path, await describeProcess(process.pid)))) return lockDataDirectory(directory, onLost);
  const unlock = () => rm(path, { force: true });
  try {
    await removeStaleLocks(directory, highest + 1);
  } catch (error) {
    await unlock();
    throw error;
  }
  const heartbeat = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch((error: unknown) => {
      if (!hasCode(error, 'ENOENT')) return;
      clearInterval(heartbeat);
      onLost(new Error(`Another process has removed this process's lock of the data directory ${directory}`));
    });
  }, HEARTBEAT_MS).unref();
  return async () => {
    clearInterval(heartbeat);
    await unlock();
  };
}
