import type { Database } from '../../dist/database/database.js';
import type { OpenDatabase } from './service.ts';

/** A database that answers every statement as it is told to, for tests of what stands in front of it. */
export function stubDatabase(
  transaction: Database['transaction'] = async (_identity, statements) => statements.map(() => [['{}', '{}']]),
): OpenDatabase {
  const nothing = async () => undefined;
  return {
    database: { transaction, ping: nothing, close: nothing },
    place: '',
    warnings: [],
    analyze: nothing,
    remove: nothing,
  };
}

/** A database that keeps everybody waiting. */
export interface HeldDatabase {
  readonly opened: OpenDatabase;
  /** How many statements wait. */
  readonly count: number;
  /** Resolves once `count` statements wait. */
  waiting(count: number): Promise<void>;
  /** Answers whatever waits. */
  release(): void;
}

export function heldDatabase(): HeldDatabase {
  const held: (() => void)[] = [];
  let awaited = { count: Number.POSITIVE_INFINITY, reached: () => {} };
  const check = () => {
    if (held.length >= awaited.count) awaited.reached();
  };
  const opened = stubDatabase(async (_identity, statements) => {
    await new Promise<void>((resolve) => {
      held.push(resolve);
      check();
    });
    return statements.map(() => [['{"held":true}', '{"held":true}']]);
  });
  return {
    opened,
    get count() {
      return held.length;
    },
    waiting: (count) =>
      new Promise((reached) => {
        awaited = { count, reached };
        check();
      }),
    release: () => {
      for (const resolve of held.splice(0)) resolve();
    },
  };
}
