-- Each user has a counter (`version`), whose next number every change of theirs takes. Writers hold the lock of the
-- user's row until they commit, so numbers become visible in order. `swept` is the highest number whose row is gone;
-- `tasks` and `trash` count the tasks that are not deleted, and the deleted ones that still have their content;
-- `kept` is the number of bytes, about, of the replies that are kept for retries.
alter table todo.users
  add column version bigint not null default 0 check (version between 0 and 9007199254740991),
  add column epoch uuid not null default gen_random_uuid(),
  add column swept bigint not null default 0,
  add column tasks integer not null default 0,
  add column trash integer not null default 0,
  add column kept bigint not null default 0;

-- A deleted task keeps its content until it is blanked: then `title` and all else that its owner wrote is gone.
alter table todo.tasks
  add column version bigint not null default 0,
  add column deleted_at timestamptz,
  alter column title drop not null;

-- No copies of what users wrote in the planner's statistics, where they would outlive it. Setting a type, be it the same,
-- drops those that there are.
alter table todo.tasks
  alter column title type text,
  alter column title set statistics 0,
  alter column description type text,
  alter column description set statistics 0;

alter table todo.users no force row level security;
alter table todo.tasks no force row level security;

update todo.tasks set version = numbered.number
from (
  select user_id, id, row_number() over (partition by user_id order by created_at, id) as number from todo.tasks
) as numbered
where (tasks.user_id, tasks.id) = (numbered.user_id, numbered.id);

update todo.users set version = counted.tasks, tasks = counted.tasks
from (select user_id, count(*) as tasks from todo.tasks group by user_id) as counted
where users.id = counted.user_id;

alter table todo.users force row level security;
alter table todo.tasks
  force row level security,
  add constraint tasks_deleted_at_in_years_1_to_9999 check (
    deleted_at >= '0001-01-01 00:00:00+00' and deleted_at < '9999-12-31 00:00:00+00'
  ),
  add constraint tasks_blank_only_if_deleted check (
    title is not null or (deleted_at is not null and description is null)
  );

drop index todo.tasks_newest_first;
create index tasks_newest_first on todo.tasks (user_id, created_at desc, id desc) where deleted_at is null;
create index tasks_newest_deletion on todo.tasks (user_id, deleted_at desc, id desc)
  where deleted_at is not null and title is not null;
create unique index tasks_by_version on todo.tasks (user_id, version);
create index tasks_to_blank on todo.tasks (deleted_at) where deleted_at is not null and title is not null;
create index tasks_to_purge on todo.tasks (updated_at) where title is null;

-- The first outcome of a request with an idempotency key, one row for each of its operations.
create table todo.replies (
  user_id text collate "C" not null references todo.users (id) on delete cascade,
  key text collate "C" not null check (char_length(key) between 1 and 255),
  part smallint not null check (part between 0 and 100),
  request text not null,
  kind text not null,
  task_id uuid,
  version bigint,
  task text,
  created_at timestamptz not null default now(),
  primary key (user_id, key, part)
);
alter table todo.replies alter column task set statistics 0;
create index replies_of_task on todo.replies (user_id, task_id);
create index replies_oldest_first on todo.replies (created_at);

alter table todo.replies enable row level security;
alter table todo.replies force row level security;
create policy owner_only on todo.replies to todo_app
  using (user_id = (select nullif(current_setting('app.user_id', true), '')))
  with check (user_id = (select nullif(current_setting('app.user_id', true), '')));
create policy operator_all on todo.replies to todo_operator
  using ((select current_user = 'todo_operator')) with check ((select current_user = 'todo_operator'));

grant select, insert, update on todo.replies to todo_app;
grant select, insert, update, delete on todo.replies to todo_operator;
grant update on todo.users to todo_operator;
grant delete on todo.tasks to todo_operator;
-- A request deletes a task by an update.
revoke delete on todo.tasks from todo_app;

-- Numbers each task that is inserted or changed, whoever does it; one that is written without a change keeps its number.
-- It is not called where the statement itself has taken the next number, which `todo.number` then holds. With
-- `todo.keep_versions`, for a restore into an empty database, rows keep the numbers that they come with.
create function todo.number_task() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  keeps boolean := coalesce(current_setting('todo.keep_versions', true), '') = 'on';
  live integer := (new.deleted_at is null)::integer;
  trashed integer := (new.deleted_at is not null and new.title is not null)::integer;
  counted bigint;
