import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** The trimmed standard output of a program, or null if it is missing or fails. */
export function output(
  command: string,
  args: readonly string[],
  { cwd = ROOT, environment = {} }: { cwd?: string; environment?: Readonly<Record<string, string>> } = {},
): string | null {
  try {
    const env = { ...process.env, ...environment };
    return execFileSync(command, args, { cwd, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return null;
  }
}

/** The numbers in a list such as `1,4-6`. */
function coresOf(list: string): number[] {
  return list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}

/** CPU cores by role; null leaves the choice to the scheduler. */
export interface Cores {
  readonly server: readonly number[] | null;
  readonly load: readonly number[] | null;
  readonly database: readonly number[] | null;
  /** Of a server with an embedded database. */
  readonly serverWithDatabase: readonly number[] | null;
}

/** One core each for the server and the load if there are two; the database has the others if there are more. */
export function assignCores(): Cores {
  const allowed = output('taskset', ['-cp', String(process.pid)])?.split(':')[1];
  const [server, load, ...others] = allowed === undefined ? [] : coresOf(allowed.trim());
  if (server === undefined || load === undefined) {
    return { server: null, load: null, database: null, serverWithDatabase: null };
  }
  const database = others.length > 0 ? others : null;
  return { server: [server], load: [load], database, serverWithDatabase: database && [server, ...database] };
}

/** A command that runs on `cores` alone. */
export function onCores(
  cores: readonly number[] | null,
  command: readonly [string, ...string[]],
): [string, ...string[]] {
  return cores === null ? [...command] : ['taskset', '-c', cores.join(','), ...command];
}

export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly commit: string;
  /** The load average over one minute before the run. */
  readonly load: number;
}

/** The commit of the checkout at `folder`, and whether its program differs from it. */
export function commitOf(folder: string): string {
  const commit = output('git', ['rev-parse', '--short=12', 'HEAD'], { cwd: folder }) ?? 'unknown';
  const changed = output('git', ['status', '--porcelain', '--', 'src', 'bench'], { cwd: folder }) ?? '';
  return changed === '' ? commit : `${commit} with changes`;
}

export function describeMachine(): Machine {
  return {
    processor: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    load: loadavg()[0] ?? 0,
    commit: commitOf(ROOT),
  };
}

interface ProcessStat {
  readonly parent: number;
  /** Of the process and its exited children. */
  readonly cpuTicks: number;
}

const TICKS_PER_SECOND = Number(output('getconf', ['CLK_TCK']) ?? 100);

function statOf(pid: number): ProcessStat | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = text
      .slice(text.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
    const [user = 0, system = 0, childUser = 0, childSystem = 0] = fields.slice(11, 15);
    return { parent: fields[1] ?? 0, cpuTicks: user + system + childUser + childSystem };
  } catch {
    return null;
  }
}

export function parentOf(pid: number): number | null {
  return statOf(pid)?.parent ?? null;
}

/** A process and its descendants. */
function processTree(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const entry of readdirSync('/proc')) {
    const parent = /^\d+$/.test(entry) ? parentOf(Number(entry)) : null;
    if (parent !== null) children.set(parent, [...(children.get(parent) ?? []), Number(entry)]);
  }
  const collect = (member: number): number[] => [member, ...(children.get(member) ?? []).flatMap(collect)];
  return collect(pid);
}

/** CPU time used by a process and its descendants; null without /proc. */
export function cpuMicroseconds(pid: number): number | null {
  if (!existsSync('/proc/self/stat')) return null;
  const stats = processTree(pid).map(statOf);
  return (stats.reduce((sum, stat) => sum + (stat?.cpuTicks ?? 0), 0) * 1e6) / TICKS_PER_SECOND;
}

/** Resident memory of a process and its descendants; null without /proc. */
export function residentMiB(pid: number): number | null {
  if (!existsSync('/proc/self/status')) return null;
  const sizes = processTree(pid).map((member) => {
    try {
      return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${member}/status`, 'latin1'))?.[1] ?? 0);
    } catch {
      return 0;
    }
  });
  return sizes.reduce((sum, size) => sum + size, 0) / 1024;
}
