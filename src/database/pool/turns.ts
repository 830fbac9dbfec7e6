import type { Identity } from '../identity.ts';
import type { BoundStatement, Rows } from '../sql.ts';

export interface QueuedTransaction {
  readonly identity: Identity;
  readonly statements: readonly BoundStatement[];
  readonly access: 'read' | 'write';
  /** From enqueueing to the answer, in milliseconds. */
  readonly deadlineMs: number;
  /** `performance.now()` */
  readonly enqueuedAt: number;
  readonly resolve: (results: readonly Rows[]) => void;
  readonly reject: (error: Error) => void;
  attempts: number;
  /** Among those in flight; -1 if it is not. */
  place: number;
}

const ownerOf = ({ identity }: QueuedTransaction) =>
  identity.kind === 'user' ? identity.userId : `\0${identity.kind}`; // no user id contains U+0000

/** The queue of a connection pool: users take turns, whatever each has queued; those of one user keep their order. */
export class Turns {
  /** In the order of the turns; no list is empty. */
  readonly #byOwner = new Map<string, QueuedTransaction[]>();

  get isEmpty(): boolean {
    return this.#byOwner.size === 0;
  }

  /** Queues behind the others of its user. */
  push(queued: QueuedTransaction): void {
    const owner = ownerOf(queued);
    const own = this.#byOwner.get(owner);
    if (own === undefined) this.#byOwner.set(owner, [queued]);
    else own.push(queued);
  }

  /** Queues one that has to be sent again, before the others of its user. */
  putBack(queued: QueuedTransaction): void {
    const owner = ownerOf(queued);
    const own = this.#byOwner.get(owner);
    if (own === undefined) this.#byOwner.set(owner, [queued]);
    else own.unshift(queued);
  }

  /**
   * Removes the first in the order of the turns that `send` accepts; its user's next turn comes after all others'.
   * @returns whether there was one.
   */
  sendNext(send: (queued: QueuedTransaction) => boolean): boolean {
    for (const [owner, own] of this.#byOwner) {
      const [first] = own;
      if (first === undefined || !send(first)) continue;
      this.#byOwner.delete(owner);
      own.shift();
      if (own.length > 0) this.#byOwner.set(owner, own);
      return true;
    }
    return false;
  }

  /** Removes those for which `keep` is false. */
  filter(keep: (queued: QueuedTransaction) => boolean): void {
    for (const [owner, own] of [...this.#byOwner]) {
      const kept = own.filter(keep);
      if (kept.length > 0) this.#byOwner.set(owner, kept);
      else this.#byOwner.delete(owner);
    }
  }
}
