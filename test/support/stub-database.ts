import type { Database } from '../../dist/database/database.js';
import type { BoundStatement, Rows } from '../../dist/database/sql.js';
import type { OpenDatabase } from './service.ts';

const ID = '0199d3a4-7c1e-7b52-9d0f-3a2b1c4d5e6f';

/** A row as each statement returns it: of a list its state and `json`; of a write its outcome. */
export function stubRows({ statement: { name, access } }: BoundStatement, json = '{}'): Rows {
  if (access === 'read') return [name.startsWith('task_list') ? ['1', json] : [ID, '1', json]];
  return [[name.startsWith('task_insert') ? 'created' : 'changed', ID, '1', json]];
}

/** A database that answers every statement as it is told to, for tests of what stands in front of it. */
export function stubDatabase(
  transaction: Database['transaction'] = async (_identity, statements) => statements.map((bound) => stubRows(bound)),
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
    return statements.map((bound) => stubRows(bound, '{"held":true}'));
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
