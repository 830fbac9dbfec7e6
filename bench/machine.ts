import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** What a program prints, or null where it is not there or fails. */
export function output(command: string, args: readonly string[], cwd = ROOT): string | null {
  try {
    return execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return null;
  }
}

/** `1,4-6` as numbers. */
function coresOf(list: string): number[] {
  return list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}

/** Which core runs what; null lets the system choose. */
export interface Cores {
  readonly server: number | null;
  readonly load: number | null;
  readonly database: readonly number[] | null;
}

/** The server and the load on a core each where there are two, the database on the others where there are more. */
export function assignCores(): Cores {
  const allowed = output('taskset', ['-cp', String(process.pid)])?.split(':')[1];
  const [server, load, ...others] = allowed === undefined ? [] : coresOf(allowed.trim());
  if (server === undefined || load === undefined) return { server: null, load: null, database: null };
  return { server, load, database: others.length > 0 ? others : null };
}

/** A command that runs on `core` alone. */
export function onCore(core: number | null, command: readonly [string, ...string[]]): [string, ...string[]] {
  return core === null ? [...command] : ['taskset', '-c', String(core), ...command];
}

export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly node: string;
  readonly commit: string;
  /** What else the machine had to do when this was asked: processes that ran or waited to, over the last minute. */
  readonly load: number;
}

export function describeMachine(): Machine {
  const commit = output('git', ['rev-parse', '--short=12', 'HEAD']) ?? 'unknown';
  const changed = output('git', ['status', '--porcelain', '--', 'src', 'bench']) ?? '';
  return {
    processor: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
    load: loadavg()[0] ?? 0,
    commit: changed === '' ? commit : `${commit} with changes`,
  };
}

interface ProcessStat {
  readonly parent: number;
  /** Of the process and of its children that have ended. */
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

/** A process and all that came of it. */
function familyOf(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const entry of readdirSync('/proc')) {
    const parent = /^\d+$/.test(entry) ? parentOf(Number(entry)) : null;
    if (parent !== null) children.set(parent, [...(children.get(parent) ?? []), Number(entry)]);
  }
  const gather = (member: number): number[] => [member, ...(children.get(member) ?? []).flatMap(gather)];
  return gather(pid);
}

/** CPU time that a process and all that came of it have used, or null where the system does not tell. */
export function cpuMicroseconds(pid: number): number | null {
  if (!existsSync('/proc/self/stat')) return null;
  const stats = familyOf(pid).map(statOf);
  return (stats.reduce((sum, stat) => sum + (stat?.cpuTicks ?? 0), 0) * 1e6) / TICKS_PER_SECOND;
}

/** Resident memory of a process and all that came of it, or null where the system does not tell. */
export function residentMiB(pid: number): number | null {
  if (!existsSync('/proc/self/status')) return null;
  const sizes = familyOf(pid).map((member) => {
    try {
      return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${member}/status`, 'latin1'))?.[1] ?? 0);
    } catch {
      return 0;
    }
  });
  return sizes.reduce((sum, size) => sum + size, 0) / 1024;
}
