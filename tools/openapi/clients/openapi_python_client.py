import os
from http import HTTPStatus

from todo_client import AuthenticatedClient
from todo_client.api.service import health
from todo_client.api.tasks import (
    batch,
    create_task,
    delete_task,
    get_task,
    list_changes,
    list_tasks,
    patch_task,
    put_task,
    toggle_task,
)
from todo_client.models import Batch, BatchCreate, BatchToggle, TaskCreate, TaskUpdate

client = AuthenticatedClient(base_url=os.environ["API_URL"], token=os.environ["API_TOKEN"])
title = "🥛 Buy oat milk"

task = create_task.sync(client=client, body=TaskCreate(title=title, description=None))
assert (task.title, task.description, task.is_completed) == (title, None, False), task
assert list_tasks.sync(client=client).tasks == [task]
assert get_task.sync(task.id, client=client) == task
assert patch_task.sync(task.id, client=client, body=TaskUpdate(description="Two")).description == "Two"
assert put_task.sync(task.id, client=client, body=TaskUpdate(description=None)).description is None
assert toggle_task.sync(task.id, client=client).is_completed
assert delete_task.sync(task.id, client=client).id == task.id
operations = [BatchCreate(op="create", title=title), BatchToggle(op="toggle", id=task.id)]
several = batch.sync(client=client, body=Batch(operations=operations))
assert [result.status for result in several.results] == [201, 404] and several.results[1].code == "NOT_FOUND", several
assert list_changes.sync(client=client, limit=1).changes[0].task.title == title
missing = get_task.sync_detailed(task.id, client=client)
assert missing.status_code == HTTPStatus.NOT_FOUND and missing.parsed.code == "NOT_FOUND", missing
blank = create_task.sync_detailed(client=client, body=TaskCreate(title=" "))
assert blank.status_code == HTTPStatus.BAD_REQUEST and blank.parsed.details[0].field == "title", blank
assert health.sync(client=client).status == "healthy"
print("round trip done")
