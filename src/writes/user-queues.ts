import { setImmediate as nextTurn } from 'node:timers/promises';
import type { UserId } from '../core/user.ts';

/** The jobs of one user that wait while others of theirs run. */
interface UserQueue<Job> {
  readonly userId: UserId;
  readonly waiting: Job[];
}

/**
 * Turns of the event loop between jobs that ran together and the next ones: so long it takes the requests that had to wait
 * for those just answered (`http/user-concurrency.ts`) to arrive here. Without, one and seven run in turns.
 */
const GATHERING_TURNS = 3;

/** Runs the jobs of each user one after the other; those that come meanwhile are run together. */
export class UserQueues<Job> {
  readonly #run: (jobs: readonly Job[]) => Promise<void>;
  /** Of the users whose jobs run; an array, because it changes with every job (decision 11). */
  readonly #queues: UserQueue<Job>[] = [];

  /** @param run never rejects. */
  constructor(run: (jobs: readonly Job[]) => Promise<void>) {
    this.#run = run;
  }

  /** Runs `job` now, or after those of its user that run. */
  push(userId: UserId, job: Job): void {
    const queue = this.#queues.find((one) => one.userId === userId);
    if (queue === undefined) void this.#start(userId, job);
    else queue.waiting.push(job);
  }

  async #start(userId: UserId, job: Job): Promise<void> {
    const queue: UserQueue<Job> = { userId, waiting: [job] };
    this.#queues.push(queue);
    while (queue.waiting.length > 0) {
      const jobs = queue.waiting.splice(0);
      await this.#run(jobs);
      for (let turn = 0; turn < GATHERING_TURNS && jobs.length > 1; turn += 1) await nextTurn();
    }
    const last = this.#queues.pop();
    const index = this.#queues.indexOf(queue);
    if (last !== undefined && index !== -1) this.#queues[index] = last;
  }
}
