-- For the erasure of an account's data; row-level security confines it to the user's own.
grant delete on todo.tasks, todo.lists, todo.replies to todo_app;