begin
  if tg_op = 'UPDATE' then
    if (new.user_id, new.id) is distinct from (old.user_id, old.id) then
      raise exception 'a task cannot change its owner or id: insert another and delete this one';
    end if;
    new.version := old.version;
    if new is not distinct from old then
      return old;
    end if;
    live := live - (old.deleted_at is null)::integer;
    trashed := trashed - (old.deleted_at is not null and old.title is not null)::integer;
  end if;
  -- An insert of a task that exists, with ON CONFLICT, takes no number. Whether it exists is looked up under the lock.
  if tg_op = 'INSERT' then
    perform from todo.users where id = new.user_id for no key update;
  end if;
  update todo.users
  set version = users.version + (not keeps)::integer, tasks = tasks + live, trash = trash + trashed
  where id = new.user_id
    and (tg_op = 'UPDATE' or not exists (select from todo.tasks where user_id = new.user_id and tasks.id = new.id))
  returning users.version into counted;
  if not keeps then
    new.version := coalesce(counted, 0);
  end if;
  return new;
end
$$;

create trigger number_inserted_task before insert on todo.tasks for each row
  when (new.version is distinct from nullif(current_setting('todo.number', true), '')::bigint)
  execute function todo.number_task();

create trigger number_changed_task before update on todo.tasks for each row
  when (
    new.version = old.version or new.version is distinct from nullif(current_setting('todo.number', true), '')::bigint
  )
  execute function todo.number_task();

-- What was kept of a task for retries of its requests goes with its content. That it was deleted says nothing of it.
create function todo.blank_replies() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  update todo.replies set kind = 'missing', version = null, task = null
  where user_id = old.user_id and task_id = old.id and kind <> 'deleted';
  return null;
end
$$;

create trigger blank_replies after update on todo.tasks for each row
  when (old.title is not null and new.title is null) execute function todo.blank_replies();

-- A row that is gone cannot be shown as a deletion: positions below `swept` are no longer good.
create function todo.sweep_tasks() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  update todo.users
  set version = users.version + gone.listed, tasks = users.tasks - gone.live, trash = users.trash - gone.trashed,
    swept = greatest(users.swept, gone.newest, (users.version + 1) * gone.unseen)
  from (
    select user_id, max(version) as newest, count(*) filter (where deleted_at is null) as live,
      count(*) filter (where deleted_at is not null and title is not null) as trashed,
      bool_or(deleted_at is null)::integer as unseen, bool_or(title is not null)::integer as listed
    from deleted group by user_id
  ) as gone
  where users.id = gone.user_id;
  update todo.replies set kind = 'missing', version = null, task = null
  from deleted where (replies.user_id, replies.task_id) = (deleted.user_id, deleted.id) and kind <> 'deleted';
  return null;
end
$$;

create trigger sweep_tasks after delete on todo.tasks referencing old table as deleted
  for each statement execute function todo.sweep_tasks();

-- Counts the bytes of the replies of each user: what a row takes besides its text is some 200.
create function todo.count_replies() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if tg_op <> 'DELETE' then
    update todo.users set kept = kept + bytes
    from (select user_id, sum(200 + coalesce(octet_length(task), 0)) as bytes from added group by user_id) as counted
    where users.id = counted.user_id;
  end if;
  if tg_op <> 'INSERT' then
    update todo.users set kept = kept - bytes
    from (select user_id, sum(200 + coalesce(octet_length(task), 0)) as bytes from removed group by user_id) as counted
    where users.id = counted.user_id;
  end if;
  return null;
end
$$;

create trigger count_inserted_replies after insert on todo.replies referencing new table as added
  for each statement execute function todo.count_replies();
create trigger count_changed_replies after update on todo.replies referencing old table as removed new table as added
  for each statement execute function todo.count_replies();
create trigger count_deleted_replies after delete on todo.replies referencing old table as removed
  for each statement execute function todo.count_replies();

create function todo.refuse_truncate() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  raise exception 'tasks are not truncated: clients would not learn of it; use DELETE';
end
$$;

create trigger refuse_truncate before truncate on todo.tasks
  for each statement execute function todo.refuse_truncate();

-- As `todo.abort(code, reason)`, with a detail that the program reads.
create function todo.abort(code text, reason text, detail text) returns boolean
  language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  raise exception using errcode = code, message = reason, detail = detail;
end
$$;

grant execute on function todo.abort(text, text, text) to todo_app;
