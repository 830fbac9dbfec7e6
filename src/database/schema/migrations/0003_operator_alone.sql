-- A member of todo_operator inherits its policies, the role that connects among them: they hold for todo_operator itself alone.
alter policy operator_all on todo.users
  using ((select current_user = 'todo_operator')) with check ((select current_user = 'todo_operator'));
alter policy operator_all on todo.tasks
  using ((select current_user = 'todo_operator')) with check ((select current_user = 'todo_operator'));
