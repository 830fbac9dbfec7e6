import os

import openapi_client
from openapi_client.exceptions import BadRequestException, NotFoundException

configuration = openapi_client.Configuration(host=os.environ["API_URL"], access_token=os.environ["API_TOKEN"])
title = "🥛 Buy oat milk"

with openapi_client.ApiClient(configuration) as client:
    api = openapi_client.TasksApi(client)
    task = api.create_task(openapi_client.TaskCreate(title=title, description=None))
    assert (task.title, task.description, task.is_completed) == (title, None, False), task
    assert api.list_tasks().tasks == [task]
    assert api.get_task(task.id) == task
    assert api.patch_task(task.id, openapi_client.TaskUpdate(description="Two")).description == "Two"
    assert api.put_task(task.id, openapi_client.TaskUpdate(description=None)).description is None
    assert api.toggle_task(task.id).is_completed
    assert api.delete_task(task.id).id == task.id
    operations = [
        openapi_client.BatchOperation(openapi_client.BatchCreate(op="create", title=title)),
        openapi_client.BatchOperation(openapi_client.BatchToggle(op="toggle", id=task.id)),
    ]
    several = api.batch(openapi_client.Batch(operations=operations))
    assert [result.status for result in several.results] == [201, 404], several
    assert several.results[1].code == "NOT_FOUND", several
    assert api.list_changes(limit=1).changes[0].task.title == title
    try:
        api.get_task(task.id)
        raise AssertionError("a deleted task was returned")
    except NotFoundException as error:
        assert error.data.code == "NOT_FOUND", error.data
    try:
        openapi_client.TaskCreate(title=" ")
        raise AssertionError("a blank title was accepted")
    except ValueError:
        pass
    try:
        api.create_task(openapi_client.TaskCreate.model_construct(title=" "))
        raise AssertionError("a blank title was created")
    except BadRequestException as error:
        assert error.data.details[0].var_field == "title", error.data
    assert openapi_client.ServiceApi(client).health().status == "healthy"
print("round trip done")
