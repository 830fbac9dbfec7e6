-- The words by which a task is found, made by the service (`src/tasks/words.ts`): of title and description apart by spaces,
-- of each tag in the order of the tags, with one for the whole tag, which begins with `#`. `words_revision` is that of all
-- of them; below the service's a background job makes them anew, also for tasks that were written otherwise, in psql or
-- from an old backup.
alter table todo.tasks
  add column title_words text collate "C",
  add column description_words text collate "C",
  add column tag_words text[] collate "C" not null default '{}',
  add column words_revision smallint not null default 0,
  alter column title_words set statistics 0,
  alter column description_words set statistics 0,
  alter column tag_words set statistics 0;

-- An entry for each word of each task that is not deleted.
create table todo.task_words (
  user_id text collate "C" not null,
  word text collate "C" not null,
  created_at timestamptz not null,
  task_id uuid not null,
  primary key (user_id, word, created_at, task_id)
);
alter table todo.task_words alter column word set statistics 0;

alter table todo.task_words enable row level security;
alter table todo.task_words force row level security;
create policy owner_only on todo.task_words to todo_app
  using (user_id = (select nullif(current_setting('app.user_id', true), '')))
  with check (user_id = (select nullif(current_setting('app.user_id', true), '')));
create policy operator_all on todo.task_words to todo_operator
  using ((select current_user = 'todo_operator')) with check ((select current_user = 'todo_operator'));

grant select, insert, delete on todo.task_words to todo_app, todo_operator;

-- Keeps the entries, whoever writes the task.
create function todo.index_words() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  was text[] := '{}';
  words text[] := '{}';
begin
  if tg_op <> 'DELETE' and new.deleted_at is null then
    words := string_to_array(
      concat_ws(' ', new.title_words, new.description_words, array_to_string(new.tag_words, ' ')), ' '
    );
  end if;
  if tg_op <> 'INSERT' then
    if old.deleted_at is null then
      was := string_to_array(
        concat_ws(' ', old.title_words, old.description_words, array_to_string(old.tag_words, ' ')), ' '
      );
    end if;
    delete from todo.task_words
    where user_id = old.user_id and word = any(was) and created_at = old.created_at and task_id = old.id
      and (tg_op = 'DELETE' or word <> all(words) or new.created_at <> old.created_at);
  end if;
  if tg_op <> 'DELETE' then
    insert into todo.task_words (user_id, word, created_at, task_id)
    select distinct new.user_id, word, new.created_at, new.id from unnest(words) as word
    where word <> '' and (tg_op = 'INSERT' or word <> all(was) or new.created_at <> old.created_at);
  end if;
  return null;
end
$$;

create trigger index_inserted_words after insert on todo.tasks for each row
  when (new.deleted_at is null and new.title_words is not null)
  execute function todo.index_words();
create trigger index_changed_words after update on todo.tasks for each row
  when (
    (old.deleted_at is null) <> (new.deleted_at is null)
    or (old.title_words, old.description_words, old.tag_words, old.created_at)
      is distinct from (new.title_words, new.description_words, new.tag_words, new.created_at)
  )
  execute function todo.index_words();
create trigger index_deleted_words after delete on todo.tasks for each row
  when (old.deleted_at is null) execute function todo.index_words();

-- The words of a text that is changed in psql, or from a backup, are no longer its own.
create function todo.forget_words() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  new.title_words := null;
  new.description_words := null;
  new.tag_words := '{}';
  new.words_revision := 0;
  return new;
end
$$;

-- Triggers run in the order of their names: this one before those that number, which the service's own writes do not call.
create trigger forget_words before update on todo.tasks for each row
  when (
    (new.title, new.description, new.tags) is distinct from (old.title, old.description, old.tags)
    and (new.title_words, new.description_words, new.tag_words)
      is not distinct from (old.title_words, old.description_words, old.tag_words)
    and new.version is distinct from nullif(current_setting('todo.number', true), '')::bigint
  )
  execute function todo.forget_words();

-- Those whose words are of a revision before the present one: a new revision has a migration with its number here.
create index tasks_to_index on todo.tasks (user_id, id) where title is not null and words_revision < 1;

-- Lists: open and completed tasks by creation, completed ones by completion, open ones by due date. To row-level security
-- `coalesce` is not leakproof, and would be of no use to an index; `case` is.
create index tasks_by_state on todo.tasks (user_id, is_completed, created_at desc, id desc) where deleted_at is null;
create index tasks_by_completion on todo.tasks (user_id, completed_at desc, id desc)
  where deleted_at is null and is_completed;
create index tasks_by_due on todo.tasks (user_id, due_date, (case when due_time is null then '24:00' else due_time end), id)
  where deleted_at is null and not is_completed and due_date is not null;
