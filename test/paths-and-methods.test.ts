import assert from 'node:assert/strict';
import { METHODS } from 'node:http';
import { test } from 'node:test';
import { onAnyDatabase } from './support/service.ts';

const ID = '0199d3a4-7c1e-7b52-9d0f-3a2b1c4d5e6f';

/** Every path of the contract with the methods it has. */
const PATHS: Readonly<Record<string, readonly string[]>> = {
  '/api/tasks': ['GET', 'HEAD', 'POST'],
  [`/api/tasks/${ID}`]: ['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE'],
  [`/api/tasks/${ID}/toggle`]: ['POST'],
  [`/api/tasks/${ID}/restore`]: ['POST'],
  '/api/batch': ['POST'],
  '/api/changes': ['GET', 'HEAD'],
  '/api/events': ['GET', 'HEAD'],
  '/health': ['GET', 'HEAD'],
  '/ready': ['GET', 'HEAD'],
  '/metrics': ['GET', 'HEAD'],
  '/openapi.json': ['GET', 'HEAD'],
  '/docs': ['GET', 'HEAD'],
  '/': ['GET', 'HEAD'],
};

const LIST_QUERY =
  'limit, cursor, sort, is_completed, list_id, parent_id, priority, tag, due_from, due_to, has_due, completed_from, ' +
  'completed_to, updated_from, view, time_zone, q, deleted';

