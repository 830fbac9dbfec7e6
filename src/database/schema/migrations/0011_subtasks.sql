create index tasks_by_parent on todo.tasks (user_id, parent_id) where parent_id is not null;

-- `count` keys between `low` and `high`, where null stands for the start and the end; short ones, whose number is even.
create function todo.positions_between(low text, high text, count integer) returns text[]
  language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
declare
  middle text;
  before integer := count / 2;
  made text[] := '{}';
begin
  if count <= 0 then
    return made;
  elsif high is null then
    return todo.positions_after(low, count);
  elsif low is null then
    for place in reverse count .. 1 loop
      high := todo.position_between(null, high);
      made := high || made;
    end loop;
    return made;
  end if;
  middle := todo.position_between(low, high);
  return todo.positions_between(low, middle, before) || middle
    || todo.positions_between(middle, high, count - before - 1);
end
$$;

-- Finds the place of a task among its siblings: before or after one of them (`side`), or at `given`, or at the end if
-- both are null. No `place` if `sibling` is none of them. `moved` are siblings that have to move, to `positions`: of
-- those with one key the fewest, and where keys would be longer than 48 characters, those beside it with long ones.
create function todo.place_task(
  owner text, task uuid, list uuid, parent uuid, sibling uuid, side text, given text,
  out place text, out moved uuid[], out positions text[]
) language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  -- Orders begin with list_id: to the planner, `is null` says nothing of the order of an index.
  siblings constant text := format(
    'from todo.tasks where user_id = $1 and deleted_at is null and id <> $2 and list_id %s and parent_id %s',
    case when list is null then 'is null' else '= $3' end,
    case when parent is null then 'is null' else '= $4' end
  );
  low text;
  high text;
  key text;
  alike uuid[];
  before integer;
  keys text[];
  near record;
begin
  moved := '{}';
  positions := '{}';
  if side is null then
    place := coalesce(given, todo.position_after(todo.last_position(owner, list)));
  else
    select found.position into key
    from (select * from todo.tasks where user_id = owner and id = sibling offset 0) as found
    where deleted_at is null and id <> task and list_id is not distinct from list and parent_id is not distinct from parent;
    if key is null then
      return;
    end if;
    execute 'select position ' || siblings || ' and position < $5 order by list_id desc, position desc limit 1'
      into low using owner, task, list, parent, key;
    execute 'select position ' || siblings || ' and position > $5 order by list_id, position limit 1'
      into high using owner, task, list, parent, key;
    execute 'select array_agg(id) from (select id ' || siblings || ' and position = $5 order by list_id, position, id) as alike'
      into alike using owner, task, list, parent, key;
    before := array_position(alike, sibling) - (side = 'before')::integer;
    if before = cardinality(alike) then
      place := todo.position_between(key, high);
    elsif before = 0 then
      place := todo.position_between(low, key);
    elsif cardinality(alike) - before <= before then
      moved := alike[before + 1 :];
      keys := todo.positions_between(key, high, cardinality(moved) + 1);
      place := keys[1];
      positions := keys[2 :];
    else
      moved := alike[: before];
      keys := todo.positions_between(low, key, before + 1);
      place := keys[before + 1];
      positions := keys[: before];
    end if;
  end if;
  if length(place) <= 48 or moved <> '{}' then
    return;
  end if;
  low := null;
  high := null;
  for near in execute 'select id, position ' || siblings || ' and position < $5 order by list_id desc, position desc, id desc limit 101'
    using owner, task, list, parent, place
  loop
    low := near.position;
    exit when length(low) <= 24 or cardinality(moved) = 100;
    moved := near.id || moved;
    low := null;
  end loop;
  before := cardinality(moved);
  for near in execute 'select id, position ' || siblings || ' and position >= $5 order by list_id, position, id limit 101'
    using owner, task, list, parent, place
  loop
    high := near.position;
    exit when length(high) <= 24 or cardinality(moved) = before + 100;
    moved := moved || near.id;
    high := null;
  end loop;
  keys := todo.positions_between(low, high, cardinality(moved) + 1);
  place := keys[before + 1];
  positions := keys[: before] || keys[before + 2 :];
end
$$;

grant execute on function todo.positions_between(text, text, integer),
  todo.place_task(text, uuid, uuid, uuid, uuid, text, text) to todo_app;
