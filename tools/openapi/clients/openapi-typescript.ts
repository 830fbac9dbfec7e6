import assert from 'node:assert/strict';
import createClient from 'openapi-fetch';
import type { paths } from './client/todo';

const client = createClient<paths>({
  baseUrl: process.env.API_URL ?? '',
  headers: { Authorization: `Bearer ${process.env.API_TOKEN}` },
});
const title = '🥛 Buy oat milk';

const { data: task } = await client.POST('/api/tasks', { body: { title, description: null } });
assert.ok(task);
assert.deepEqual([task.title, task.description, task.is_completed], [title, null, false]);
assert.deepEqual((await client.GET('/api/tasks')).data?.tasks, [task]);
const params = { path: { task_id: task.id } };
const TASK = '/api/tasks/{task_id}';
assert.deepEqual((await client.GET(TASK, { params })).data, task);
assert.equal((await client.PATCH(TASK, { params, body: { description: 'Two' } })).data?.description, 'Two');
assert.equal((await client.PUT(TASK, { params, body: { description: null } })).data?.description, null);
assert.equal((await client.POST('/api/tasks/{task_id}/toggle', { params })).data?.is_completed, true);
assert.equal((await client.DELETE(TASK, { params })).data?.id, task.id);
const operations = [
  { op: 'create' as const, title },
  { op: 'toggle' as const, id: task.id },
];
const { data: several } = await client.POST('/api/batch', { body: { operations } });
assert.deepEqual(
  several?.results.map(({ status, code }) => [status, code]),
  [
    [201, undefined],
    [404, 'NOT_FOUND'],
  ],
);
const changes = await client.GET('/api/changes', { params: { query: { limit: 1 } } });
assert.equal(changes.data?.changes[0]?.task?.title, title);
const missing = await client.GET(TASK, { params });
assert.deepEqual([missing.response.status, missing.error?.code], [404, 'NOT_FOUND']);
const blank = await client.POST('/api/tasks', { body: { title: ' ' } });
assert.deepEqual([blank.response.status, blank.error?.details?.[0]?.field], [400, 'title']);
assert.equal((await client.GET('/health')).data?.status, 'healthy');
console.log('round trip done');
