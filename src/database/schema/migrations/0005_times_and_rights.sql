-- Bounds of times: a later one (infinity, or the year 10000 after a change) cannot be restored from a backup. Rows are
-- visible to the owner only while row-level security is not forced.
alter table todo.users no force row level security;
alter table todo.tasks no force row level security;

update todo.users set created_at = now()
where (created_at >= '0001-01-01 00:00:00+00' and created_at < '9999-12-31 00:00:00+00') is false;

update todo.tasks set
  created_at = case
    when created_at >= '0001-01-01 00:00:00+00' and created_at < '9999-12-31 00:00:00+00' then created_at
    else now()
  end,
  updated_at = case
    when updated_at >= '0001-01-01 00:00:00+00' and updated_at < '9999-12-31 00:00:00+00' then updated_at
    else now()
  end
where (
  created_at >= '0001-01-01 00:00:00+00' and created_at < '9999-12-31 00:00:00+00'
  and updated_at >= '0001-01-01 00:00:00+00' and updated_at < '9999-12-31 00:00:00+00'
) is false;

alter table todo.users
  force row level security,
  add constraint users_created_at_in_years_1_to_9999 check (
    created_at >= '0001-01-01 00:00:00+00' and created_at < '9999-12-31 00:00:00+00'
  );
alter table todo.tasks
  force row level security,
  add constraint tasks_created_at_in_years_1_to_9999 check (
    created_at >= '0001-01-01 00:00:00+00' and created_at < '9999-12-31 00:00:00+00'
  ),
  add constraint tasks_updated_at_in_years_1_to_9999 check (
    updated_at >= '0001-01-01 00:00:00+00' and updated_at < '9999-12-31 00:00:00+00'
  );

-- Temporary tables outlive a transaction. Only the owner of the database can revoke the right to create them.
do $$
begin
  execute format('revoke temporary on database %I from public, todo_app, todo_operator', current_database());
exception when insufficient_privilege then
  null;
end
$$;

-- Since PostgreSQL 16 a role may become another without having its rights before. Fails where somebody else granted the
-- membership, or changes it at the same moment for another database.
do $$
declare
  granted text;
begin
  if current_setting('server_version_num')::integer < 160000
    or (select rolsuper from pg_catalog.pg_roles where rolname = current_user) then
    return;
  end if;
  foreach granted in array array['todo_app', 'todo_operator'] loop
    begin
      execute format('grant %I to %I with inherit false, set true', granted, current_user);
    exception when insufficient_privilege or internal_error or unique_violation then
      null;
    end;
  end loop;
end
$$;
