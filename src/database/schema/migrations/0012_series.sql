-- The occurrences of a recurring task, and what is below a task.
create index tasks_by_series on todo.tasks (user_id, series_id) where series_id is not null;
create index if not exists tasks_by_parent on todo.tasks (user_id, parent_id) where parent_id is not null;
