import assert from 'node:assert/strict';
import {
  batch,
  createTask,
  deleteTask,
  getTask,
  health,
  listChanges,
  listTasks,
  patchTask,
  putTask,
  toggleTask,
} from './client/todo';
import * as schemas from './client/todo.zod';

const headers = { Authorization: `Bearer ${process.env.API_TOKEN}` };
const title = '🥛 Buy oat milk';

const created = await createTask(schemas.CreateTaskBody.parse({ title, description: null }), { headers });
assert.ok(created.status === 201);
const task = created.data;
assert.deepEqual([task.title, task.description, task.is_completed], [title, null, false]);
const list = await listTasks(undefined, { headers });
assert.ok(list.status === 200);
assert.deepEqual(schemas.ListTasksResponse.parse(list.data).tasks, [task]);
assert.deepEqual(schemas.GetTaskResponse.parse((await getTask(task.id, { headers })).data), task);
const patched = await patchTask(task.id, schemas.PatchTaskBody.parse({ description: 'Two' }), { headers });
assert.equal(schemas.PatchTaskResponse.parse(patched.data).description, 'Two');
const put = await putTask(task.id, schemas.PutTaskBody.parse({ description: null }), { headers });
assert.equal(schemas.PutTaskResponse.parse(put.data).description, null);
assert.equal(schemas.ToggleTaskResponse.parse((await toggleTask(task.id, { headers })).data).is_completed, true);
assert.equal(schemas.DeleteTaskResponse.parse((await deleteTask(task.id, undefined, { headers })).data).id, task.id);
const operations = schemas.BatchBody.parse({
  operations: [
    { op: 'create', title },
    { op: 'toggle', id: task.id },
  ],
});
const several = schemas.BatchResponse.parse((await batch(operations, { headers })).data);
assert.deepEqual(
  several.results.map(({ status, code }) => [status, code]),
  [
    [201, undefined],
    [404, 'NOT_FOUND'],
  ],
);
const changes = schemas.ListChangesResponse.parse((await listChanges({ limit: 1 }, { headers })).data);
assert.equal(changes.changes[0]?.task?.title, title);
const missing = await getTask(task.id, { headers });
assert.ok(missing.status === 404);
assert.equal(missing.data.code, 'NOT_FOUND');
for (const faulty of ['', ' ', '\t\n', 'x\0', 'x'.repeat(201)]) {
  assert.ok(!schemas.CreateTaskBody.safeParse({ title: faulty }).success, JSON.stringify(faulty));
}
const blank = await createTask({ title: ' ' }, { headers });
assert.ok(blank.status === 400);
assert.equal(blank.data.details?.[0]?.field, 'title');
assert.equal((await health()).status, 200);
console.log('round trip done');
