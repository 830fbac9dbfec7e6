import { setTimeout as delay } from 'node:timers/promises';
import { RunningService, temporaryFolder } from '../../test/support/process.ts';
import { SECRET } from '../../test/support/service.ts';
import { Client } from './client.ts';

const START_TIMEOUT_MS = 20_000;

/** Polls `/health` until it is 200, for log levels at which the service does not log its port. */
async function waitForHealth(origin: string): Promise<void> {
  const client = new Client();
  const deadline = performance.now() + START_TIMEOUT_MS;
  while ((await client.request(`${origin}/health`)).status !== 200) {
    if (performance.now() > deadline) throw new Error(`No response from ${origin}`);
    await delay(20);
  }
  client.close();
}

/** The compiled program, started any number of times with the same settings in the same temporary directory. */
export class ServiceUnderTest {
  readonly #settings: Readonly<Record<string, string>>;
  readonly #folder = temporaryFolder();
  readonly #processes: RunningService[] = [];
  #current: RunningService | null = null;
  /** Where requests are sent: the process that was started last, unless a drill changes it. */
  origin = '';

  constructor(settings: Readonly<Record<string, string>>) {
    this.#settings = { JWT_SECRET: new TextDecoder().decode(SECRET), ...settings };
  }

  /** The working directory; an embedded database is in its `data`. */
  get directory(): string {
    return this.#folder.path;
  }

  get port(): number {
    return Number(new URL(this.origin).port);
  }

  /** The process that requests are sent to. @throws before the first start. */
  get process(): RunningService {
    if (this.#current === null) throw new Error('The service has not been started');
    return this.#current;
  }

  get isRunning(): boolean {
    const { exitCode, signalCode } = this.process.child;
    return exitCode === null && signalCode === null;
  }

  /** Starts a process without waiting for it. @param args of a command: `['backup', path]`. */
  spawn(args: readonly string[] = [], settings: Readonly<Record<string, string>> = {}): RunningService {
    const service = new RunningService({ ...this.#settings, ...settings }, this.directory, args);
    this.#processes.push(service);
    return service;
  }

  /** Starts a process, waits until it serves, and sends requests there from now on. */
  async start(settings: Readonly<Record<string, string>> = {}): Promise<RunningService> {
    const service = this.spawn([], settings);
    const { PORT } = settings;
    const origin = PORT === undefined ? await service.listening() : `http://127.0.0.1:${PORT}`;
    if (PORT !== undefined) await waitForHealth(origin);
    this.origin = origin;
    this.#current = service;
    return service;
  }

  /**
   * Starts two processes at once and sends requests to the one that serves.
   * @returns the other, which has exited. @throws when both serve, or neither.
   */
  async startTwo(): Promise<RunningService> {
    const pair = [this.spawn(), this.spawn()] as const;
    const [first, second] = await Promise.all(pair.map((service) => service.listening().catch(() => null)));
    const origins = [first, second].filter((origin) => typeof origin === 'string');
    const [origin] = origins;
    if (origin === undefined || origins.length > 1) throw new Error(`${origins.length} of 2 processes serve`);
    this.origin = origin;
    this.#current = pair[first === null ? 1 : 0];
    return pair[first === null ? 0 : 1];
  }

  /** Ends the process with SIGKILL and starts another. */
  async killAndRestart(): Promise<void> {
    await this.process.stop('SIGKILL');
    await this.start();
  }

  /** Whether any of the processes has logged this request id. */
  hasLogged(requestId: string): boolean {
    return this.#processes.some(({ stdout }) => stdout.includes(requestId));
  }

  /** Kills every process that still runs, and deletes the directory. */
  async remove(): Promise<void> {
    await Promise.all(this.#processes.map((service) => service.stop('SIGKILL')));
    this.#folder.remove();
  }
}
