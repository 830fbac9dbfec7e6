import { RecentMap } from '../../core/recent-map.ts';

/** For each statement. */
const MAX_USERS = 10_000;

/** Of a question that is in flight for the first time. */
const BEING_MEASURED = -1;

/** Remembers how large the last answer to each user's reads was, to tell how much work the next one is. */
export class AnswerSizes {
  readonly #byStatement = new Map<string, RecentMap<string, number>>();

  /** @returns what to expect, in characters; null while the first answer is awaited, undefined before that. */
  get(statement: string, user: string): number | null | undefined {
    const size = this.#byStatement.get(statement)?.get(user);
    return size === BEING_MEASURED ? null : size;
  }

  /** The first of these is being sent. */
  measure(statement: string, user: string): void {
    this.#of(statement).set(user, BEING_MEASURED);
  }

  /** @param size null if there was no answer. */
  measured(statement: string, user: string, size: number | null): void {
    if (size !== null) this.#of(statement).set(user, size);
    else if (this.get(statement, user) === null) this.#of(statement).delete(user);
  }

  #of(statement: string): RecentMap<string, number> {
    const known = this.#byStatement.get(statement);
    if (known !== undefined) return known;
    const sizes = new RecentMap<string, number>(MAX_USERS);
    this.#byStatement.set(statement, sizes);
    return sizes;
  }
}
