-- Lists of tasks. One that is deleted loses its content at once; its id and version stay for those who follow changes.
create table todo.lists (
  user_id text collate "C" not null references todo.users (id) on delete cascade,
  id uuid not null,
  name text check (char_length(name) between 1 and 100),
  color text collate "C" check (color ~ '^#[0-9a-f]{6}$'),
  position text collate "C" check (char_length(position) between 1 and 64),
  is_archived boolean not null default false,
  created_at timestamptz not null default now() constraint lists_created_at_in_years_1_to_9999 check (
    created_at >= '0001-01-01 00:00:00+00' and created_at < '9999-12-31 00:00:00+00'
  ),
  updated_at timestamptz not null default now() constraint lists_updated_at_in_years_1_to_9999 check (
    updated_at >= '0001-01-01 00:00:00+00' and updated_at < '9999-12-31 00:00:00+00'
  ),
  deleted_at timestamptz constraint lists_deleted_at_in_years_1_to_9999 check (
    deleted_at >= '0001-01-01 00:00:00+00' and deleted_at < '9999-12-31 00:00:00+00'
  ),
  version bigint not null default 0,
  primary key (user_id, id),
  constraint lists_blank_if_deleted check (
    case when deleted_at is null
      then name is not null and position is not null
      else (name, color, position) is null and not is_archived
    end
  )
);
alter table todo.lists
  alter column name set statistics 0,
  alter column color set statistics 0,
  alter column position set statistics 0;

create index lists_by_position on todo.lists (user_id, position, id) where deleted_at is null;
create unique index lists_by_version on todo.lists (user_id, version) where version > 0;
create index lists_to_purge on todo.lists (deleted_at) where deleted_at is not null;

alter table todo.lists enable row level security;
alter table todo.lists force row level security;
create policy owner_only on todo.lists to todo_app
  using (user_id = (select nullif(current_setting('app.user_id', true), '')))
  with check (user_id = (select nullif(current_setting('app.user_id', true), '')));
create policy operator_all on todo.lists to todo_operator
  using ((select current_user = 'todo_operator')) with check ((select current_user = 'todo_operator'));

-- A request deletes a list by an update.
grant select, insert, update on todo.lists to todo_app;
grant select, insert, update, delete on todo.lists to todo_operator;

-- As `todo.number_task`, without counts.
create function todo.number_list() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  keeps boolean := coalesce(current_setting('todo.keep_versions', true), '') = 'on';
begin
  if tg_op = 'UPDATE' then
    if (new.user_id, new.id) is distinct from (old.user_id, old.id) then
      raise exception 'a list cannot change its owner or id: insert another and delete this one';
    end if;
    new.version := old.version;
    if new is not distinct from old then
      return old;
    end if;
  else
    perform from todo.users where id = new.user_id for no key update;
  end if;
  if keeps then
    return new;
  end if;
  update todo.users set version = users.version + 1
  where id = new.user_id
    and (tg_op = 'UPDATE' or not exists (select from todo.lists where user_id = new.user_id and lists.id = new.id))
  returning users.version into new.version;
  new.version := coalesce(new.version, 0);
  return new;
end
$$;

create trigger number_inserted_list before insert on todo.lists for each row
  when (new.version is distinct from nullif(current_setting('todo.number', true), '')::bigint)
  execute function todo.number_list();

create trigger number_changed_list before update on todo.lists for each row
  when (
    new.version = old.version or new.version is distinct from nullif(current_setting('todo.number', true), '')::bigint
  )
  execute function todo.number_list();

-- Whether a reply is about a task or a list: `task_id` and `task` are of that.
alter table todo.replies add column type text collate "C" not null default 'task' check (type in ('task', 'list'));

-- The argument is the type of reply.
create or replace function todo.blank_replies() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  update todo.replies set kind = 'missing', version = null, task = null
  where user_id = old.user_id and task_id = old.id and type = tg_argv[0] and kind <> 'deleted';
  return null;
end
$$;

drop trigger blank_replies on todo.tasks;
create trigger blank_replies after update on todo.tasks for each row
  when (old.title is not null and new.title is null) execute function todo.blank_replies('task');
create trigger blank_replies after update on todo.lists for each row
  when (old.name is not null and new.name is null) execute function todo.blank_replies('list');

create or replace function todo.sweep_tasks() returns trigger
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
  from deleted
  where (replies.user_id, replies.task_id) = (deleted.user_id, deleted.id) and type = 'task' and kind <> 'deleted';
  return null;
end
$$;

-- As `todo.sweep_tasks`.
create function todo.sweep_lists() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  update todo.users
  set version = users.version + gone.unseen,
    swept = greatest(users.swept, gone.newest, (users.version + 1) * gone.unseen)
  from (
    select user_id, max(version) as newest, bool_or(deleted_at is null)::integer as unseen from deleted group by user_id
  ) as gone
  where users.id = gone.user_id;
  update todo.replies set kind = 'missing', version = null, task = null
  from deleted
  where (replies.user_id, replies.task_id) = (deleted.user_id, deleted.id) and type = 'list' and kind <> 'deleted';
  return null;
end
$$;

create trigger sweep_lists after delete on todo.lists referencing old table as deleted
  for each statement execute function todo.sweep_lists();

create or replace function todo.refuse_truncate() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  raise exception '% are not truncated: clients would not learn of it; use DELETE', tg_table_name;
end
$$;

create trigger refuse_truncate before truncate on todo.lists
  for each statement execute function todo.refuse_truncate();
