import type { UserId } from '../core/user.ts';
import { sql } from '../database/sql.ts';

/** The SQLSTATE with which `claimKey` aborts the transaction. */
export const KEY_USED = 'TD002';

/** Locks the user's row until the end of the transaction: creates it if it is missing, updates its email if needed. */
export const lockUser = sql<{ owner: UserId; email: string | null }>(
  'user_lock',
  'write',
  `insert into todo.users (id, email) values ($owner, $email)
   on conflict (id) do update set email = excluded.email
   where excluded.email is not null and users.email is distinct from excluded.email`,
);

/** Locks the user's row, if there is one. */
export const lockExistingUser = sql<{ owner: UserId }>(
  'user_lock_existing',
  'write',
  'select from todo.users where id = $owner for no key update',
);

/** How long a reply is kept. */
const IS_KEPT = `created_at > now() - interval '24 hours'`;

/** The SQLSTATE with which `claimKey` aborts the transaction if too much is kept for the user. */
export const REPLIES_FULL = 'TD005';
/** Of one user's replies: some 300,000 of single writes. */
const MAX_KEPT_BYTES = 268_435_456;

/** Aborts if a request with the key has been executed, or too much is kept; after `lockUser` no other can be. */
export const claimKey = sql<{ owner: UserId; key: string }>(
  'reply_claim',
  'read',
  `select case
     when exists (select from todo.replies where user_id = $owner and key = $key and ${IS_KEPT})
     then todo.abort('${KEY_USED}', 'the key was used')
     when (select kept from todo.users where id = $owner) > ${MAX_KEPT_BYTES}
     then todo.abort('${REPLIES_FULL}', 'too many replies are kept')
   end`,
);

/** Returns a row for each operation of the request: what was requested, and the columns of `toOutcome`. */
export const getReply = sql<{ owner: UserId; key: string }>(
  'reply_get',
  'read',
  `select request, part, kind, task_id, version, task
   from todo.replies where user_id = $owner and key = $key and ${IS_KEPT} order by part`,
);

/** Keeps the outcome of a request that was aborted, without a task whose content has gone since. */
export const keepReply = sql<{
  owner: UserId;
  key: string;
  request: string;
  part: number;
  kind: string;
  task: string | null;
  version: number | null;
  json: string | null;
}>(
  'reply_keep',
  'write',
  `insert into todo.replies (user_id, key, part, request, kind, task_id, version, task)
   select $owner, $key, $part::smallint, $request, case when is_gone then 'missing' else $kind end, $task::uuid,
     case when not is_gone then $version::bigint end, case when not is_gone then $json end
   from (select $json::text is not null and $task::uuid is not null and not exists (
     select from todo.tasks where user_id = $owner and id = $task::uuid and title is not null
   )) as task (is_gone)
   on conflict (user_id, key, part) do update set request = excluded.request, kind = excluded.kind,
     task_id = excluded.task_id, version = excluded.version, task = excluded.task, created_at = now()`,
);
