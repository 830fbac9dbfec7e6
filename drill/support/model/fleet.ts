import type { RunningService } from '../../../test/support/process.ts';
import type { ServiceUnderTest } from '../service-under-test.ts';
import type { Spread } from './spread.ts';

interface Member {
  readonly process: RunningService;
  readonly port: number;
}

/** Processes of one service behind one port. */
export class Fleet {
  readonly #service: ServiceUnderTest;
  readonly #spread: Spread;
  readonly #members: (Member | null)[];
  killed = 0;
  stopped = 0;

  constructor(service: ServiceUnderTest, spread: Spread, size: number) {
    this.#service = service;
    this.#spread = spread;
    this.#members = Array.from({ length: size }, () => null);
  }

  async start(): Promise<void> {
    for (const index of this.#members.keys()) await this.#startOne(index);
  }

  /** Ends a process, SIGTERM or SIGKILL, and starts another. @returns the exit code, null if it was killed. */
  async replace(index: number, signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null> {
    const member = this.#members[index] ?? null;
    if (member === null) return null;
    if (signal === 'SIGTERM') this.#leave(index);
    const code = await member.process.stop(signal);
    this.#leave(index);
    if (signal === 'SIGTERM') this.stopped += 1;
    else this.killed += 1;
    await this.#startOne(index);
    return code;
  }

  /** Stops all. @returns their exit codes. */
  async stop(): Promise<readonly (number | null)[]> {
    return Promise.all(this.#members.map((member) => member?.process.stop() ?? null));
  }

  #leave(index: number): void {
    this.#members[index] = null;
    this.#lead();
  }

  async #startOne(index: number): Promise<void> {
    const process = this.#service.spawn();
    const { port } = new URL(await process.listening());
    this.#members[index] = { process, port: Number(port) };
    this.#lead();
  }

  #lead(): void {
    this.#spread.lead(this.#members.flatMap((member) => (member === null ? [] : [member.port])));
  }
}
