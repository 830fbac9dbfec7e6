import type { UserId } from '../core/user.ts';
import { type BoundStatement, type Row, sql } from './sql.ts';

/**
 * Whom a transaction runs as: one user, confined to their rows by row-level security; `admin`, who backs up and
 * restores the rows of all users; or `owner`, the role that connected, for maintenance statements that touch no rows.
 */
export type Identity =
  | { readonly kind: 'user'; readonly userId: UserId }
  | { readonly kind: 'admin' }
  | { readonly kind: 'login-role' };

/** Every statement has an index that returns its rows in order; the planner must not scan and sort a small table. */
const PLANNER = `set_config('enable_sort', 'off', true), set_config('enable_seqscan', 'off', true)`;

/*
 * Isolation rests on these statements: one of them begins every transaction that touches rows. All settings are
 * transaction-local, so a transaction pooler cannot leak them. The row returned holds the tag and the user, which
 * proves that an answer belongs to this transaction and to no other.
 */
const SET_USER = sql<{ tag: string; user: UserId; timeout: number }>(
  'set_user',
  'read',
  `select $tag::text, set_config('app.user_id', $user, true), set_config('role', 'todo_app', true),
    set_config('statement_timeout', $timeout, true), ${PLANNER}`,
);

const SET_ADMIN = sql<{ tag: string; timeout: number }>(
  'set_admin',
  'read',
  `select $tag::text, set_config('app.user_id', '', true), set_config('role', 'todo_operator', true),
    set_config('statement_timeout', $timeout, true), set_config('timezone', 'UTC', true), ${PLANNER}`,
);

/** @returns the statement that begins a transaction as `identity`, or null for the role that connected. */
export function setIdentity(identity: Identity, tag: string, timeout: number): BoundStatement | null {
  if (identity.kind === 'user') return SET_USER({ tag, user: identity.userId, timeout });
  return identity.kind === 'admin' ? SET_ADMIN({ tag, timeout }) : null;
}

/** @returns whether `row` is what `setIdentity` returned for `identity` and `tag`. */
export function provesIdentity(row: Row | undefined, identity: Identity, tag: string): boolean {
  return row !== undefined && row[0] === tag && row[1] === (identity.kind === 'user' ? identity.userId : '');
}
