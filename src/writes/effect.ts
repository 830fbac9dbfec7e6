import { type BoundStatement, type SqlValue, sql } from '../database/sql.ts';
import { FAILURES, type ItemType } from './outcome.ts';

/** The key of a request that may be sent again, and what was requested: SHA-256 of method, path with query, and body. */
export interface Retry {
  readonly key: string;
  readonly request: string;
}

/** The SQLSTATE with which an operation that fails aborts the transaction; the detail is its index and outcome, as JSON. */
export const OPERATION_FAILED = 'TD003';

/** The SQLSTATE with which an operation that needs nothing aborts the transaction if the user has no row yet. */
export const USER_MISSING = 'TD001';

/**
 * The SQLSTATE with which an operation aborts the transaction that needs a value which no statement can compute. The detail is
 * its index, the state from which the value is computed, and those of others.
 */
export const VALUE_NEEDED = 'TD006';

/**
 * @returns SQL that aborts so. @param state SQL for what the value is computed from, as text; null if it is gone.
 * @param others SQL for JSON of the ids and states of those of the array `$others` that have one, as `[[id, state], …]`.
 */
export const needValue = (state: string, others: string): string =>
  `todo.abort('${VALUE_NEEDED}', 'a value is needed', json_build_array($part::integer, ${state}, ${others})::text)`;

/** SQL that aborts so without a state: looking it up is left to the operation that `computed` gives then. */
export const NEED_STATE = `todo.abort('${VALUE_NEEDED}', 'a value is needed', json_build_array($part::integer, '', null)::text)`;

/** Where an operation stands: its index in the request, and whether its failure aborts all of them. */
interface Position {
  readonly owner: string;
  readonly part: number;
  readonly isAtomic: boolean;
  /** The ids of what the operations of the request need values for, as an array of SQL. */
  readonly others?: string;
  /** Null if the outcome is not kept. */
  readonly retry: Retry | null;
}

/** Operations of a user on what is theirs, one or some alike: a statement that executes them and returns the outcomes. */
export interface Effect {
  /**
   * What has to come before it: nothing, because it reads nothing but the user's row, which it locks (it may abort with
   * `USER_MISSING`); the lock of that row; or the lock of one that is created if it is missing.
   */
  readonly needs: 'nothing' | 'lock' | 'user';
  /** What it is about. */
  readonly type: ItemType;
  /** How many operations it is. */
  readonly size: number;
  /** Where it may abort with `VALUE_NEEDED`. */
  readonly computed?: {
    /** Of what the value is for. */
    readonly id: string;
    /**
     * @param state what the value is computed from; empty if that has to be looked up, null if it is gone.
     * @returns the operation with the value, which aborts so again if it finds another state.
     */
    readonly from: (state: string | null) => Effect;
  };
  /** @returns the statement, which returns one row for `toOutcome` for each operation. */
  at(position: Position): BoundStatement;
}

const FAILED = FAILURES.map((kind) => `'${kind}'`).join(', ');

/** The index of an outcome in the request. */
const PART = '$part::integer + row_number() over () - 1';

const keep = (type: ItemType) => `kept as (
  insert into todo.replies (user_id, key, part, request, kind, task_id, version, task, type)
  select $owner, $retry_key, ${PART}, $retry_request, kind, id, version, json, '${type}' from outcome
  on conflict (user_id, key, part) do update set request = excluded.request, kind = excluded.kind,
    task_id = excluded.task_id, version = excluded.version, task = excluded.task, type = excluded.type, created_at = now()
)`;

const abort = (type: ItemType) => `case when kind in (${FAILED})
  then todo.abort('${OPERATION_FAILED}', kind, json_build_array(${PART}, kind, id, version, json, '${type}')::text) end`;

/**
 * Defines an effect: its statement alone, with the outcome kept for retries, or aborting if it fails.
 * @param tables common table expressions that change what is to be changed; `$owner` is the user.
 * @param outcome a query of one row for each operation, in order: kind (`OutcomeKind`), id, version, json.
 * @param type of what has that id and json.
 */
export function effect<Parameters extends Readonly<Record<string, SqlValue>>>(
  name: string,
  needs: Effect['needs'],
  tables: string,
  outcome: string,
  type: ItemType = 'task',
): (parameters: Parameters & { readonly owner: string }) => Effect {
  type Values = Readonly<Record<string, SqlValue>>;
  const [KEEP, ABORT] = [keep(type), abort(type)];
  const all = `with ${tables}, outcome as materialized (${outcome})`;
  const plain = sql<Values>(name, 'write', `with ${tables} ${outcome}`);
  const kept = sql<Values>(`${name}_kept`, 'write', `${all}, ${KEEP} select kind, id, version, json from outcome`);
  const atomic = sql<Values>(`${name}_atomic`, 'write', `${all} select kind, id, version, json, ${ABORT} from outcome`);
  const atomicKept = sql<Values>(
    `${name}_atomic_kept`,
    'write',
    `${all}, ${KEEP} select kind, id, version, json, ${ABORT} from outcome`,
  );
  return (parameters) => ({
    needs,
    type,
    size: 1,
    at: ({ part, isAtomic, others = '{}', retry }) => {
      const values = {
        ...parameters,
        part,
        others,
        retry_key: retry?.key ?? null,
        retry_request: retry?.request ?? null,
      };
      if (retry === null) return (isAtomic ? atomic : plain)(values);
      return (isAtomic ? atomicKept : kept)(values);
    },
  });
}
