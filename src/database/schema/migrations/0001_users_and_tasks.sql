-- The role that requests run as. It owns nothing and cannot bypass row-level security.
-- Roles belong to the whole server, so another database's migration may be making it at this moment.
do $$
begin
  if not exists (select from pg_catalog.pg_roles where rolname = 'todo_app') then
    create role todo_app nologin nosuperuser nobypassrls;
  end if;
exception when duplicate_object or unique_violation then
  null;
end
$$;

-- Since PostgreSQL 16 whoever creates a role may administer it, but not yet become it.
do $$
declare
  become text := case when current_setting('server_version_num')::integer >= 160000 then 'set' else 'member' end;
begin
  if not pg_catalog.pg_has_role(current_user, 'todo_app', become) then
    execute format('grant todo_app to %I', current_user);
  end if;
exception when unique_violation then
  null;
end
$$;

create table todo.users (
  id text collate "C" primary key check (char_length(id) between 1 and 255),
  email text,
  created_at timestamptz not null default now()
);

create table todo.tasks (
  user_id text collate "C" not null references todo.users (id) on delete cascade,
  id uuid not null,
  title text not null check (char_length(title) between 1 and 200),
  description text check (char_length(description) between 1 and 2000),
  is_completed boolean not null default false,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (user_id, id)
);

create index tasks_newest_first on todo.tasks (user_id, created_at desc, id desc);

alter table todo.users enable row level security;
alter table todo.users force row level security;
create policy owner_only on todo.users to todo_app
  using (id = (select nullif(current_setting('app.user_id', true), '')))
  with check (id = (select nullif(current_setting('app.user_id', true), '')));

alter table todo.tasks enable row level security;
alter table todo.tasks force row level security;
create policy owner_only on todo.tasks to todo_app
  using (user_id = (select nullif(current_setting('app.user_id', true), '')))
  with check (user_id = (select nullif(current_setting('app.user_id', true), '')));

grant usage on schema todo to todo_app;
grant select, insert, update on todo.users to todo_app;
grant select, insert, update, delete on todo.tasks to todo_app;
