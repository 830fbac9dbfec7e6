import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { killOnExit } from './children.ts';
import { freePort, SERVER_USER, waitForPostgres } from './postgres-server.ts';

/** The path of pgbouncer; null if it is not installed. */
export function findPgbouncer(): string | null {
  return ['/usr/sbin/pgbouncer', '/usr/bin/pgbouncer'].find((path) => existsSync(path)) ?? null;
}

/** PgBouncer in transaction mode with three server connections to the database at `target`. */
export class Pooler {
  readonly #program: string;
  readonly #folder: string;
  readonly url: string;
  #process: ChildProcess | null = null;

  private constructor(program: string, target: URL, port: number) {
    this.#program = program;
    this.#folder = mkdtempSync(join(tmpdir(), 'todo-api-pgbouncer-'));
    chmodSync(this.#folder, 0o755);
    const name = target.pathname.slice(1);
    const user = target.username;
    writeFileSync(join(this.#folder, 'users.txt'), `"${user}" ""\n`);
    writeFileSync(
      join(this.#folder, 'pgbouncer.ini'),
      `[databases]
${name} = host=${target.hostname} port=${target.port} dbname=${name}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = trust
pool_mode = transaction
default_pool_size = 3
max_client_conn = 200
auth_file = ${join(this.#folder, 'users.txt')}
`,
    );
    this.url = `postgresql://${user}@127.0.0.1:${port}/${name}`;
  }

  /** Starts PgBouncer on a free port of the loopback interface. */
  static async create(program: string, target: URL): Promise<Pooler> {
    const pooler = new Pooler(program, target, await freePort());
    await pooler.start();
    return pooler;
  }

  async start(): Promise<void> {
    this.#process = spawn(this.#program, ['-q', join(this.#folder, 'pgbouncer.ini')], {
      uid: SERVER_USER,
      gid: SERVER_USER,
      stdio: 'ignore',
    });
    killOnExit(this.#process);
    await waitForPostgres(this.url);
  }

  /** kill -9. */
  async stop(): Promise<void> {
    const running = this.#process;
    this.#process = null;
    if (running === null || running.exitCode !== null) return;
    const ended = new Promise((resolve) => running.once('exit', resolve));
    running.kill('SIGKILL');
    await ended;
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
