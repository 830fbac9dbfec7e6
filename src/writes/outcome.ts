import type { Row } from '../database/sql.ts';

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
  readonly kind: OutcomeKind;
  readonly id: string | null;
  readonly version: number | null;
  /** The task as the database built it: text of the schema `Task`. */
  readonly json: string | null;
}

/** @returns the outcome in a row of kind, id, version and JSON text. */
export function toOutcome([kind, id = null, version = null, json = null]: Row): Outcome {
  const known = OUTCOME_KINDS.find((name) => name === kind);
  if (known === undefined) throw new TypeError(`The database returned the outcome ${kind}`);
  return { kind: known, id, version: version === null ? null : Number(version), json };
}
