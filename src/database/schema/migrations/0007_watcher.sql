-- The role that looks whether users have changed something, for those who follow them: it reads their ids and counters
-- and nothing else, owns nothing, and no request ever becomes it.
do $$
begin
  if not exists (select from pg_catalog.pg_roles where rolname = 'todo_watcher') then
    create role todo_watcher nologin nosuperuser nobypassrls;
  end if;
exception when duplicate_object or unique_violation then
  null;
end
$$;

do $$
declare
  become text := case when current_setting('server_version_num')::integer >= 160000 then 'set' else 'member' end;
begin
  if not pg_catalog.pg_has_role(current_user, 'todo_watcher', become) then
    execute format('grant todo_watcher to %I', current_user);
  end if;
exception when unique_violation then
  null;
end
$$;

create policy watcher_all on todo.users for select to todo_watcher
  using ((select current_user = 'todo_watcher'));

grant usage on schema todo to todo_watcher;
grant select (id, version) on todo.users to todo_watcher;

-- As for the other roles: becoming it gives its rights, being allowed to become it does not.
do $$
begin
  if current_setting('server_version_num')::integer < 160000
    or (select rolsuper from pg_catalog.pg_roles where rolname = current_user) then
    return;
  end if;
  begin
    execute format('grant %I to %I with inherit false, set true', 'todo_watcher', current_user);
  exception when insufficient_privilege or internal_error or unique_violation then
    null;
  end;
end
$$;
