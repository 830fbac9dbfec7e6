-- Lets a statement abort its transaction: the statements after it are skipped and nothing is committed. `code` is an
-- SQLSTATE of ours, TD and three digits.
create function todo.abort(code text, reason text) returns boolean
  language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  raise exception using errcode = code, message = reason;
end
$$;

grant execute on function todo.abort(text, text) to todo_app, todo_operator;

-- A login role that may only back up reads which migrations have been applied.
grant select on todo.migrations to todo_operator;
