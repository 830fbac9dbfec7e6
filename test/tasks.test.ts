import assert from 'node:assert/strict';
import { test } from 'node:test';
import { onEachDatabase, type Task } from './support/service.ts';

const range = (length: number) => Array.from({ length }, (_, index) => index);

onEachDatabase('tasks', (service) => {
  test('a new user has no tasks', async () => {
    const person = await service().person();
    const answer = await person.send('GET', '/api/tasks');
    assert.equal(answer.statusCode, 200);
    assert.equal(answer.body, '{"tasks":[]}');
  });

  test('a created task has exactly the fields of the contract, and Location is its URL', async () => {
    const person = await service().person();
    const answer = await person.send('POST', '/api/tasks', { title: '  Buy oat milk\n' });
    assert.equal(answer.statusCode, 201);
    const task = answer.json<Task>();
    assert.deepEqual(Object.keys(task), [
      'id',
      'user_id',
      'title',
      'description',
      'is_completed',
      'list_id',
      'parent_id',
      'position',
      'due_date',
      'due_time',
      'due_time_zone',
      'priority',
      'tags',
      'recurrence',
      'recurrence_from',
      'completed_at',
      'series_id',
      'created_at',
      'updated_at',
      'deleted_at',
      'version',
    ]);
    assert.match(task.id, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    assert.match(task.created_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$/);
    assert.ok(Math.abs(Date.parse(task.created_at) - Date.now()) < 60_000);
    assert.equal(task.updated_at, task.created_at);
    assert.deepEqual(
      { ...task, id: '', created_at: '', updated_at: '' },
      {
        id: '',
        user_id: person.sub,
        title: 'Buy oat milk',
        description: null,
        is_completed: false,
        list_id: null,
        parent_id: null,
        position: 'a0',
        due_date: null,
        due_time: null,
        due_time_zone: null,
        priority: 'none',
        tags: [],
        recurrence: null,
        recurrence_from: 'due',
        completed_at: null,
        series_id: null,
        created_at: '',
        updated_at: '',
        deleted_at: null,
        version: 1,
      },
    );
    assert.equal(answer.headers.location, `/api/tasks/${task.id}`);
    const fetched = await person.send('GET', String(answer.headers.location));
    assert.equal(fetched.body, answer.body);
  });

  test('a description is kept, trimmed, and null when it is empty or null', async () => {
    const person = await service().person();
    assert.equal((await person.create('a', { description: ' two \n lines ' })).description, 'two \n lines');
    assert.equal((await person.create('a', { description: ' \t ' })).description, null);
    assert.equal((await person.create('a', { description: null })).description, null);
    assert.equal((await person.create('a', { is_completed: true })).is_completed, true);
  });

  test('an update changes only what is given', async () => {
    const person = await service().person();
    const task = await person.create('before', { description: 'kept' });
    let last = task;
    for (const method of ['PUT', 'PATCH']) {
      const retitled = await person.send(method, `/api/tasks/${task.id}`, { title: ` ${method} ` });
      assert.equal(retitled.statusCode, 200);
      const { updated_at, version, ...rest } = retitled.json<Task>();
      assert.ok(updated_at > last.updated_at && version > last.version);
      assert.deepEqual({ ...rest, updated_at: task.updated_at, version: 1 }, { ...task, title: method });
      const completed = (await person.send(method, `/api/tasks/${task.id}`, { is_completed: true })).json<Task>();
      assert.deepEqual([completed.title, completed.description, completed.is_completed], [method, 'kept', true]);
      const reopened = (await person.send(method, `/api/tasks/${task.id}`, { is_completed: false })).json<Task>();
      assert.equal(reopened.is_completed, false);
      last = reopened;
    }
    const cleared = (await person.send('PUT', `/api/tasks/${task.id}`, { description: null })).json<Task>();
    assert.equal(cleared.description, null);
    const described = (await person.send('PUT', `/api/tasks/${task.id}`, { description: 'again' })).json<Task>();
    assert.equal(described.description, 'again');
  });

  test('updated_at and version increase with every change, created_at stays', async () => {
    const person = await service().person();
    let last = await person.create('task');
    const created = last.created_at;
    for (const [method, path, body] of [
      ['PUT', '', { title: 'other' }],
      ['PATCH', '', { description: 'new' }],
      ['PATCH', '', { description: null }],
      ['POST', '/toggle', undefined],
      ['POST', '/toggle', undefined],
    ] as const) {
      const next = (await person.send(method, `/api/tasks/${last.id}${path}`, body)).json<Task>();
      assert.ok(next.updated_at > last.updated_at, `${next.updated_at} is not after ${last.updated_at}`);
      assert.equal(next.version, last.version + 1);
      assert.equal(next.created_at, created);
      last = next;
    }
  });

  test('a write that changes nothing leaves the task as it is, updated_at and version too', async () => {
    const person = await service().person();
    const task = await person.create('task', { description: 'd' });
    for (const method of ['PUT', 'PATCH']) {
      for (const body of [{ title: ' task ' }, { description: 'd' }, { is_completed: false }, task]) {
        const answer = await person.send(method, `/api/tasks/${task.id}`, body);
        assert.deepEqual([answer.statusCode, answer.json<Task>()], [200, task]);
      }
    }
    assert.deepEqual(await person.list(), [task]);
    assert.equal((await person.create('next')).version, task.version + 1);
  });

  test('a client may send back a whole task; fields of the service and unknown fields are ignored', async () => {
    const person = await service().person();
    const task = await person.create('mine', { description: 'd' });
    const foreign = {
      id: '00000000-0000-4000-8000-000000000000',
      user_id: 'someone else',
      created_at: '1999-01-01T00:00:00Z',
      updated_at: 'x',
      deleted_at: '1999-01-01T00:00:00Z',
      version: 1_000_000,
    };
    const answer = await person.send('PUT', `/api/tasks/${task.id}`, {
      ...task,
      ...foreign,
      title: 'new',
      colour: 'red',
    });
    assert.equal(answer.statusCode, 200);
    assert.deepEqual({ ...answer.json<Task>(), updated_at: '' }, { ...task, title: 'new', updated_at: '', version: 2 });
    const created = await person.create('x', foreign);
    assert.notEqual(created.id, foreign.id);
    assert.equal(created.user_id, person.sub);
    assert.ok(created.created_at > '2020');
    assert.deepEqual([created.deleted_at, created.version], [null, 3]);
  });

  test('a deleted task is gone at once, and a second delete is 404', async () => {
    const person = await service().person();
    const task = await person.create('short-lived');
    const answer = await person.send('DELETE', `/api/tasks/${task.id}`);
    assert.equal(answer.statusCode, 200);
    assert.deepEqual(answer.json(), { message: 'Task deleted successfully', id: task.id });
    for (const method of ['GET', 'PUT', 'PATCH', 'DELETE']) {
      const again = await person.send(method, `/api/tasks/${task.id}`, method[0] === 'P' ? { title: 'x' } : undefined);
      assert.equal(again.statusCode, 404);
      assert.equal(again.body, '{"error":"Task not found","code":"NOT_FOUND"}');
    }
    assert.deepEqual(await person.list(), []);
  });

  test('a task id is case-insensitive', async () => {
    const person = await service().person();
    const task = await person.create('shout');
    const answer = await person.send('GET', `/api/tasks/${task.id.toUpperCase()}`);
    assert.equal(answer.json<Task>().id, task.id);
    const deleted = await person.send('DELETE', `/api/tasks/${task.id.toUpperCase()}`);
    assert.equal(deleted.json<Task>().id, task.id);
  });

  test('the list is newest first, also for tasks created within one millisecond', async () => {
    const person = await service().person();
    for (const index of range(30)) await person.create(`task ${index}`);
    const titles = (await person.list()).map((task) => task.title);
    assert.deepEqual(
      titles,
      range(30).map((index) => `task ${29 - index}`),
    );
  });

  test('of 1,200 tasks the list contains the newest 1,000', async () => {
    const person = await service().person();
    for (const hundred of range(12))
      await Promise.all(range(100).map((index) => person.create(`${hundred * 100 + index}`)));
    const tasks = await person.list();
    assert.equal(tasks.length, 1000);
    const order = tasks.map((task) => `${task.created_at} ${task.id}`);
    assert.deepEqual(order, [...order].sort().reverse());
    assert.ok(
      tasks.every((task) => Number(task.title) >= 100),
      'one of the oldest hundred tasks is in the list',
    );
  });

  test('100 concurrent creates and then 100 concurrent lists of one user all succeed', async () => {
    const person = await service().person();
    const created = await Promise.all(
      range(100).map((index) => person.send('POST', '/api/tasks', { title: `${index}` })),
    );
    assert.deepEqual(new Set(created.map((answer) => answer.statusCode)), new Set([201]));
    const lists = await Promise.all(range(100).map(() => person.list()));
    for (const tasks of lists) assert.equal(tasks.length, 100);
  });

  test('101 concurrent toggles are applied 101 times', async () => {
    const person = await service().person();
    const task = await person.create('flip');
    const answers = await Promise.all(range(101).map(() => person.send('POST', `/api/tasks/${task.id}/toggle`)));
    assert.deepEqual(new Set(answers.map((answer) => answer.statusCode)), new Set([200]));
    assert.equal(new Set(answers.map((answer) => answer.json<Task>().updated_at)).size, 101);
    assert.equal(new Set(answers.map((answer) => answer.json<Task>().version)).size, 101);
    assert.equal((await person.list())[0]?.is_completed, true);
  });

  test('a list of long texts has the tasks as they are, in order, whether it is read first or again', async () => {
    const person = await service().person();
    const texts = ['\u0001', '"\\/\b\f\n\r\t\u007f', '😀é\u2028', 'a'];
    const tasks: Task[] = [];
    for (let index = 0; index < 120; index += 1) {
      const description = index % 5 === 4 ? null : `.${(texts[index % 4] ?? '').repeat(1_900).slice(0, 1_900)}.`;
      tasks.unshift(await person.create(`task ${index} \u0002"`, { description, is_completed: index % 2 === 0 }));
    }
    for (let time = 0; time < 3; time += 1) {
      const answer = await person.send('GET', '/api/tasks');
      assert.equal(answer.headers['content-type'], 'application/json; charset=utf-8');
      assert.equal(answer.body, JSON.stringify({ tasks }));
    }
  });
});
