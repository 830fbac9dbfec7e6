import { createHash, createHmac } from 'node:crypto';

/*
 * Ids follow from the numbers of users and tasks, by the same rule here, in SQL and in peers/pocketbase/main.go: the
 * load needs no lookup. User ids have the form of Better Auth's (32 characters); task ids are UUIDs in order of time.
 */

export const USERS = 10_000;
export const TASKS_EACH = 20;
/** The user who has `BIG_LIST` tasks. */
export const BIG_USER = 99_999_999;
export const BIG_LIST = 1000;
/** Title of the tasks the load creates; they are deleted after each cell. */
export const CREATED_TITLE = 'Created by the load';

const EPOCH_MS = Date.UTC(2025, 0, 1);
const TOKEN_LIFETIME_S = 86_400;
const POCKETBASE_ID_LENGTH = 15;

const md5 = (text: string) => createHash('md5').update(text).digest('hex');

export function userId(user: number): string {
  return md5(`bench user ${user}`);
}

export function taskId(user: number, task: number): string {
  const time = (EPOCH_MS + task * 60_000 + user).toString(16).padStart(12, '0');
  const hash = md5(`bench task ${user} ${task}`);
  return `${time.slice(0, 8)}-${time.slice(8)}-7${hash.slice(0, 3)}-8${hash.slice(3, 6)}-${hash.slice(6, 18)}`;
}

/** Of the counter of `user`. */
export const epochOf = (user: number) =>
  md5(`bench epoch ${user}`).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');

export const pocketBaseUserId = (user: number) => userId(user).slice(0, POCKETBASE_ID_LENGTH);
export const pocketBaseTaskId = (user: number, task: number) =>
  md5(`bench task ${user} ${task}`).slice(0, POCKETBASE_ID_LENGTH);

/** An HS256 token of `user`, valid for a day. */
export function tokenOf(user: number, secret: string): string {
  const now = Math.floor(Date.now() / 1000);
  const claims = { sub: userId(user), iat: now, exp: now + TOKEN_LIFETIME_S };
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(claims)}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

/** Tables to fill: those of the service, or of an older build without versions or positions, or the peers'. */
export interface Tables {
  readonly schema: 'todo' | 'peer';
  readonly hasVersions: boolean;
  readonly hasPositions: boolean;
}

/** Columns that triggers would fill: the place in creation's order, the time of completion; the words count as indexed. */
const POSITIONS = {
  columns: ', position, completed_at, words_revision',
  values: `, 'd' || lpad(n::text, 4, '0'), case when n % 3 = 0 then to_timestamp(ms / 1000.0) end, 1`,
};

/** Inserts the users numbered `from` to `to`, who will have `each` tasks: triggers do not count them here. */
export const usersSql = ({ schema, hasVersions }: Tables, from: number, to: number, each: number) => {
  const counters = `, ${each}, ${each}, md5('bench epoch ' || u)::uuid`;
  const [columns, values] = hasVersions ? [', version, tasks, epoch', counters] : ['', ''];
  return `insert into ${schema}.users (id${columns})
    select md5('bench user ' || u)${values} from generate_series(${from}, ${to}) as u`;
};

/** Inserts `each` tasks for each of those users in order of creation, so that the rows of one user are scattered. */
export const tasksSql = ({ schema, hasVersions, hasPositions }: Tables, from: number, to: number, each: number) => `
  insert into ${schema}.tasks
    (user_id, id, title, description, is_completed, created_at, updated_at${hasVersions ? ', version' : ''}${
      hasPositions ? POSITIONS.columns : ''
    })
  select
    md5('bench user ' || u),
    (lpad(to_hex(ms), 12, '0') || '7' || substr(hash, 1, 3) || '8' || substr(hash, 4, 15))::uuid,
    'Buy oat milk, the barista kind, carton ' || n,
    case when n % 2 = 0 then 'Two cartons if they are fresh, one if not; the shop at the corner closes at eight' end,
    n % 3 = 0,
    to_timestamp(ms / 1000.0),
    to_timestamp(ms / 1000.0)${hasVersions ? ', n' : ''}${hasPositions ? POSITIONS.values : ''}
  from generate_series(1, ${each}) as n,
    generate_series(${from}, ${to}) as u,
    lateral (select ${EPOCH_MS}::bigint + n * 60000 + u as ms, md5('bench task ' || u || ' ' || n) as hash) as generated
  order by n, u`;

/** The tables of the PostgreSQL peers: the same columns and an equivalent index, without row-level security. */
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
