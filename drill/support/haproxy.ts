import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, chownSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { killOnExit } from '../../test/support/children.ts';
import { freePort, type PostgresServer, SERVER_USER } from '../../test/support/postgres-server.ts';
import { temporaryFolder } from '../../test/support/process.ts';

const PROGRAM = '/usr/sbin/haproxy';
const PAGE = new URL('../../docs/operations.md', import.meta.url);
const UP_TIMEOUT_MS = 20_000;

/** The configuration in docs/operations.md, with the addresses of `replacements` in place of its own. */
function configuration(replacements: Readonly<Record<string, string>>): string {
  const written = /```haproxy\n([\s\S]*?)```/.exec(readFileSync(PAGE, 'utf8'))?.[1];
  if (written === undefined) throw new Error('docs/operations.md has no configuration of HAProxy');
  return Object.entries(replacements).reduce((text, [address, replacement]) => {
    if (!text.includes(address)) throw new Error(`The configuration in docs/operations.md does not have ${address}`);
    return text.replace(address, replacement);
  }, written);
}

/** HAProxy in front of two PostgreSQL servers, configured as in docs/operations.md. */
export class Haproxy {
  /** The URL of a database, through HAProxy. */
  readonly url: string;
  readonly #socket: string;
  readonly #process: ChildProcess;
  readonly #folder: { readonly remove: () => void };

  private constructor(url: string, socket: string, started: ChildProcess, folder: { readonly remove: () => void }) {
    this.url = url;
    this.#socket = socket;
    this.#process = started;
    this.#folder = folder;
  }

  /** @throws where HAProxy is not installed. */
  static async start(first: PostgresServer, second: PostgresServer): Promise<Haproxy> {
    if (!existsSync(PROGRAM)) throw new Error('NOT RUN: haproxy is not installed');
    const folder = temporaryFolder();
    chmodSync(folder.path, 0o755);
    if (SERVER_USER !== undefined) chownSync(folder.path, SERVER_USER, SERVER_USER);
    const [port, socket, file] = [await freePort(), join(folder.path, 'stats'), join(folder.path, 'haproxy.cfg')];
    const text = configuration({
      ':5432': `127.0.0.1:${port}`,
      '10.0.0.1:5432': `127.0.0.1:${first.port}`,
      '10.0.0.2:5432': `127.0.0.1:${second.port}`,
    });
    writeFileSync(file, `global\n  stats socket ${socket}\n\n${text}`);
    const started = spawn(PROGRAM, ['-db', '-f', file], { uid: SERVER_USER, gid: SERVER_USER, stdio: 'ignore' });
    killOnExit(started);
    return new Haproxy(`postgresql://postgres@127.0.0.1:${port}/postgres`, socket, started, folder);
  }

  /** Resolves once connections go to `first`, to `second`, or nowhere. @throws after 20 s. */
  async until(up: 'first' | 'second' | null): Promise<void> {
    const deadline = performance.now() + UP_TIMEOUT_MS;
    const expected = up === null ? '' : up;
    while ((await this.#up()) !== expected) {
      if (performance.now() > deadline) throw new Error(`HAProxy does not send connections to ${up ?? 'no server'}`);
      await delay(20);
    }
  }

  remove(): void {
    this.#process.kill('SIGKILL');
    this.#folder.remove();
  }

  /** The names of the servers that are up; `unknown` while HAProxy cannot be asked. */
  async #up(): Promise<string> {
    const socket = connect(this.#socket);
    socket.end('show stat\n');
    let csv = '';
    try {
      for await (const chunk of socket) csv += String(chunk);
    } catch {
      return 'unknown';
    }
    const [names = [], ...rows] = csv.split('\n').map((line) => line.split(','));
    const [name, status] = [names.indexOf('svname'), names.indexOf('status')];
    const servers = rows.filter((row) => ['first', 'second'].includes(row[name] ?? ''));
    return servers.flatMap((row) => (row[status]?.startsWith('UP') ? [row[name]] : [])).join(' and ');
  }
}
