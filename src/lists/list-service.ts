import { AppError } from '../core/errors.ts';
import type { Principal } from '../core/user.ts';
import type { Database } from '../database/database.ts';
import type { BoundStatement, Row } from '../database/sql.ts';
import type { Expected } from '../tasks/parts-sql.ts';
import type { Effect, Retry } from '../writes/effect.ts';
import type { WriteResult } from '../writes/outcome.ts';
import { type Writer, writeOne } from '../writes/writer.ts';
import type { ListCreate, ListId, ListUpdate, TasksOfDeleted } from './list.ts';
import type { ListEffects } from './list-effects.ts';
import { getList, listLists } from './list-sql.ts';

/** How a write is guarded: the versions on which it may be made (null for any), and its idempotency key. */
interface Guard {
  readonly expected: Expected;
  readonly retry: Retry | null;
}

/** The use cases: what a user may do with their lists, through any door. `json` is text that the database built. */
export interface ListService {
  /** All lists by position, JSON of the schema `Lists`; null if the state of what the user has is `known`. */
  list(user: Principal, known: string | null): Promise<{ readonly state: string; readonly json: string | null }>;
  /** @throws {AppError} `NOT_FOUND` if the user has no such list. */
  get(user: Principal, id: ListId): Promise<{ readonly version: number; readonly json: string }>;
  /** Creates a list under an id of the service's. Outcomes: `created`, `limit`. */
  create(user: Principal, list: ListCreate, retry: Retry | null): Promise<WriteResult>;
  /** Creates a list under the user's id. Outcomes: `created`, `exists`, `taken`, `limit`. */
  createAs(user: Principal, id: ListId, list: ListCreate, retry: Retry | null): Promise<WriteResult>;
  /** Changes the given fields and no others. Outcomes: `changed`, `missing`, `stale`. */
  update(user: Principal, id: ListId, changes: ListUpdate, guard: Guard): Promise<WriteResult>;
  /** Deletes the list, and moves its tasks to the inbox or deletes them. Outcomes: `deleted`, `missing`, `stale`. */
  delete(user: Principal, id: ListId, tasks: TasksOfDeleted, guard: Guard): Promise<WriteResult>;
}

interface ListServiceOptions {
  readonly database: Database;
  readonly writer: Writer;
  readonly effects: ListEffects;
  /** Statements to be run after tasks were deleted. */
  readonly afterDeletions: (user: Principal) => readonly BoundStatement[];
}

export function createListService({ database, writer, effects, afterDeletions }: ListServiceOptions): ListService {
  /** @returns the first row of the statement. */
  const readOne = async ({ userId }: Principal, statement: BoundStatement): Promise<Row> =>
    (await database.transaction({ kind: 'user', userId }, [statement])).at(-1)?.[0] ?? [];
  const write = (user: Principal, effect: Effect, retry: Retry | null, after: readonly BoundStatement[] = []) =>
    writeOne(writer, user, { effect, retry, after });

  return {
    list: async (user, known) => {
      const [state, json = null] = await readOne(user, listLists({ owner: user.userId, known }));
      if (typeof state !== 'string') throw new TypeError('The database returned no state');
      return { state, json: state === known ? null : json };
    },
    get: async (user, id) => {
      const [, version, json] = await readOne(user, getList({ owner: user.userId, id }));
      if (typeof json !== 'string') throw new AppError('NOT_FOUND', { message: 'List not found' });
      return { version: Number(version), json };
    },
    create: (user, list, retry) => write(user, effects.create(user, null, list), retry),
    createAs: (user, id, list, retry) => write(user, effects.create(user, id, list), retry),
    update: (user, id, changes, { expected, retry }) => write(user, effects.update(user, id, changes, expected), retry),
    delete: (user, id, tasks, { expected, retry }) => {
      const deletion = effects.delete(user, id, { tasks, absent: 'missing' }, expected);
      return write(user, deletion, retry, tasks === 'delete' ? afterDeletions(user) : []);
    },
  };
}
