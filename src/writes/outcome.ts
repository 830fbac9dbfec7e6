import type { Row } from '../database/sql.ts';

/** What an operation is about. */
const ITEM_TYPES = ['task', 'list'] as const;

export type ItemType = (typeof ITEM_TYPES)[number];

/** What became of one operation. Only the first three changed something, or had nothing left to change. */
const OUTCOME_KINDS = [
  'created',
  'changed',
  'deleted',
  /** There is none, or it is another user's. */
  'missing',
  /** It has another version than expected; `json` is its present state. */
  'stale',
  /** It was not to exist; `json` is its present state. */
  'exists',
  /** A deleted one has the id. */
  'taken',
  /** The user has as many as they may. */
  'limit',
  /** With what it has already it would break a rule; `json` is what is wrong: an array of `FieldError`. */
  'invalid',
] as const;

export type OutcomeKind = (typeof OUTCOME_KINDS)[number];

export const FAILURES: readonly OutcomeKind[] = ['missing', 'stale', 'exists', 'taken', 'limit', 'invalid'];

export interface Outcome {
  readonly type: ItemType;
  readonly kind: OutcomeKind;
  readonly id: string | null;
  readonly version: number | null;
  /** The task or list as the database built it: text of the schema `Task` or `List`. */
  readonly json: string | null;
}

/** What became of a request of one operation, and whether of an earlier one with the same idempotency key. */
export interface WriteResult {
  readonly outcome: Outcome;
  readonly isReplayed: boolean;
}

/** @returns the outcome in a row of kind, id, version and JSON text. */
export function toOutcome([kind, id = null, version = null, json = null]: Row, type: string | null): Outcome {
  const known = OUTCOME_KINDS.find((name) => name === kind);
  if (known === undefined) throw new TypeError(`The database returned the outcome ${kind}`);
  const about = ITEM_TYPES.find((name) => name === type);
  if (about === undefined) throw new TypeError(`The database returned an outcome of the type ${type}`);
  return { type: about, kind: known, id, version: version === null ? null : Number(version), json };
}
