import assert from 'node:assert/strict';
import { Configuration, ResponseError, ServiceApi, TasksApi } from './client/index';

const configuration = new Configuration({
  basePath: process.env.API_URL ?? '',
  accessToken: process.env.API_TOKEN ?? '',
});
const api = new TasksApi(configuration);
const title = '🥛 Buy oat milk';

const task = await api.createTask({ taskCreate: { title, description: null } });
assert.deepEqual([task.title, task.description, task.isCompleted], [title, null, false]);
assert.deepEqual((await api.listTasks()).tasks, [task]);
const { id: taskId } = task;
assert.deepEqual(await api.getTask({ taskId }), task);
assert.equal((await api.patchTask({ taskId, taskUpdate: { description: 'Two' } })).description, 'Two');
assert.equal((await api.putTask({ taskId, taskUpdate: { description: null } })).description, null);
assert.equal((await api.toggleTask({ taskId })).isCompleted, true);
assert.equal((await api.deleteTask({ taskId })).id, taskId);
const operations = [
  { op: 'create' as const, title },
  { op: 'toggle' as const, id: taskId },
];
const several = await api.batch({ batch: { operations } });
assert.deepEqual(
  several.results.map(({ status, code }) => [status, code]),
  [
    [201, undefined],
    [404, 'NOT_FOUND'],
  ],
);
assert.equal((await api.listChanges({ limit: 1 })).changes[0]?.task?.title, title);
for (const [call, status, code] of [
  [() => api.getTask({ taskId }), 404, 'NOT_FOUND'],
  [() => api.createTask({ taskCreate: { title: ' ' } }), 400, 'VALIDATION_ERROR'],
] as const) {
  const error = await call().then(
    () => assert.fail(`${code} was expected`),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ResponseError);
  assert.deepEqual([error.response.status, (await error.response.json()).code], [status, code]);
}
assert.equal((await new ServiceApi(configuration).health()).status, 'healthy');
console.log('round trip done');
