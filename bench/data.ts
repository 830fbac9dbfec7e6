import { createHash, createHmac } from 'node:crypto';

/*
 * Every user and task of the benchmark follows from its number, here and in SQL by the same rule, so that the load
 * knows the ids without asking: ids of users as Better Auth makes them (32 characters), ids of tasks ordered by time.
 */

/** The user who owns `BIG_LIST` tasks. */
export const BIG_USER = 99_999_999;
export const BIG_LIST = 1000;
export const TASKS_EACH = 20;
/** By this title the tasks that the load made are found and taken away again. */
export const CREATED_TITLE = 'Created by the load';

const EPOCH_MS = Date.UTC(2025, 0, 1);
const TOKEN_LIFETIME_S = 86_400;

const md5 = (text: string) => createHash('md5').update(text).digest('hex');

export function userId(user: number): string {
  return md5(`bench user ${user}`);
}

export function taskId(user: number, task: number): string {
  const time = (EPOCH_MS + task * 60_000 + user).toString(16).padStart(12, '0');
  const hash = md5(`bench task ${user} ${task}`);
  return `${time.slice(0, 8)}-${time.slice(8)}-7${hash.slice(0, 3)}-8${hash.slice(3, 6)}-${hash.slice(6, 18)}`;
}

/** A token of `user`, HS256, good for a day. */
export function tokenOf(user: number, secret: string): string {
  const now = Math.floor(Date.now() / 1000);
  const claims = { sub: userId(user), iat: now, exp: now + TOKEN_LIFETIME_S };
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(claims)}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

export type Schema = 'todo' | 'peer';

/** Adds the users numbered `from` to `to`. */
export const usersSql = (schema: Schema, from: number, to: number) => `
  insert into ${schema}.users (id) select md5('bench user ' || u) from generate_series(${from}, ${to}) as u`;

/** Adds `each` tasks to each of those users, in the order of time, so that one user's lie apart as they do in life. */
export const tasksSql = (schema: Schema, from: number, to: number, each: number) => `
  insert into ${schema}.tasks (user_id, id, title, description, is_completed, created_at, updated_at)
  select
    md5('bench user ' || u),
    (lpad(to_hex(ms), 12, '0') || '7' || substr(hash, 1, 3) || '8' || substr(hash, 4, 15))::uuid,
    'Buy oat milk, the barista kind, carton ' || n,
    case when n % 2 = 0 then 'Two cartons if they are fresh, one if not; the shop at the corner closes at eight' end,
    n % 3 = 0,
    to_timestamp(ms / 1000.0),
    to_timestamp(ms / 1000.0)
  from generate_series(1, ${each}) as n,
    generate_series(${from}, ${to}) as u,
    lateral (select ${EPOCH_MS}::bigint + n * 60000 + u as ms, md5('bench task ' || u || ' ' || n) as hash) as made
  order by n, u`;

/** The tables of everybody else: the same columns and as good indexes, without row-level security. */
export const PEER_SCHEMA = `
  create schema peer;
  create table peer.users (id text primary key, email text, created_at timestamptz not null default now());
  create table peer.tasks (
    id uuid primary key default gen_random_uuid(),
    user_id text not null references peer.users (id) on delete cascade,
    title varchar(200) not null,
    description text,
    is_completed boolean not null default false,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
  );
  create index tasks_newest_first on peer.tasks (user_id, created_at desc, id desc);`;
