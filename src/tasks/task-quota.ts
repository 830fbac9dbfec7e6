import { RecentMap } from '../core/recent-map.ts';
import type { UserId } from '../core/user.ts';

/** Creates of one user that may follow a count. */
const CREATES_PER_COUNT = 1_000;
const MAX_USERS = 10_000;

/** What a create that counts has found: how many tasks there were before it. */
interface Counted<Result> {
  readonly stored: number;
  readonly result: Result;
}

/**
 * Tells which creates have to count the user's tasks first, which takes the longer the more there are: one in 1000, and
 * each of the last 2000 below the limit, one at a time.
 */
export class TaskQuota {
  readonly #limit: number;
  /** How many creates may still follow the last count. */
  readonly #left = new RecentMap<UserId, number>(MAX_USERS);
  readonly #counting = new Map<UserId, Promise<Counted<unknown>>>();

  /** @param limit tasks of one user; 0 is none. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /**
   * @param create creates a task.
   * @param countAndCreate fails if the limit is reached, else creates a task.
   */
  async create<Result>(
    userId: UserId,
    create: () => Promise<Result>,
    countAndCreate: () => Promise<Counted<Result>>,
  ): Promise<Result> {
    for (;;) {
      if (this.#limit === 0 || this.#spend(userId)) return create();
      const counting = this.#counting.get(userId);
      if (counting === undefined) break;
      await counting.catch(() => undefined);
    }
    const counting = countAndCreate();
    this.#counting.set(userId, counting);
    try {
      const { stored, result } = await counting;
      // Creates in flight, of which the count knows nothing, are at most those that the last count allowed.
      const mayFollow = stored + 2 * CREATES_PER_COUNT < this.#limit;
      this.#left.set(userId, mayFollow ? CREATES_PER_COUNT : 0);
      return result;
    } finally {
      this.#counting.delete(userId);
    }
  }

  #spend(userId: UserId): boolean {
    const left = this.#left.get(userId) ?? 0;
    if (left > 0) this.#left.set(userId, left - 1);
    return left > 0;
  }
}