onAnyDatabase('paths and methods', (service) => {
  test('a task id that is not a UUID is 400 VALIDATION_ERROR', async () => {
    const person = await service().person();
    for (const id of [
      '1',
      'x',
      `urn:uuid:${ID}`,
      `{${ID}}`,
      `%7B${ID}%7D`,
      'x'.repeat(300),
      '%00',
      `${ID}%00`,
      ID.slice(1),
      ID.replaceAll('-', ''),
      `${ID}%20`,
      'null',
      '%F0%9F%98%80',
    ]) {
      for (const [method, path] of [
        ['GET', ''],
        ['PUT', ''],
        ['PATCH', ''],
        ['DELETE', ''],
        ['POST', '/toggle'],
        ['POST', '/restore'],
      ] as const) {
        const answer = await person.send(
          method,
          `/api/tasks/${id}${path}`,
          method.startsWith('P') && path === '' ? { title: 'x' } : undefined,
        );
        assert.equal(answer.statusCode, 400, `${method} ${id}: ${answer.body}`);
        assert.deepEqual(answer.json(), {
          error: 'Validation failed',
          code: 'VALIDATION_ERROR',
          details: [{ field: 'task_id', message: 'Task id must be a UUID' }],
        });
      }
    }
    const answer = await person.send('GET', '/api/tasks/%zz');
    assert.equal(answer.statusCode, 400);
    assert.equal(answer.json<{ code: string }>().code, 'VALIDATION_ERROR');
    assert.match(String(answer.headers['content-type']), /^application\/json/);
  });

  test('a UUID of any version is a valid task id', async () => {
    const person = await service().person();
    for (const id of [
      '00000000-0000-0000-0000-000000000000',
      'ffffffff-ffff-ffff-ffff-ffffffffffff',
      ID.toUpperCase(),
    ]) {
      assert.equal((await person.send('GET', `/api/tasks/${id}`)).statusCode, 404);
    }
  });

  test('a trailing slash is accepted on every route', async () => {
    const person = await service().person();
    const task = await person.create('x');
    const statuses = [];
    for (const [method, url, body] of [
      ['GET', '/api/tasks/', undefined],
      ['POST', '/api/tasks/', { title: 'y' }],
      ['GET', `/api/tasks/${task.id}/`, undefined],
      ['PUT', `/api/tasks/${task.id}/`, { title: 'y' }],
      ['PATCH', `/api/tasks/${task.id}/`, { title: 'y' }],
      ['POST', `/api/tasks/${task.id}/toggle/`, undefined],
      ['DELETE', `/api/tasks/${task.id}/`, undefined],
      ['POST', `/api/tasks/${task.id}/restore/`, undefined],
      ['POST', '/api/batch/', { operations: [] }],
      ['GET', '/api/changes/', undefined],
      ['HEAD', '/api/events/', undefined],
      ['GET', '/health/', undefined],
      ['GET', '/ready/', undefined],
      ['GET', '/metrics/', undefined],
      ['GET', '/openapi.json/', undefined],
      ['GET', '/docs/', undefined],
    ] as const) {
      statuses.push((await person.send(method, url, body)).statusCode);
    }
    assert.deepEqual(statuses, [200, 201, ...Array(14).fill(200)]);
  });

  test('HEAD is like GET without a body', async () => {
    const person = await service().person();
    const task = await person.create('x');
    for (const url of [
      '/api/tasks',
      `/api/tasks/${task.id}`,
      '/api/changes',
      '/health',
      '/openapi.json',
      `/api/tasks/${ID}`,
    ]) {
      const get = await person.send('GET', url);
      const head = await person.send('HEAD', url);
      assert.equal(head.statusCode, get.statusCode);
      assert.equal(head.body, '');
      for (const name of ['content-type', 'content-length', 'cache-control', 'vary', 'etag'])
        assert.equal(head.headers[name], get.headers[name], name);
    }
  });

  test('any other method on a known path is 405 with Allow, and OPTIONS needs no token', async () => {
    const stranger = service().stranger();
    for (const [path, methods] of Object.entries(PATHS)) {
      const allow = [...methods, 'OPTIONS'].sort().join(', ');
      for (const method of METHODS) {
        if (method === 'CONNECT' || methods.includes(method)) continue;
        const answer = await service().app.inject({ method: method as 'GET', url: path });
        assert.equal(answer.headers.allow, allow, `${method} ${path}`);
        if (method === 'OPTIONS') {
          assert.equal(answer.statusCode, 204);
          assert.equal(answer.body, '');
        } else {
          assert.equal(answer.statusCode, 405);
          const details = [{ field: 'method', message: `This path has ${allow}` }];
          const body = JSON.stringify({ error: 'Method not allowed', code: 'METHOD_NOT_ALLOWED', details });
          assert.equal(answer.body, method === 'HEAD' ? '' : body);
        }
      }
    }
    assert.equal((await stranger.send('OPTIONS', '/api/tasks')).statusCode, 204);
  });

  test('an unknown path is 404, with or without a token, whatever the method', async () => {
    const person = await service().person();
    for (const url of [
      '/api',
      '/api/task',
      '/api/tasks/x/y/z',
      '/api/v1/tasks',
      '//api/tasks',
      '/API/tasks',
      '/docs/nothing',
      '/.env',
    ]) {
      for (const method of ['GET', 'POST', 'DELETE', 'PROPFIND', 'OPTIONS']) {
        for (const who of [person, service().stranger()]) {
          const answer = await who.send(method, url);
          assert.equal(answer.statusCode, 404, `${method} ${url}`);
          assert.equal(answer.body, '{"error":"Route not found","code":"NOT_FOUND"}');
        }
      }
    }
  });

  test('/ leads to the reference', async () => {
    for (const method of ['GET', 'HEAD'] as const) {
      for (const url of ['/', '/?a=b']) {
        const answer = await service().app.inject({ method, url });
        assert.deepEqual([answer.statusCode, answer.headers.location], [302, '/docs'], url);
      }
    }
  });

  test('a query parameter that a route of /api does not have is 400, named, and ignored elsewhere', async () => {
    const person = await service().person();
    const { id } = await person.create('x');
    for (const [method, path, body, has] of [
      ['GET', '/api/tasks', undefined, LIST_QUERY],
      ['GET', '/api/tasks/counts', undefined, 'time_zone'],
      ['HEAD', '/api/tasks', undefined, LIST_QUERY],
      ['POST', '/api/tasks', { title: 'y' }, 'none'],
      ['GET', `/api/tasks/${id}`, undefined, 'none'],
      ['PUT', `/api/tasks/${id}`, { title: 'y' }, 'none'],
      ['PATCH', `/api/tasks/${id}`, { title: 'y' }, 'none'],
      ['POST', `/api/tasks/${id}/toggle`, undefined, 'none'],
      ['POST', `/api/tasks/${id}/restore`, undefined, 'none'],
      ['DELETE', `/api/tasks/${id}`, undefined, 'permanent'],
      ['POST', '/api/batch', { operations: [] }, 'none'],
      ['GET', '/api/changes', undefined, 'cursor, limit, wait, since, epoch'],
      ['GET', '/api/events', undefined, 'cursor'],
    ] as const) {
      const message = `Unknown query parameter: this route has ${has}. None is needed against caches: responses are never cached`;
      for (const [query, ...fields] of [
        ['_=123', '_'],
        ['offset=5&offset=6', 'offset'],
        ['a', 'a'],
        ['a&b=&%63%20+d=e', 'a', 'b', 'c  d'],
        ['=', 'query'],
        ['__proto__=x', '__proto__'],
        ['%zz', '%zz'],
        ['title[]=1', 'title[]'],
      ] as const) {
        const answer = await person.send(method, `${path}?${query}`, body);
        assert.equal(answer.statusCode, 400, `${method} ${path}?${query}`);
        const details = fields.map((field) => ({ field, message }));
        const expected = { error: 'Validation failed', code: 'VALIDATION_ERROR', details };
        if (method !== 'HEAD') assert.deepEqual(answer.json(), expected);
      }
      assert.equal(
        (await service().stranger().send(method, `${path}?_=1`, body)).statusCode,
        401,
        'the token is first',
      );
    }
    assert.deepEqual(await person.list(), [(await person.send('GET', `/api/tasks/${id}?`)).json()]);
    const many = await person.send('GET', `/api/tasks?${Array.from({ length: 3000 }, (_, index) => index).join('&')}`);
    assert.equal(many.json<{ details: unknown[] }>().details.length, 20);
    for (const path of ['/health', '/ready', '/metrics', '/openapi.json', '/docs']) {
      assert.equal((await service().app.inject(`${path}?_=123`)).statusCode, 200, path);
    }
  });

  test('a query parameter that a route has is true or false, sent once, and only there', async () => {
    const person = await service().person();
    const { id } = await person.create('x');
    for (const [method, path, name] of [
      ['GET', '/api/tasks', 'deleted'],
      ['DELETE', `/api/tasks/${id}`, 'permanent'],
    ] as const) {
      for (const query of [
        `${name}`,
        `${name}=`,
        `${name}=1`,
        `${name}=TRUE`,
        `${name}=true%20`,
        `${name}=true&${name}=true`,
        `${name}[]=true`,
        `${name}=true&_=1`,
      ]) {
        const answer = await person.send(method, `${path}?${query}`);
        assert.equal(answer.statusCode, 400, `${method} ${path}?${query}`);
        const { code, details } = answer.json<{ code: string; details: { field: string }[] }>();
        assert.equal(code, 'VALIDATION_ERROR');
        assert.match(details[0]?.field ?? '', new RegExp(`^(_|${name}(\\[\\])?)$`));
      }
    }
    assert.equal(
      (await person.send('GET', '/api/tasks?deleted=false')).body,
      (await person.send('GET', '/api/tasks')).body,
    );
    assert.equal((await person.send('GET', '/api/tasks?permanent=true')).statusCode, 400);
    assert.equal((await person.send('DELETE', `/api/tasks/${id}?deleted=true`)).statusCode, 400);
    assert.equal((await person.list()).length, 1);
  });

  test('headers that override the method, user or host have no effect', async () => {
    const person = await service().person();
    const other = await service().person();
    await other.create('not yours');
    const claims = {
      'x-http-method-override': 'DELETE',
      'x-user-id': other.sub,
      'x-http-method': 'DELETE',
      'x-method-override': 'DELETE',
      'x-forwarded-user': other.sub,
      'x-forwarded-for': '203.0.113.7',
      'x-forwarded-prefix': '/evil',
      forwarded: 'for=203.0.113.7;host=evil.example',
      'x-forwarded-host': 'evil.example',
      'x-forwarded-proto': 'https',
      'x-original-url': '/metrics',
    };
    const task = await person.send('POST', '/api/tasks', { title: 'x' }, claims);
    assert.equal(task.statusCode, 201);
    assert.match(String(task.headers.location), /^\/api\/tasks\/[0-9a-f-]{36}$/);
    const list = await person.send('GET', '/api/tasks', undefined, claims);
    assert.equal(list.json<{ tasks: unknown[] }>().tasks.length, 1);
    assert.equal(
      (
        await service().app.inject({
          url: `/api/tasks?access_token=${person.token}`,
          headers: { cookie: `token=${person.token}` },
        })
      ).statusCode,
      401,
    );
  });
});
