import os
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from models import DeletedTask, Error, Task, TaskCreate, TaskList, TaskUpdate
from pydantic import ValidationError


def call(answer, method, path, body=None):
    data = None if body is None else body.model_dump_json(exclude_unset=True).encode()
    headers = {"Authorization": f"Bearer {os.environ['API_TOKEN']}", "Content-Type": "application/json"}
    with urlopen(Request(os.environ["API_URL"] + path, data, headers, method=method), timeout=15) as response:
        return answer.model_validate_json(response.read())


title = "🥛 Buy oat milk"
task = call(Task, "POST", "/api/tasks", TaskCreate(title=title, description=None))
path = f"/api/tasks/{task.id}"
assert (task.title, task.description, task.is_completed) == (title, None, False), task
assert call(TaskList, "GET", "/api/tasks").tasks == [task]
assert call(Task, "GET", path) == task
assert call(Task, "PATCH", path, TaskUpdate(description="Two")).description == "Two"
assert call(Task, "PUT", path, TaskUpdate(description=None)).description is None
assert call(Task, "POST", f"{path}/toggle").is_completed
assert call(DeletedTask, "DELETE", path).id == task.id
try:
    call(Task, "GET", path)
    raise AssertionError("a deleted task was returned")
except HTTPError as error:
    assert Error.model_validate_json(error.read()).code == "NOT_FOUND"
for blank in ["", " ", "\t\n", "x\0", "x" * 201]:
    try:
        TaskCreate(title=blank)
        raise AssertionError(f"{blank!r} was accepted")
    except ValidationError:
        pass
TaskCreate(title="🥛" * 200)
Task.model_validate({**task.model_dump(), "field_of_a_later_version": 1})
print("round trip done")
