import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { onEachDatabase, type Person, type Task } from './support/service.ts';

interface Result {
  readonly status: number;
  readonly task?: Task;
  readonly current?: Task;
  readonly error?: string;
  readonly code?: string;
  readonly details?: readonly { readonly field: string; readonly message: string }[];
}

const send = (person: Person, operations: readonly unknown[], rest: object = {}) =>
  person.send('POST', '/api/batch', { operations, ...rest });

async function results(person: Person, operations: readonly unknown[], rest: object = {}): Promise<readonly Result[]> {
  const answer = await send(person, operations, rest);
  assert.equal(answer.statusCode, 200, answer.body);
  return answer.json<{ results: Result[] }>().results;
}

onEachDatabase('batch', (service) => {
  test('operations are executed in order, each answered as its own route would', async () => {
    const person = await service().person();
    const task = await person.create('old');
    const id = randomUUID();
    const answer = await send(person, [
      { op: 'create', title: ' by the service ' },
      { op: 'create', id, title: 'mine' },
      { op: 'update', id, description: 'changed in the same batch' },
      { op: 'toggle', id },
      { op: 'put', id, title: 'replaced' },
      { op: 'delete', id: task.id },
      { op: 'delete', id: task.id },
      { op: 'restore', id: task.id },
      { op: 'put', id: randomUUID(), title: 'put', if_version: 0 },
    ]);
    const { results: all, version } = answer.json<{ results: Result[]; version: number }>();
    assert.deepEqual(
      all.map(({ status }) => status),
      [201, 201, 200, 200, 200, 200, 200, 200, 201],
    );
    assert.equal(all[0]?.task?.title, 'by the service');
    assert.deepEqual([all[3]?.task?.is_completed, all[3]?.task?.description], [true, 'changed in the same batch']);
    const replaced = all[4]?.task;
    assert.deepEqual([replaced?.title, replaced?.description, replaced?.is_completed], ['replaced', null, false]);
    assert.equal(version, 9);
    assert.deepEqual(
      new Set((await person.list()).map(({ title }) => title)),
      new Set(['by the service', 'replaced', 'old', 'put']),
    );
  });

  test('an operation that fails leaves its neighbours alone', async () => {
    const [person, other] = [await service().person(), await service().person()];
    const [task, foreign] = [await person.create('mine'), await other.create('foreign')];
    const deleted = await person.create('deleted');
    await person.send('DELETE', `/api/tasks/${deleted.id}`);
    const all = await results(person, [
      { op: 'create', title: 'a' },
      { op: 'toggle', id: foreign.id },
      { op: 'update', id: task.id, title: 'x', if_version: 99 },
      { op: 'create', id: task.id, title: 'exists' },
      { op: 'create', id: deleted.id, title: 'was deleted' },
      { op: 'put', id: randomUUID(), title: 'x', if_version: 4 },
      { op: 'restore', id: task.id },
      { op: 'create' },
      { op: 'update', id: 'none', title: 'x' },
      { op: 'fly' },
      'text',
      { op: 'create', title: 'b' },
    ]);
    assert.deepEqual(
      all.map(({ status }) => status),
      [201, 404, 412, 412, 409, 404, 404, 400, 400, 400, 400, 201],
    );
    assert.deepEqual([all[2]?.code, all[2]?.current], ['PRECONDITION_FAILED', task]);
    assert.deepEqual(all[1], { status: 404, error: 'Task not found', code: 'NOT_FOUND' });
    assert.equal(all[7]?.details?.[0]?.message, 'Title is required and cannot be empty');
    assert.deepEqual(all[8]?.details, [{ field: 'id', message: 'Task id must be a UUID' }]);
    assert.deepEqual(
      (await person.list()).map(({ title }) => title),
      ['b', 'a', 'mine'],
    );
    assert.deepEqual(await other.list(), [foreign]);
  });

  test('the answer to an atomic batch that is undone shows nothing of what it had done', async () => {
    const person = await service().person();
    const task = await person.create('before');
    const operations = [
      { op: 'update', id: task.id, title: 'undone' },
      { op: 'create', id: task.id, title: 'exists' },
    ];
    const refused = await send(person, operations, { atomic: true });
    assert.equal(refused.statusCode, 412);
    assert.equal(refused.headers.etag, undefined);
    const error = { error: 'The task has been changed since', code: 'PRECONDITION_FAILED', index: 1 };
    assert.deepEqual(refused.json(), error);
    assert.deepEqual(await person.list(), [task]);
  });

  test('an atomic batch does all or nothing; the first failure is the answer, with its index', async () => {
    const person = await service().person();
    const task = await person.create('mine');
    const operations = [
      { op: 'create', title: 'a' },
      { op: 'update', id: task.id, title: 'x', if_version: 99 },
      { op: 'toggle', id: randomUUID() },
    ];
    const stale = await send(person, operations, { atomic: true });
    assert.equal(stale.statusCode, 412);
    assert.equal(stale.headers.etag, '"1"');
    const error = { error: 'The task has been changed since', code: 'PRECONDITION_FAILED', index: 1, current: task };
    assert.deepEqual(stale.json(), error);
    const malformed = await send(person, [{ op: 'create', title: 'a' }, { op: 'create' }], { atomic: true });
    assert.equal(malformed.statusCode, 400);
    assert.equal(malformed.json<{ index: number }>().index, 1);
    const gone = await send(
      person,
      [
        { op: 'toggle', id: task.id },
        { op: 'toggle', id: randomUUID() },
      ],
      { atomic: true },
    );
    assert.deepEqual([gone.statusCode, gone.json<{ index: number }>().index], [404, 1]);
    assert.deepEqual(await person.list(), [task]);
    const all = await results(
      person,
      [
        { op: 'toggle', id: task.id },
        { op: 'create', title: 'b' },
      ],
      { atomic: true },
    );
    assert.deepEqual(
      all.map((one) => [one.status, one.task?.version]),
      [
        [200, 2],
        [201, 3],
      ],
    );
  });

  test('if_unchanged_since: nothing is done where a named task has moved past it', async () => {
    const person = await service().person();
    const [a, b] = [await person.create('a'), await person.create('b')];
    const moved = (await person.send('POST', `/api/tasks/${b.id}/toggle`)).json<Task>();
    const operations = [
      { op: 'toggle', id: a.id },
      { op: 'toggle', id: b.id },
    ];
    const refused = await send(person, operations, { if_unchanged_since: 2 });
    assert.equal(refused.statusCode, 412);
    assert.equal(refused.json<{ index: number }>().index, 1);
    assert.deepEqual(await person.list(), [moved, a]);
    const done = await results(person, operations, { if_unchanged_since: 3 });
    assert.deepEqual(
      done.map(({ status }) => status),
      [200, 200],
    );
  });

  test('deleting what is gone succeeds, with and without a version', async () => {
    const person = await service().person();
    const all = await results(person, [
      { op: 'delete', id: randomUUID() },
      { op: 'delete', id: randomUUID(), if_version: 3 },
    ]);
    assert.deepEqual(
      all.map(({ status }) => status),
      [200, 200],
    );
  });

  test('more than 100 operations, and other malformed batches, are 400 with the field named; above 256 KiB it is 413', async () => {
    const person = await service().person();
    const create = { op: 'create', title: 'x' };
    for (const [body, field] of [
      [{ operations: Array.from({ length: 101 }, () => create) }, 'operations'],
      [{}, 'operations'],
      [{ operations: 'x' }, 'operations'],
      [{ operations: [create], atomic: 'yes' }, 'atomic'],
      [{ operations: [create], if_unchanged_since: -1 }, 'if_unchanged_since'],
    ] as const) {
      const answer = await person.send('POST', '/api/batch', body);
      assert.equal(answer.statusCode, 400, field);
      assert.equal(answer.json<{ details: { field: string }[] }>().details[0]?.field, field);
    }
    const large = Array.from({ length: 100 }, () => ({ ...create, description: 'd'.repeat(2_000) }));
    assert.equal((await send(person, large)).statusCode, 200);
    const tooLarge = [{ ...create, ignored: 'd'.repeat(262_144) }];
    assert.equal((await send(person, tooLarge)).statusCode, 413);
    assert.equal((await person.list()).length, 100);
  });

  test('an operation whose id is missing or no text says so as its own route would', async () => {
    const person = await service().person();
    const faulty = [{ op: 'toggle' }, { op: 'delete', id: 5 }, { op: 'restore', id: null }, { op: 'create', id: [] }];
    const details = [{ field: 'id', message: 'Task id must be a UUID' }];
    for (const operation of faulty) {
      const [result] = await results(person, [{ title: 'x', ...operation }]);
      assert.deepEqual([result?.status, result?.details], [400, details]);
    }
  });

  test('creates that follow each other keep their order, fields and versions; sent again with its key, all is answered again', async () => {
    const person = await service().person();
    const task = await person.create('before');
    const operations = [
      { op: 'create', title: 'first 🥛', description: null },
      { op: 'create', title: 'second', description: 'two', is_completed: true },
      { op: 'toggle', id: task.id },
      { op: 'create', title: 'third' },
      { op: 'create' },
      { op: 'create', title: 'last' },
    ];
    const key = { 'idempotency-key': 'together' };
    const first = await person.send('POST', '/api/batch', { operations }, key);
    const { results: all, version } = first.json<{ results: { status: number; task?: Task }[]; version: number }>();
    const shown = all.map(({ status, task: made }) => [
      status,
      made?.title,
      made?.description,
      made?.is_completed,
      made?.version,
    ]);
    assert.deepEqual(shown, [
      [201, 'first 🥛', null, false, 2],
      [201, 'second', 'two', true, 3],
      [200, 'before', null, true, 4],
      [201, 'third', null, false, 5],
      [400, undefined, undefined, undefined, undefined],
      [201, 'last', null, false, 6],
    ]);
    assert.equal(version, 6);
    assert.deepEqual(
      (await person.list()).map(({ title }) => title),
      ['last', 'third', 'second', 'first 🥛', 'before'],
    );
    const again = await person.send('POST', '/api/batch', { operations }, key);
    assert.equal(again.body, first.body);
  });

  test('batches at the same time are executed one after the other, and versions have no gap', async () => {
    const person = await service().person();
    const id = (await person.create('counted')).id;
    const operations = Array.from({ length: 10 }, () => ({ op: 'toggle', id }));
    const answers = await Promise.all(Array.from({ length: 11 }, () => results(person, operations)));
    const versions = answers.flat().map(({ task }) => task?.version ?? 0);
    assert.deepEqual(
      versions.sort((a, b) => a - b),
      Array.from({ length: 110 }, (_, index) => index + 2),
    );
  });
});

onEachDatabase(
  'batch with a limit of 3 tasks',
  (service) => {
    test('creates beyond the limit are 409, each by itself', async () => {
      const person = await service().person();
      const create = { op: 'create', title: 'x' };
      const all = await results(
        person,
        Array.from({ length: 5 }, () => create),
      );
      assert.deepEqual(
        all.map(({ status }) => status),
        [201, 201, 201, 409, 409],
      );
      assert.equal((await person.list()).length, 3);
    });

    test('of an atomic batch the first create beyond the limit is named, with its key too, and nothing is done', async () => {
      const person = await service().person();
      const operations = [...'abcde'].map((title) => ({ op: 'create', title }));
      for (const headers of [{}, { 'idempotency-key': 'k' }, { 'idempotency-key': 'k' }]) {
        const answer = await person.send('POST', '/api/batch', { operations, atomic: true }, headers);
        assert.equal(answer.statusCode, 409);
        const { code, index } = answer.json<{ code: string; index: number }>();
        assert.deepEqual({ code, index }, { code: 'LIMIT_REACHED', index: 3 });
      }
      assert.deepEqual(await person.list(), []);
    });
  },
  { config: { maxTasksPerUser: 3 } },
);
