-- The role that backup and restore run as. It sees every user's rows, owns nothing, and no request ever becomes it.
do $$
begin
  if not exists (select from pg_catalog.pg_roles where rolname = 'todo_operator') then
    create role todo_operator nologin nosuperuser nobypassrls;
  end if;
exception when duplicate_object or unique_violation then
  null;
end
$$;

do $$
declare
  become text := case when current_setting('server_version_num')::integer >= 160000 then 'set' else 'member' end;
begin
  if not pg_catalog.pg_has_role(current_user, 'todo_operator', become) then
    execute format('grant todo_operator to %I', current_user);
  end if;
exception when unique_violation then
  null;
end
$$;

create policy operator_all on todo.users to todo_operator using (true) with check (true);
create policy operator_all on todo.tasks to todo_operator using (true) with check (true);

grant usage on schema todo to todo_operator;
grant select, insert on todo.users to todo_operator;
grant select, insert, update on todo.tasks to todo_operator;
