import { setTimeout as delay } from 'node:timers/promises';
import type { Checks } from '../checks.ts';
import type { Random } from '../random.ts';
import type { Fleet } from './fleet.ts';
import type { Spread } from './spread.ts';

interface FaultOptions {
  readonly random: Random;
  readonly spread: Spread;
  readonly fleet: Fleet;
  readonly size: number;
  readonly checks: Checks;
  /** How long a process is left alone after its start. */
  readonly restMs: number;
  /** Ends up to so many connections to the database. @returns how many. */
  readonly terminate: (most: number) => Promise<number>;
  /** Ends a connection to the database instead of passing on its next answer. @returns how many. */
  readonly loseDatabaseAnswer: () => number;
}

/** Cuts connections of clients and of the database, loses answers, kills and stops processes, at random, until the end. */
export class Faults {
  readonly #options: FaultOptions;
  #replacing: Promise<void> | null = null;
  #restUntil = performance.now();
  cut = 0;
  lost = 0;
  terminated = 0;
  lostByDatabase = 0;

  constructor(options: FaultOptions) {
    this.#options = options;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { random, spread, fleet, terminate, loseDatabaseAnswer } = this.#options;
    while (!signal.aborted) {
      await delay(20 + random.below(160), undefined, { signal }).catch(() => undefined);
      const [choice, count] = [random.below(100), 1 + random.below(6)];
      if (choice < 20) {
        spread.cut(count, random);
        this.cut += count;
      } else if (choice < 45) {
        spread.loseAnswers(count);
        this.lost += count;
      } else if (choice < 70) {
        this.lostByDatabase += loseDatabaseAnswer();
      } else if (choice < 84) this.terminated += await terminate(choice < 81 ? 1 : 100);
      else this.#replace(choice < 95 || fleet.killed === 0 ? 'SIGKILL' : 'SIGTERM', count);
    }
    await this.#replacing;
    spread.loseAnswers(0);
  }

  #replace(signal: 'SIGKILL' | 'SIGTERM', number: number): void {
    const { fleet, size, checks, restMs } = this.#options;
    if (this.#replacing !== null || performance.now() < this.#restUntil) return;
    this.#replacing = fleet.replace(number % size, signal).then(
      (code) => {
        this.#replacing = null;
        this.#restUntil = performance.now() + restMs;
        checks.expect(signal === 'SIGKILL' || code === 0, `a process exited with ${code}`);
      },
      (error: unknown) => checks.expect(false, `a process was not replaced: ${error}`),
    );
  }
}
