import type { UserId } from '../core/user.ts';
import { sql } from '../database/sql.ts';
import { effect, OPERATION_FAILED } from '../writes/effect.ts';

/** Aborts, as an operation that names it, if a task has a version above `since`; `ids` are those named, or null. */
export const abortIfChanged = sql<{ owner: UserId; ids: string; since: number }>(
  'batch_abort_if_changed',
  'read',
  `select todo.abort('${OPERATION_FAILED}', 'stale', json_build_array(
     named.part - 1, 'stale', tasks.id, tasks.version, null, 'task'
   )::text)
   from unnest($ids::uuid[]) with ordinality as named (id, part)
   join todo.tasks on user_id = $owner and tasks.id = named.id and version > $since
   limit 1`,
);

/** As `abortIfChanged`, if a list has. */
export const abortIfListChanged = sql<{ owner: UserId; ids: string; since: number }>(
  'batch_abort_if_list_changed',
  'read',
  `select todo.abort('${OPERATION_FAILED}', 'stale', json_build_array(
     named.part - 1, 'stale', lists.id, lists.version, null, 'list'
   )::text)
   from unnest($ids::uuid[]) with ordinality as named (id, part)
   join todo.lists on user_id = $owner and lists.id = named.id and version > $since
   limit 1`,
);

/** Returns the user's counter, as the version of an outcome `changed`. */
export const readCounter = effect<Record<never, never>>(
  'batch_counter',
  'nothing',
  `counter as (select coalesce((select version from todo.users where id = $owner), 0) as version)`,
  `select 'changed' as kind, null::uuid as id, version, null as json from counter`,
);
