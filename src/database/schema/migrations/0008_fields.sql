-- The order of tasks: keys of the npm package fractional-indexing 3, base 62, which its functions here make byte for byte.
-- A key is an integer, whose first character gives its length, and a fraction, which does not end in 0.
create function todo.position_length(key text) returns integer
  language sql immutable strict parallel safe set search_path = pg_catalog, pg_temp as $$
  select case when ascii(key) >= 97 then ascii(key) - 95 else 92 - ascii(key) end
$$;

-- The integer after `key`, which has no fraction; null after the largest.
create function todo.position_increment(key text) returns text
  language plpgsql immutable strict parallel safe set search_path = pg_catalog, pg_temp as $$
declare
  digits constant text := '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
  rest text := rtrim(substr(key, 2), 'z');
  zeros integer := length(key) - 1 - length(rest);
begin
  if rest <> '' then
    return left(key, length(rest)) || substr(digits, strpos(digits, right(rest, 1)) + 1, 1) || repeat('0', zeros);
  end if;
  return case
    when left(key, 1) = 'Z' then 'a0'
    when left(key, 1) = 'z' then null
    else chr(ascii(key) + 1) || repeat('0', case when ascii(key) >= 97 then zeros + 1 else zeros - 1 end)
  end;
end
$$;

-- The integer before `key`, which has no fraction; null before the smallest.
create function todo.position_decrement(key text) returns text
  language plpgsql immutable strict parallel safe set search_path = pg_catalog, pg_temp as $$
declare
  digits constant text := '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
  rest text := rtrim(substr(key, 2), '0');
  zeros integer := length(key) - 1 - length(rest);
begin
  if rest <> '' then
    return left(key, length(rest)) || substr(digits, strpos(digits, right(rest, 1)) - 1, 1) || repeat('z', zeros);
  end if;
  return case
    when left(key, 1) = 'a' then 'Zz'
    when left(key, 1) = 'A' then null
    else chr(ascii(key) - 1) || repeat('z', case when ascii(key) <= 90 then zeros + 1 else zeros - 1 end)
  end;
end
$$;

-- A fraction between `low` and `high`; null stands for the end.
create function todo.position_middle(low text, high text) returns text
  language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
declare
  digits constant text := '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
  made text := '';
  low_digit integer;
  high_digit integer;
begin
  loop
    if high is not null then
      while coalesce(nullif(left(low, 1), ''), '0') = left(high, 1) loop
        made := made || left(high, 1);
        low := substr(low, 2);
        high := substr(high, 2);
      end loop;
    end if;
    low_digit := case when low = '' then 0 else strpos(digits, left(low, 1)) - 1 end;
    high_digit := case when high is null then 62 else strpos(digits, left(high, 1)) - 1 end;
    if high_digit - low_digit > 1 then
      return made || substr(digits, (low_digit + high_digit + 1) / 2 + 1, 1);
    elsif length(high) > 1 then
      return made || left(high, 1);
    end if;
    made := made || substr(digits, low_digit + 1, 1);
    low := substr(low, 2);
    high := null;
  end loop;
end
$$;

-- A key between `low` and `high`, where null stands for the start and the end; `low` is less than `high`.
create function todo.position_between(low text, high text) returns text
  language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
declare
  low_integer text collate "C" := left(low, todo.position_length(low));
  high_integer text collate "C" := left(high, todo.position_length(high));
  next_integer text collate "C" := todo.position_increment(low_integer);
begin
  if low is null and high is null then
    return 'a0';
  elsif low is null then
    return case
      when high_integer = 'A' || repeat('0', 26)
      then high_integer || todo.position_middle('', substr(high, length(high_integer) + 1))
      when high_integer < high then high_integer
      else todo.position_decrement(high_integer)
    end;
  elsif high is null then
    return coalesce(next_integer, low_integer || todo.position_middle(substr(low, length(low_integer) + 1), null));
  elsif low_integer = high_integer then
    return low_integer
      || todo.position_middle(substr(low, length(low_integer) + 1), substr(high, length(high_integer) + 1));
  elsif next_integer < high then
    return next_integer;
  end if;
  return low_integer || todo.position_middle(substr(low, length(low_integer) + 1), null);
end
$$;

-- The key after all up to `last`; the first of all if that is null; `last` again, behind which the id decides, if that
-- would have more than 48 characters.
create function todo.position_after(last text) returns text
  language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
declare
  digits constant text := '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
  made text;
begin
  -- An integer of two to four characters of which only the last digit has to be raised, as almost all are.
  if last ~ '^(a|b.|c..)[^z]$' then
    return left(last, -1) || substr(digits, strpos(digits, right(last, 1)) + 1, 1);
  end if;
  made := todo.position_between(last, null);
  return case when length(made) > 48 and last is not null then last else made end;
end
$$;

