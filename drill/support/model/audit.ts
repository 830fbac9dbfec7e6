import { TASK_FIELDS } from '../../../dist/tasks/columns.js';

/**
 * What the database keeps for the drill: each state of each task, with the transaction that made it, in the order in which
 * the rows were written.
 */
export const AUDIT = [
  'create schema audit',
  `create table audit.changes (
    seq bigserial primary key, user_id text not null, id uuid not null, version bigint not null, txid bigint not null,
    task text not null
  )`,
  `create function audit.note() returns trigger language plpgsql security definer set search_path = pg_catalog as $$
   begin
     insert into audit.changes (user_id, id, version, txid, task)
     select new.user_id, new.id, new.version, txid_current(), row_to_json(fields)::text
     from (select ${TASK_FIELDS} from (select new.*) as task) as fields;
     return null;
   end
   $$`,
  `create trigger audited after insert or update on todo.tasks for each row execute function audit.note()`,
] as const;

export const READ_AUDIT = 'select user_id, id::text, version::text, txid::text, task from audit.changes order by seq';
export const READ_TASKS = `
  select user_id, id, version::text, row_to_json(fields)::text
  from (select ${TASK_FIELDS} from todo.tasks) as fields order by version`;
export const READ_USERS = 'select id, version::text, tasks::text, trash::text from todo.users';
