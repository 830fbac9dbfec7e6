import { type ChildProcess, spawn } from 'node:child_process';
import { openSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { freePort } from '../test/support/postgres-server.ts';
import { cpuMicroseconds, onCore, residentMiB } from './machine.ts';

/** How a contender's server is started; `PORT` is added to `environment`. */
export interface ServerCommand {
  readonly command: readonly [string, ...string[]];
  readonly environment: Readonly<Record<string, string>>;
  readonly cwd: string;
}

const START_WITHIN_MS = 30_000;
const POLL_MS = 5;
const STOP_WITHIN_MS = 10_000;

/** Whatever is still there when this process ends, however it ends, ends with it. */
const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

function statusOf(port: number, token: string): Promise<number | null> {
  return new Promise((resolve) => {
    const headers = { authorization: `Bearer ${token}` };
    const sent = request({ port, host: '127.0.0.1', path: '/api/tasks', headers, agent: false }, (response) => {
      response.resume().once('end', () => resolve(response.statusCode ?? null));
    });
    sent.once('error', () => resolve(null)).end();
  });
}

/** A contender's server process, from its start to its first answer and on to its end. */
export class RunningServer {
  readonly port: number;
  /** From the start of the process to the end of its first good answer to a list. */
  readonly startMs: number;
  readonly #process: ChildProcess;

  private constructor(started: ChildProcess, port: number, startMs: number) {
    this.#process = started;
    this.port = port;
    this.startMs = startMs;
  }

  /** @throws when it has not answered a list for the bearer of `token` within half a minute. */
  static async start(
    server: ServerCommand,
    options: { name: string; core: number | null; token: string; logs: string },
  ) {
    const port = await freePort();
    const logPath = join(options.logs, `${options.name}-${port}.log`);
    const log = openSync(logPath, 'a');
    const command = server.command.map((word) => word.replace('{port}', String(port)));
    const [program, ...args] = onCore(options.core, [command[0] ?? '', ...command.slice(1)]);
    const startedAt = performance.now();
    const started = spawn(program, args, {
      cwd: server.cwd,
      stdio: ['ignore', log, log],
      env: { PATH: process.env.PATH, ...server.environment, PORT: String(port) },
    });
    running.add(started);
    started.once('exit', () => running.delete(started));
    let failure: string | null = null;
    started.once('error', (error) => {
      failure = error.message;
    });
    while (performance.now() - startedAt < START_WITHIN_MS && started.exitCode === null && failure === null) {
      if ((await statusOf(port, options.token)) === 200) {
        return new RunningServer(started, port, performance.now() - startedAt);
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    started.kill('SIGKILL');
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
    const ended = new Promise((resolve) => this.#process.once('exit', resolve));
    const impatient = setTimeout(() => this.#process.kill('SIGKILL'), STOP_WITHIN_MS);
    this.#process.kill('SIGTERM');
    await ended;
    clearTimeout(impatient);
  }
}