-- The next `count` keys after `last`.
create function todo.positions_after(last text, count integer) returns text[]
  language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
declare
  made text[] := '{}';
begin
  for place in 1 .. count loop
    last := todo.position_after(last);
    made[place] := last;
  end loop;
  return made;
end
$$;

grant execute on function todo.position_length(text), todo.position_increment(text), todo.position_decrement(text),
  todo.position_middle(text, text), todo.position_between(text, text), todo.position_after(text),
  todo.positions_after(text, integer) to todo_app, todo_operator;

alter table todo.tasks
  add column list_id uuid,
  add column parent_id uuid,
  add column position text collate "C",
  add column due_date date,
  add column due_time text collate "C",
  add column due_time_zone text collate "C",
  add column priority text collate "C" not null default 'none',
  add column tags text[] not null default '{}',
  -- Of each tag, in the same order: what it is compared by.
  add column tag_keys text[] collate "C" not null default '{}',
  add column completed_at timestamptz,
  add column recurrence text collate "C",
  add column recurrence_from text collate "C" not null default 'due',
  add column series_id uuid,
  alter column due_time_zone set statistics 0,
  alter column tags set statistics 0,
  alter column tag_keys set statistics 0,
  alter column recurrence set statistics 0;

alter table todo.tasks no force row level security;
alter table todo.tasks disable trigger user;

update todo.tasks set position = placed.position, completed_at = case when is_completed then updated_at end
from (
  select user_id, array_agg(id order by created_at, id) as ids from todo.tasks where title is not null group by user_id
) as owned, unnest(owned.ids, todo.positions_after(null, cardinality(owned.ids))) as placed (id, position)
where (tasks.user_id, tasks.id) = (owned.user_id, placed.id);

alter table todo.tasks enable trigger user;

-- Copies of tasks without these columns are of no use: clients start again.
alter table todo.users no force row level security;
update todo.users set epoch = gen_random_uuid();
alter table todo.users force row level security;

alter table todo.tasks
  force row level security,
  drop constraint tasks_blank_only_if_deleted,
  add constraint tasks_blank_only_if_deleted check (
    case when title is null
      then deleted_at is not null and position is null
        and (description, list_id, parent_id, due_date, due_time, due_time_zone, recurrence, series_id) is null
        and tags = '{}' and tag_keys = '{}'
      else position is not null
    end
  ),
  add constraint tasks_completed_at_if_completed check (
    (completed_at is not null) = is_completed
    and (completed_at is null or completed_at between '0001-01-01 00:00:00+00' and '9999-12-30 23:59:59.999999+00')
  ),
  add constraint tasks_due check (
    due_date between '1970-01-01' and '9999-12-31'
    and due_time ~ '^([01][0-9]|2[0-3]):[0-5][0-9]$'
    and (due_time is null or due_date is not null)
    and (due_time_zone is null or due_time is not null)
    and (recurrence is null or due_date is not null)
  ),
  add constraint tasks_priority check (priority in ('none', 'low', 'medium', 'high')),
  add constraint tasks_recurrence_from check (recurrence_from in ('due', 'completed')),
  add constraint tasks_tags check (cardinality(tags) = cardinality(tag_keys));

-- Partial, so that the planner does not look up ids in it while the table has no statistics. Every version is above 0.
drop index todo.tasks_by_version;
create unique index tasks_by_version on todo.tasks (user_id, version) where version > 0;
create index tasks_by_position on todo.tasks (user_id, list_id, position, id) where deleted_at is null;

-- The last position in a list; null stands for the inbox. Volatile, so that it reads what was committed while its statement
-- waited for the lock of the user.
create function todo.last_position(owner text, list uuid) returns text
  language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  -- Two statements: an index is of no use to `is not distinct from`, and to the planner `is null` says nothing of order.
  if list is null then
    return (
      select position from todo.tasks where user_id = owner and list_id is null and deleted_at is null
      order by list_id desc, position desc limit 1
    );
  end if;
  return (
    select position from todo.tasks where user_id = owner and list_id = list and deleted_at is null
    order by position desc limit 1
  );
end
$$;

grant execute on function todo.last_position(text, uuid) to todo_app, todo_operator;

-- What is written without them, in psql or from a backup that knows no positions, gets a position and a time.
create function todo.complete_task() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if new.position is null and new.title is not null then
    new.position := todo.position_after(todo.last_position(new.user_id, new.list_id));
  end if;
  if not new.is_completed then
    new.completed_at := null;
  elsif new.completed_at is null then
    new.completed_at := coalesce(new.updated_at, now());
  end if;
  return new;
end
$$;

-- Triggers run in the order of their names: this one before those that number.
create trigger complete_task before insert or update on todo.tasks for each row
  when ((new.position is null and new.title is not null) or (new.completed_at is not null) <> new.is_completed)
  execute function todo.complete_task();
