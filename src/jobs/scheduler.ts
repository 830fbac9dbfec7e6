import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '../core/clock.ts';
import type { UserId } from '../core/user.ts';
import { type Job, JobRefusedError } from '../writes/job.ts';

/** Without writes, jobs have a turn this often: a database that scales to zero must not be kept running. */
const MAX_IDLE_MS = 86_400_000;

export interface SchedulerOptions {
  readonly jobs: readonly Job[];
  /** The time between two turns; the first comes after a random part of it. */
  readonly everyMs: number;
  readonly clock: Clock;
  /** No step is begun after it is aborted. */
  readonly signal: AbortSignal;
  /** Called after each step with the users whose rows it wrote. */
  readonly onWritten: (user: UserId) => void;
  readonly onWarning: (message: string, error: unknown) => void;
}

/** Runs jobs in turns, one step after another, and in no more than half of the time. */
export class JobScheduler {
  readonly #options: SchedulerOptions;
  #timer: NodeJS.Timeout | undefined;
  /** Whether something may have to be done since the last turn. */
  #isDue = true;
  #lastTurnAt = 0;
  #isRefused = false;

  constructor(options: SchedulerOptions) {
    this.#options = options;
    options.signal.addEventListener('abort', () => clearTimeout(this.#timer), { once: true });
    this.#schedule(Math.random() * options.everyMs);
  }

  /** Tells that something was written: the next turn is not left out. */
  noteWrite(): void {
    this.#isDue = true;
  }

  #schedule(ms: number): void {
    const { signal, everyMs } = this.#options;
    if (signal.aborted) return;
    this.#timer = setTimeout(() => void this.#turn().finally(() => this.#schedule(everyMs)), ms).unref();
  }

  async #turn(): Promise<void> {
    const { jobs, clock } = this.#options;
    if (!this.#isDue && clock() - this.#lastTurnAt < MAX_IDLE_MS) return;
    this.#isDue = false;
    this.#lastTurnAt = clock();
    for (const job of jobs) {
      try {
        await this.#run(job);
      } catch (error) {
        this.#report(job, error);
        return;
      }
    }
  }

  /** A failure is tried again at the next turn, unless it is a refusal, which is reported once. */
  #report({ title }: Job, error: unknown): void {
    const { onWarning } = this.#options;
    if (!(error instanceof JobRefusedError)) {
      this.#isDue = true;
      onWarning(`A background job failed and will be tried again: ${title}`, error);
    } else if (!this.#isRefused) {
      this.#isRefused = true;
      onWarning('Background jobs need a process whose database role may become todo_operator', error);
    }
  }

  async #run(job: Job): Promise<void> {
    const { signal, onWritten } = this.#options;
    while (!signal.aborted) {
      const startedAt = performance.now();
      const { users, isLast } = await job.step();
      for (const user of users) onWritten(user);
      if (isLast) return;
      await delay(performance.now() - startedAt, undefined, { ref: false });
    }
  }
}
