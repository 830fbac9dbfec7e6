import assert from 'node:assert/strict';
import { createTask, deleteTask, getTask, health, listTasks, patchTask, putTask, toggleTask } from './client/todo';
import * as schemas from './client/todo.zod';

const headers = { Authorization: `Bearer ${process.env.API_TOKEN}` };
const title = '🥛 Buy oat milk';

const created = await createTask(schemas.CreateTaskBody.parse({ title, description: null }), { headers });
assert.ok(created.status === 201);
const task = created.data;
assert.deepEqual([task.title, task.description, task.is_completed], [title, null, false]);
const list = await listTasks({ headers });
assert.ok(list.status === 200);
assert.deepEqual(schemas.ListTasksResponse.parse(list.data).tasks, [task]);
assert.deepEqual(schemas.GetTaskResponse.parse((await getTask(task.id, { headers })).data), task);
const patched = await patchTask(task.id, schemas.PatchTaskBody.parse({ description: 'Two' }), { headers });
assert.equal(schemas.PatchTaskResponse.parse(patched.data).description, 'Two');
const put = await putTask(task.id, schemas.PutTaskBody.parse({ description: null }), { headers });
assert.equal(schemas.PutTaskResponse.parse(put.data).description, null);
assert.equal(schemas.ToggleTaskResponse.parse((await toggleTask(task.id, { headers })).data).is_completed, true);
assert.equal(schemas.DeleteTaskResponse.parse((await deleteTask(task.id, { headers })).data).id, task.id);
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
