import type { Principal } from '../core/user.ts';

/** A list, as import and export need it: `json` is text of its schema. */
interface ExchangedList {
  readonly id: string;
  readonly name: string;
  readonly json: string;
}

/** What import and export need of lists. */
export interface ListPort {
  /** Those that are not deleted. */
  all(user: Principal): Promise<readonly ExchangedList[]>;
  /** Makes a list unless one has the id. @returns what is wrong, or null. */
  create(user: Principal, id: string, fields: Readonly<Record<string, unknown>>): Promise<string | null>;
}

/** Where there are no lists: all tasks are in the inbox. */
export const NO_LISTS: ListPort = { all: async () => [], create: async () => null };
