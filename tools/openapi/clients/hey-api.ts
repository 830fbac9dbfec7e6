import assert from 'node:assert/strict';
import { client } from './client/client.gen';
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
} from './client/sdk.gen';

client.setConfig({ baseUrl: process.env.API_URL ?? '', auth: () => process.env.API_TOKEN ?? '' });
const title = '🥛 Buy oat milk';
const throwOnError = true;

const { data: task } = await createTask({ body: { title, description: null }, throwOnError });
assert.deepEqual([task.title, task.description, task.is_completed], [title, null, false]);
assert.deepEqual((await listTasks({ throwOnError })).data.tasks, [task]);
const path = { task_id: task.id };
assert.deepEqual((await getTask({ path, throwOnError })).data, task);
assert.equal((await patchTask({ path, body: { description: 'Two' }, throwOnError })).data.description, 'Two');
assert.equal((await putTask({ path, body: { description: null }, throwOnError })).data.description, null);
assert.equal((await toggleTask({ path, throwOnError })).data.is_completed, true);
assert.equal((await deleteTask({ path, throwOnError })).data.id, task.id);
const operations = [
  { op: 'create' as const, title },
  { op: 'toggle' as const, id: task.id },
];
const { data: several } = await batch({ body: { operations }, throwOnError });
assert.deepEqual(
  several.results.map(({ status, code }) => [status, code]),
  [
    [201, undefined],
    [404, 'NOT_FOUND'],
  ],
);
const { data: changes } = await listChanges({ query: { limit: 1 }, throwOnError });
assert.equal(changes.changes[0]?.task?.title, title);
const { error, response } = await getTask({ path });
assert.deepEqual([response?.status, error && 'code' in error && error.code], [404, 'NOT_FOUND']);
const { error: blank } = await createTask({ body: { title: ' ' } });
assert.ok(blank, 'a blank title was created');
assert.equal((await health({ throwOnError })).data.status, 'healthy');
console.log('round trip done');
