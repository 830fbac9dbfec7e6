import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import type { LightMyRequestResponse } from 'fastify';
import type { Database } from '../dist/database/database.js';
import { onAnyDatabase, onEachDatabase, startService, type Task } from './support/service.ts';
import { exchange, listen, wire } from './support/socket.ts';
import { baseName } from './support/statements.ts';

const keyed = (key: string = randomUUID()) => ({ 'idempotency-key': key });
const COMPARED = ['location', 'etag', 'content-type'];
const shown = ({ statusCode, body, headers }: LightMyRequestResponse) => ({
  statusCode,
  body,
  headers: Object.fromEntries(COMPARED.map((name) => [name, headers[name]])),
});

onEachDatabase('requests with an idempotency key', (service) => {
  test('a write sent again with its key is not executed again, and answered to the byte', async () => {
    const person = await service().person();
    const task = await person.create('base');
    const other = await person.create('to be deleted for good');
    const url = `/api/tasks/${task.id}`;
    const requests: [string, string, object | undefined, Record<string, string>][] = [
      ['POST', '/api/tasks', { title: 'once' }, {}],
      ['PATCH', url, { title: 'changed' }, {}],
      ['PATCH', url, { title: 'refused' }, { 'if-match': '"1"' }],
      ['POST', `${url}/toggle`, undefined, {}],
      ['DELETE', url, undefined, {}],
      ['DELETE', url, undefined, {}],
      ['DELETE', `/api/tasks/${other.id}?permanent=true`, undefined, {}],
      ['POST', `${url}/restore`, undefined, {}],
      ['PUT', `/api/tasks/${randomUUID()}`, { title: 'own id' }, { 'if-none-match': '*' }],
      [
        'POST',
        '/api/batch',
        { operations: [{ op: 'create', title: 'in a batch' }, { op: 'toggle', id: task.id }, {}] },
        {},
      ],
      ['POST', '/api/batch', { operations: [{ op: 'toggle', id: task.id, if_version: 1 }], atomic: true }, {}],
    ];
    const statuses: number[] = [];
    for (const [method, path, body, headers] of requests) {
      const sent = { ...headers, ...keyed() };
      const first = await person.send(method, path, body, sent);
      assert.equal(first.headers['idempotency-replayed'], undefined);
      const before = (await person.list()).length;
      const again = await person.send(method, path, body, sent);
      assert.deepEqual(shown(again), shown(first), `${method} ${path}`);
      assert.equal(again.headers['idempotency-replayed'], 'true');
      assert.equal((await person.list()).length, before);
      statuses.push(first.statusCode);
    }
    assert.deepEqual(statuses, [201, 200, 412, 200, 200, 404, 200, 200, 201, 200, 412]);
    const toggled = (await person.list()).find(({ id }) => id === task.id);
    assert.equal(toggled?.is_completed, false, 'toggled twice: alone and in the batch');
  });

  test('the first answer is repeated even after the task has changed', async () => {
    const person = await service().person();
    const sent = keyed();
    const first = await person.send('POST', '/api/tasks', { title: 'as it was' }, sent);
    await person.send('PATCH', String(first.headers.location), { title: 'as it is' });
    assert.equal((await person.send('POST', '/api/tasks', { title: 'as it was' }, sent)).body, first.body);
  });

  test('a key used for another request is 422, and nothing happens', async () => {
    const person = await service().person();
    const sent = keyed();
    const task = (await person.send('POST', '/api/tasks', { title: 'one' }, sent)).json<Task>();
    for (const [method, path, body] of [
      ['POST', '/api/tasks', { title: 'two' }],
      ['PATCH', `/api/tasks/${task.id}`, { title: 'one' }],
      ['DELETE', `/api/tasks/${task.id}?permanent=true`, undefined],
      ['POST', `/api/tasks/${task.id}/toggle`, undefined],
    ] as const) {
      const answer = await person.send(method, path, body, sent);
      assert.equal(answer.statusCode, 422, path);
      const error = { error: 'The key was used for another request', code: 'IDEMPOTENCY_MISMATCH' };
      assert.deepEqual(answer.json(), error);
    }
    assert.deepEqual(await person.list(), [task]);
  });

  test('of requests with one key at the same time one is executed, and all get its answer', async () => {
    const person = await service().person();
    const sent = keyed();
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => person.send('POST', '/api/tasks', { title: 'once' }, sent)),
    );
    assert.equal((await person.list()).length, 1);
    assert.equal(new Set(answers.map((answer) => JSON.stringify(shown(answer)))).size, 1);
    assert.equal(answers.filter(({ headers }) => headers['idempotency-replayed'] === 'true').length, 19);
  });

  test('a key is each user’s own; quotes around it are not part of it', async () => {
    const [person, other] = [await service().person(), await service().person()];
    const key = randomUUID();
    const first = await person.send('POST', '/api/tasks', { title: 'x' }, keyed(key));
    assert.equal((await other.send('POST', '/api/tasks', { title: 'y' }, keyed(key))).statusCode, 201);
    const quoted = await person.send('POST', '/api/tasks', { title: 'x' }, keyed(`"${key}"`));
    assert.equal(quoted.body, first.body);
  });

  test('a key is looked up before preconditions, and an invalid request is not kept', async () => {
    const person = await service().person();
    const task = await person.create('x');
    const sent = { ...keyed(), 'if-match': '"1"' };
    const url = `/api/tasks/${task.id}`;
    const invalid = await person.send('PATCH', url, { title: 7 }, sent);
    assert.equal(invalid.statusCode, 400);
    const first = await person.send('PATCH', url, { title: 'y' }, sent);
    assert.equal(first.statusCode, 200);
    const again = await person.send('PATCH', url, { title: 'y' }, { ...sent, 'if-match': '"99"' });
    assert.equal(again.body, first.body);
  });

  test('a key that is empty, too long or not visible ASCII is 400', async () => {
    const person = await service().person();
    for (const key of ['', ' ', 'a b', 'a'.repeat(256), '"unclosed', 'é']) {
      const answer = await person.send('POST', '/api/tasks', { title: 'x' }, keyed(key));
      assert.equal(answer.statusCode, 400, key);
    }
    assert.equal((await person.send('POST', '/api/tasks', { title: 'x' }, keyed('a'.repeat(255)))).statusCode, 201);
    assert.equal((await person.list()).length, 1);
  });

  test('what was kept of a task goes when it is deleted for good', async () => {
    const person = await service().person();
    const [create, change] = [keyed(), keyed()];
    const first = await person.send('POST', '/api/tasks', { title: 'secret' }, create);
    const url = String(first.headers.location);
    await person.send('PATCH', url, { title: 'still secret' }, change);
    await person.send('DELETE', `${url}?permanent=true`);
    for (const [method, path, body, sent] of [
      ['POST', '/api/tasks', { title: 'secret' }, create],
      ['PATCH', url, { title: 'still secret' }, change],
    ] as const) {
      const again = await person.send(method, path, body, sent);
      assert.equal(again.statusCode, 404, method);
      assert.equal(again.body, '{"error":"Task not found","code":"NOT_FOUND"}');
      assert.equal(again.headers['idempotency-replayed'], 'true');
    }
  });

  test('nor is it kept if that happens before the answer to an atomic batch is', async () => {
    const { opened } = service();
    let beforeKeeping = async () => {};
    const database: Database = {
      ...opened.database,
      transaction: async (identity, statements) => {
        if (statements.some(({ statement }) => baseName(statement) === 'reply_keep')) await beforeKeeping();
        return opened.database.transaction(identity, statements);
      },
      close: async () => undefined,
    };
    const between = await startService({ ...opened, database, remove: async () => undefined });
    const person = await between.person();
    const { id } = await person.create('secret');
    const elsewhere = await service().person(person.sub); // through another process
    beforeKeeping = async () => void (await elsewhere.send('DELETE', `/api/tasks/${id}?permanent=true`));
    const body = { operations: [{ op: 'toggle', id, if_version: 7 }], atomic: true };
    const sent = keyed();
    assert.equal((await person.send('POST', '/api/batch', body, sent)).statusCode, 412);
    const again = await person.send('POST', '/api/batch', body, sent);
    assert.equal(again.body, '{"error":"Task not found","code":"NOT_FOUND","index":0}');
    assert.deepEqual([again.statusCode, again.headers['idempotency-replayed']], [404, 'true']);
    await between.close();
  });

  test('what is kept of one user is limited, counted by the database, and the count goes with what is deleted', async () => {
    const person = await service().person();
    const { database } = service().opened;
    const asAdmin = async (text: string) => {
      const statement = { name: '', text, access: 'write' } as const;
      return (await database.transaction({ kind: 'admin' }, [{ statement, values: [] }]))[0]?.[0]?.[0];
    };
    const kept = () => asAdmin(`select kept from todo.users where id = '${person.sub}'`);
    const stored = () =>
      asAdmin(`select sum(200 + coalesce(octet_length(task), 0)) from todo.replies where user_id = '${person.sub}'`);
    const sent = keyed();
    await person.send('POST', '/api/tasks', { title: 'x' }, sent);
    const creates = { operations: Array.from({ length: 3 }, () => ({ op: 'create', title: 'y' })) };
    await person.send('POST', '/api/batch', creates, keyed());
    assert.equal(await kept(), await stored());
    await asAdmin(`update todo.users set kept = kept + 268435456 where id = '${person.sub}'`);
    const refused = await person.send('POST', '/api/tasks', { title: 'z' }, keyed());
    assert.deepEqual([refused.statusCode, refused.headers['retry-after']], [429, '60']);
    assert.equal((await person.send('POST', '/api/tasks', { title: 'x' }, sent)).statusCode, 201);
    assert.equal((await person.send('POST', '/api/tasks', { title: 'without a key' })).statusCode, 201);
    assert.equal((await person.list()).length, 5);
    await asAdmin(`delete from todo.replies where user_id = '${person.sub}'`);
    assert.equal(await kept(), '268435456');
  });

  test('a key is forgotten after 24 hours', async () => {
    const person = await service().person();
    const sent = keyed();
    const body = { title: 'daily' };
    await person.send('POST', '/api/tasks', body, sent);
    const text = `update todo.replies set created_at = now() - interval '24 hours 1 second' where user_id = '${person.sub}'`;
    await service().opened.database.transaction({ kind: 'admin' }, [
      { statement: { name: '', text, access: 'write' }, values: [] },
    ]);
    const again = await person.send('POST', '/api/tasks', body, sent);
    assert.equal(again.headers['idempotency-replayed'], undefined);
    assert.equal((await person.send('POST', '/api/tasks', body, sent)).body, again.body);
    assert.equal((await person.list()).length, 2);
  });
});

onAnyDatabase('an idempotency key', (service) => {
  test('a request without a body is the same however that is said', async () => {
    const person = await service().person();
    const task = await person.create('once');
    const port = await listen(service().app);
    for (const [length, body] of [
      [{}, ''],
      [{ 'Content-Length': '0' }, ''],
      [{ 'Transfer-Encoding': 'chunked' }, '0\r\n\r\n'],
    ] as const) {
      const headers = {
        Authorization: `Bearer ${person.token}`,
        Connection: 'close',
        'Idempotency-Key': 'k',
        ...length,
      };
      const [answer] = await exchange(port, wire('POST', `/api/tasks/${task.id}/toggle`, headers, body));
      assert.equal(answer?.statusCode, 200, JSON.stringify(length));
    }
    assert.equal((await person.list())[0]?.version, 2);
  });
});
