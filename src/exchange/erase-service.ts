import type { Principal } from '../core/user.ts';
import type { Writer } from '../writes/writer.ts';
import { ERASED_AT_ONCE, eraseLists, eraseReplies, eraseTasks, renewEpoch } from './exchange-sql.ts';

/** How much was erased. */
export interface Erased {
  /** Deleted ones too. */
  readonly tasks: number;
  readonly lists: number;
  /** Kept for retries with an idempotency key. */
  readonly replies: number;
}

export interface EraseService {
  /**
   * Erases all that the user has, in pieces; the counter goes on in a new epoch. What others of the user's requests write
   * meanwhile is erased too, or not. @throws {AppError} as `Writer.write` does: some may then have been erased.
   */
  erase(user: Principal): Promise<Erased>;
}

export function createEraseService(writer: Writer): EraseService {
  return {
    erase: async (user) => {
      const owner = user.userId;
      const effects = [eraseTasks({ owner }), eraseLists({ owner }), eraseReplies({ owner }), renewEpoch({ owner })];
      const erased = { tasks: 0, lists: 0, replies: 0 };
      for (;;) {
        const { outcomes } = await writer.write(user, { effects, isAtomic: false, retry: null });
        const [tasks = 0, lists = 0, replies = 0] = outcomes.map(({ version }) => version ?? 0);
        erased.tasks += tasks;
        erased.lists += lists;
        erased.replies += replies;
        if (Math.max(tasks, lists, replies) < ERASED_AT_ONCE) return erased;
      }
    },
  };
}
