import type { UserId } from '../core/user.ts';
import { type BoundStatement, type Row, sql } from './sql.ts';

/**
 * Whom a transaction runs as: one user, confined to their rows by row-level security; `admin` (database role
 * `todo_operator`), who backs up and restores the rows of all users; `watcher` (`todo_watcher`), who reads the counters
 * of all users and nothing else; or the login role, for pings and maintenance.
 */
export type Identity =
  | { readonly kind: 'user'; readonly userId: UserId }
  | { readonly kind: 'admin' }
  | { readonly kind: 'watcher' }
  | { readonly kind: 'login-role' };

/** Rows are read in the order of an index (counts apart); the planner must not scan and sort a small table instead. */
const PLANNER = ['enable_sort', 'enable_incremental_sort', 'enable_seqscan']
  .map((setting) => `pg_catalog.set_config('${setting}', 'off', true)`)
  .join(', ');

/*
 * Isolation rests on these statements: one of them begins every transaction of a user, `admin` or `watcher`. All settings are
 * transaction-local, so a transaction pooler cannot leak them. The row returned holds the nonce and the user, by which
 * an answer is matched to its transaction.
 */
const SET_USER = sql<{ nonce: string; user: UserId; timeout: number }>(
  'set_user',
  'read',
  `select $nonce::text, pg_catalog.set_config('app.user_id', $user, true),
    pg_catalog.set_config('role', 'todo_app', true),
    pg_catalog.set_config('statement_timeout', $timeout, true), ${PLANNER}`,
);

const SET_ADMIN = sql<{ nonce: string; timeout: number }>(
  'set_admin',
  'read',
  `select $nonce::text, pg_catalog.set_config('app.user_id', '', true),
    pg_catalog.set_config('role', 'todo_operator', true),
    pg_catalog.set_config('statement_timeout', $timeout, true),
    pg_catalog.set_config('timezone', 'UTC', true), ${PLANNER}`,
);

const SET_WATCHER = sql<{ nonce: string; timeout: number }>(
  'set_watcher',
  'read',
  `select $nonce::text, pg_catalog.set_config('app.user_id', '', true),
    pg_catalog.set_config('role', 'todo_watcher', true),
    pg_catalog.set_config('statement_timeout', $timeout, true), ${PLANNER}`,
);

/** @returns the statement that begins a transaction as `identity`, or null for the login role. */
export function setIdentity(identity: Identity, nonce: string, timeout: number): BoundStatement | null {
  if (identity.kind === 'user') return SET_USER({ nonce, user: identity.userId, timeout });
  if (identity.kind === 'watcher') return SET_WATCHER({ nonce, timeout });
  return identity.kind === 'admin' ? SET_ADMIN({ nonce, timeout }) : null;
}

/** @returns whether `row` is what `setIdentity` returned for `identity` and `nonce`. */
export function matchesIdentity(row: Row | undefined, identity: Identity, nonce: string): boolean {
  return row !== undefined && row[0] === nonce && row[1] === (identity.kind === 'user' ? identity.userId : '');
}
