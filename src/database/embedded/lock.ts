import { randomUUID } from 'node:crypto';
import { link, readdir, readFile, readlink, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';

/** Another process holds the data directory. */
class DataDirectoryInUse extends Error {
  constructor(directory: string, holder: Holder) {
    super(
      `The data directory ${directory} is in use by process ${holder.pid} on host ${holder.host}. ` +
        'Stop that process first, or give this one a DATA_DIR of its own.',
    );
    this.name = 'DataDirectoryInUse';
  }
}

interface Holder {
  readonly pid: number;
  readonly host: string;
  /** The boot and the PID namespace in which `pid` means that process: containers can share a host's name. */
  readonly world: string;
  /** When the process started, as the system tells it; '' where it does not. */
  readonly started: string;
}

const LOCK_NAME = /^lock\.(\d+)$/;
const HEARTBEAT_MS = 2_000;
/** A holder on another host cannot be asked; without a sign of life for this long it is taken for dead. */
const SILENCE_MS = 10_000;

/** Field 22 of /proc/PID/stat: tells a process from a later one that was given the same number. */
async function startOf(pid: number): Promise<string> {
  const line = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return line.slice(line.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}

/** '' where the system has no such notions. */
async function worldOfPids(): Promise<string> {
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '');
  const namespace = await readlink('/proc/self/ns/pid').catch(() => '');
  return `${boot.trim()} ${namespace}`.trim();
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

function parseHolder(text: string): Holder | null {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return null;
    const { pid, host, world, started } = { pid: null, host: null, world: null, started: null, ...value };
    if (typeof pid !== 'number' || typeof host !== 'string') return null;
    if (typeof world !== 'string' || typeof started !== 'string') return null;
    return { pid, host, world, started };
  } catch {
    return null;
  }
}

async function lockNumbers(directory: string): Promise<number[]> {
  const names = await readdir(directory);
  return names
    .flatMap((name) => LOCK_NAME.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => b - a);
}

/** @returns who holds the lock in `path`, or null when its holder is dead. */
async function livingHolder(path: string): Promise<Holder | null> {
  const holder = parseHolder(await readFile(path, 'utf8').catch(() => ''));
  if (holder === null) return null;
  if (holder.host !== hostname() || holder.world !== (await worldOfPids())) {
    const lastSign = await stat(path).then(
      (file) => file.mtimeMs,
      () => 0,
    );
    return Date.now() - lastSign < SILENCE_MS ? holder : null;
  }
  if (holder.pid === process.pid && holder.started === (await startOf(process.pid))) return holder;
  if (holder.pid === process.pid || !isRunning(holder.pid)) return null;
  return holder.started === (await startOf(holder.pid)) ? holder : null;
}

/** Creates `lock.N` whole or not at all. @returns whether it was this call that did. */
async function create(path: string, holder: Holder): Promise<boolean> {
  const draft = `${path}.${process.pid}.${randomUUID()}`;
  await writeFile(draft, JSON.stringify(holder), { flag: 'wx' });
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
}

/** Removes the locks of the dead. @throws {DataDirectoryInUse} when one of the others lives. */
async function outlive(directory: string, mine: number): Promise<void> {
  for (const number of await lockNumbers(directory)) {
    if (number === mine) continue;
    const path = join(directory, `lock.${number}`);
    const holder = await livingHolder(path);
    if (holder !== null) throw new DataDirectoryInUse(directory, holder);
    await rm(path, { force: true });
  }
}

/**
 * Takes `directory` for this process, or throws. A dead holder's lock is not removed to be made again, which two
 * processes could do at once, but outnumbered: `lock.N+1` is created, which only one can, and whoever then still sees
 * another's living lock steps back.
 * @param onLost told when another has taken the directory nevertheless, as when this process was suspended for long: it
 *   must not be written to any more.
 * @returns a function that gives the directory back.
 * @throws {DataDirectoryInUse} while its holder lives.
 */
export async function lockDataDirectory(
  directory: string,
  onLost: (error: Error) => void,
): Promise<() => Promise<void>> {
  const [highest = 0] = await lockNumbers(directory);
  const path = join(directory, `lock.${highest + 1}`);
  const holder = highest > 0 ? await livingHolder(join(directory, `lock.${highest}`)) : null;
  if (holder !== null) throw new DataDirectoryInUse(directory, holder);
  const me: Holder = {
    pid: process.pid,
    host: hostname(),
    world: await worldOfPids(),
    started: await startOf(process.pid),
  };
  if (!(await create(path, me))) return lockDataDirectory(directory, onLost);
  try {
    await outlive(directory, highest + 1);
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  }
  const heartbeat = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch((error: unknown) => {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
        clearInterval(heartbeat);
        onLost(new Error(`The lock of the data directory ${directory} was taken away from this process`));
      }
    });
  }, HEARTBEAT_MS);
  heartbeat.unref();
  return async () => {
    clearInterval(heartbeat);
    await rm(path, { force: true });
  };
}
