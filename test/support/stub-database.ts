import type { Database } from '../../dist/database/database.js';
import type { BoundStatement, Rows } from '../../dist/database/sql.js';
import type { OpenDatabase } from './service.ts';

const ID = '0199d3a4-7c1e-7b52-9d0f-3a2b1c4d5e6f';

const EPOCH = '29f1d20d-65b1-4dba-ad13-bed0fe5159c3';

/** What the statements return, by the beginning of their names; `json` is a task or the list. The others return no row. */
const ROWS: readonly (readonly [name: RegExp, rows: (json: string) => Rows])[] = [
  [/^task_list(_short)?$/, (json) => [['1', json]]],
  [/^user_state$/, () => [['1']]],
  [/^task_get$/, (json) => [[ID, '1', json]]],
  [/^changes_read$/, () => [['1', EPOCH, '0', null]]],
  [/^task_insert/, (json) => [['created', ID, '1', json]]],
  [/^task_(put|update|toggle|restore)/, (json) => [['changed', ID, '1', json]]],
  [/^task_delete/, () => [['deleted', ID, '1', null]]],
  [/^batch_counter/, () => [['changed', null, '1', null]]],
];

/** The rows of a statement, as the database of a user with one task returns them. */
export function stubRows({ statement: { name } }: BoundStatement, json = '{}'): Rows {
  const own = name.replace(/_[0-9a-f]{8}$/, '');
  return ROWS.find(([pattern]) => pattern.test(own))?.[1](json) ?? [];
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
