import { type ChildProcess, spawn } from 'node:child_process';
import { openSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { freePort } from '../test/support/postgres-server.ts';
import type { ApiRequest } from './api.ts';
import { cpuMicroseconds, onCores, residentMiB } from './machine.ts';

/** How to start a server: `{port}` in `command` is replaced, `PORT` is added to `environment`. */
export interface ServerCommand {
  readonly command: readonly [string, ...string[]];
  readonly environment: Readonly<Record<string, string>>;
  readonly cwd: string;
}

const START_TIMEOUT_MS = 30_000;
const POLL_INTERVAL_MS = 5;
const STOP_TIMEOUT_MS = 10_000;

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

function statusOf(port: number, { path, token }: ApiRequest): Promise<number | null> {
  return new Promise((resolve) => {
    const headers = { authorization: `Bearer ${token}` };
    const sent = request({ port, host: '127.0.0.1', path, headers, agent: false }, (response) => {
      response.resume().once('end', () => resolve(response.statusCode ?? null));
    });
    sent.once('error', () => resolve(null)).end();
  });
}

/** A running server of a contender. */
export class ServerProcess {
  readonly port: number;
  /** From the start of the process to the end of its first successful response. */
  readonly startMs: number;
  readonly #process: ChildProcess;

  private constructor(child: ChildProcess, port: number, startMs: number) {
    this.#process = child;
    this.port = port;
    this.startMs = startMs;
  }

  /** @throws if `probe` is not answered as expected within 30 s. */
  static async start(
    server: ServerCommand,
    options: { name: string; cores: readonly number[] | null; probe: ApiRequest; logFolder: string },
  ) {
    const port = await freePort();
    const logPath = join(options.logFolder, `${options.name}-${port}.log`);
    const log = openSync(logPath, 'a');
    const [executable, ...words] = server.command;
    const command = words.map((word) => word.replace('{port}', String(port)));
    const [program, ...args] = onCores(options.cores, [executable, ...command]);
    const startedAt = performance.now();
    const child = spawn(program, args, {
      cwd: server.cwd,
      stdio: ['ignore', log, log],
      env: { PATH: process.env.PATH, ...server.environment, PORT: String(port) },
    });
    running.add(child);
    child.once('exit', () => running.delete(child));
    let failure: string | null = null;
    child.once('error', (error) => {
      failure = error.message;
    });
    while (performance.now() - startedAt < START_TIMEOUT_MS && child.exitCode === null && failure === null) {
      if ((await statusOf(port, options.probe)) === options.probe.status) {
        return new ServerProcess(child, port, performance.now() - startedAt);
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL_MS));
    }
    child.kill('SIGKILL');
    throw new Error(`${options.name} did not start: ${failure ?? readFileSync(logPath, 'utf8').slice(-2000)}`);
  }

  cpuMicroseconds(): number | null {
    return this.#process.pid === undefined ? null : cpuMicroseconds(this.#process.pid);
  }

  residentMiB(): number | null {
    return this.#process.pid === undefined ? null : residentMiB(this.#process.pid);
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const exited = new Promise((resolve) => this.#process.once('exit', resolve));
    const timeout = setTimeout(() => this.#process.kill('SIGKILL'), STOP_TIMEOUT_MS);
    this.#process.kill('SIGTERM');
    await exited;
    clearTimeout(timeout);
  }
}
