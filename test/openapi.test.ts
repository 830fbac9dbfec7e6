import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import { CHANGES, FIELDS } from './support/fields.ts';
import { faults, OpenApi, schemasIn } from './support/openapi-document.ts';
import { ANY_DATABASE, type Person, type Service, startService } from './support/service.ts';

const ROUTES = {
  '/api/tasks': ['get', 'post'],
  '/api/tasks/counts': ['get'],
  '/api/tasks/{task_id}': ['get', 'put', 'patch', 'delete'],
  '/api/tasks/{task_id}/toggle': ['post'],
  '/api/tasks/{task_id}/restore': ['post'],
  '/api/lists': ['get', 'post'],
  '/api/lists/{list_id}': ['get', 'put', 'patch', 'delete'],
  '/api/batch': ['post'],
  '/api/changes': ['get'],
  '/api/events': ['get'],
  '/api/export': ['get'],
  '/api/account/data': ['delete'],
  '/api/import': ['post'],
  '/health': ['get'],
  '/ready': ['get'],
  '/metrics': ['get'],
  '/openapi.json': ['get'],
};

/** The schemas of request bodies. */
const BODIES: Readonly<Record<string, string>> = {
  'post /api/tasks': 'TaskCreate',
  'put /api/tasks/{task_id}': 'TaskUpdate',
  'patch /api/tasks/{task_id}': 'TaskUpdate',
  'post /api/tasks/{task_id}/toggle': 'TaskToggle',
  'post /api/lists': 'ListCreate',
  'put /api/lists/{list_id}': 'ListUpdate',
  'patch /api/lists/{list_id}': 'ListUpdate',
  'post /api/batch': 'Batch',
  'delete /api/account/data': 'Erasure',
};

/** The bodies of routes that take files. */
const FILES: Readonly<Record<string, readonly string[]>> = {
  'post /api/import': ['application/json', 'text/csv', 'text/calendar', 'text/plain'],
};

/** The fields of each operation of a batch; those with an asterisk are required. */
const CREATED = [...FIELDS.map((name) => (name === 'title' ? 'title*' : name)), 'before', 'after'];
const TARGET = ['id*', 'if_version'];
const LIST_FIELDS = ['name*', 'color', 'position', 'is_archived'];
const OPERATIONS: Readonly<Record<'Task' | 'List', Readonly<Record<string, readonly string[]>>>> = {
  Task: {
    create: ['op*', 'type', 'id', 'if_version', ...CREATED],
    put: ['op*', 'type', ...TARGET, ...CREATED, 'completed_on'],
    update: ['op*', 'type', ...TARGET, ...FIELDS, ...CHANGES],
    toggle: ['op*', 'type', ...TARGET, 'completed_on'],
    delete: ['op*', 'type', ...TARGET],
    restore: ['op*', 'type', ...TARGET],
  },
  List: {
    create: ['op*', 'type*', 'id', 'if_version', ...LIST_FIELDS],
    put: ['op*', 'type*', ...TARGET, ...LIST_FIELDS],
    update: ['op*', 'type*', ...TARGET, 'name', ...LIST_FIELDS.slice(1)],
    delete: ['op*', 'type*', ...TARGET, 'tasks'],
  },
};

const GUARDED = ['If-Match', 'Idempotency-Key'];

/** The optional parameters that the contract gives a route: in the query, and headers. */
const LIST_QUERY = [
  'limit',
  'cursor',
  'sort',
  'is_completed',
  'list_id',
  'parent_id',
  'priority',
  'tag',
  'due_from',
  'due_to',
  'has_due',
  'completed_from',
  'completed_to',
  'updated_from',
  'view',
  'time_zone',
  'q',
  'deleted',
];
const PARAMETERS: Readonly<
  Record<string, { readonly query?: readonly string[]; readonly headers: readonly string[] }>
> = {
  'get /api/tasks': { query: LIST_QUERY, headers: ['If-None-Match'] },
  'get /api/tasks/counts': { query: ['time_zone'], headers: ['If-None-Match'] },
  'post /api/tasks': { headers: ['Idempotency-Key'] },
  'get /api/tasks/{task_id}': { headers: ['If-None-Match'] },
  'put /api/tasks/{task_id}': { headers: [...GUARDED, 'If-None-Match'] },
  'patch /api/tasks/{task_id}': { headers: GUARDED },
  'delete /api/tasks/{task_id}': { query: ['permanent'], headers: GUARDED },
  'post /api/tasks/{task_id}/toggle': { headers: GUARDED },
  'post /api/tasks/{task_id}/restore': { headers: GUARDED },
  'get /api/lists': { headers: ['If-None-Match'] },
  'post /api/lists': { headers: ['Idempotency-Key'] },
  'get /api/lists/{list_id}': { headers: ['If-None-Match'] },
  'put /api/lists/{list_id}': { headers: [...GUARDED, 'If-None-Match'] },
  'patch /api/lists/{list_id}': { headers: GUARDED },
  'delete /api/lists/{list_id}': { query: ['tasks'], headers: GUARDED },
  'post /api/batch': { headers: ['Idempotency-Key'] },
  'get /api/changes': { query: ['cursor', 'limit', 'wait', 'since', 'epoch'], headers: [] },
  'get /api/events': { query: ['cursor'], headers: ['Last-Event-ID'] },
  'get /api/export': { query: ['format'], headers: [] },
  'post /api/import': { query: ['dry_run'], headers: ['Accept'] },
};

/** The routes that have other statuses than 200 or more, beside those of their method. */
const OWN_STATUSES: Readonly<Record<string, readonly string[]>> = {
  'post /api/tasks': ['201', '409'],
  'put /api/tasks/{task_id}': ['200', '201', '409'],
  'patch /api/tasks/{task_id}': ['200', '409'],
  'post /api/tasks/{task_id}/toggle': ['200', '409'],
  'post /api/tasks/{task_id}/restore': ['200', '409'],
  'post /api/lists': ['201', '409'],
  'put /api/lists/{list_id}': ['200', '201', '409'],
  'post /api/batch': ['200', '404', '409', '412'],
};

/** The statuses that the contract gives a route. */
function expectedStatuses(path: string, method: string): string[] {
  const always = [...(OWN_STATUSES[`${method} ${path}`] ?? ['200']), '400', '431', '500'];
  if (!path.startsWith('/api')) return path === '/ready' ? [...always, '503'] : always;
  const reads: Readonly<Record<string, readonly string[]>> = { '/api/changes': ['410'], '/api/events': ['410'] };
  const read = /^\/api\/(tasks|lists)/.test(path) ? ['304'] : (reads[path] ?? []);
  const hasKey = PARAMETERS[`${method} ${path}`]?.headers.includes('Idempotency-Key') === true;
  const write = method === 'get' ? read : ['413', ...(hasKey ? ['422'] : [])];
  const id = /\{\w+_id\}/.test(path) ? ['404', ...(method === 'get' ? [] : ['412'])] : [];
  return [...always, '401', ...id, ...write, '429', '503'];
}

describe('the OpenAPI document', () => {
  let service: Service;
  let person: Person;
  let api: OpenApi;
  before(async () => {
    service = await startService(ANY_DATABASE);
    person = await service.person();
    api = await OpenApi.read(service.app);
  });
  after(() => service.close());

  test('is valid OpenAPI 3.1 and has exactly the routes of the contract', async () => {
    const { document } = api;
    const result = await new Validator().validate(structuredClone(document) as unknown as Record<string, unknown>);
    assert.deepEqual(result.errors ?? [], []);
    assert.ok(result.valid);
    assert.match(document.openapi, /^3\.1\./);
    assert.deepEqual(
      Object.fromEntries(Object.entries(document.paths).map(([path, methods]) => [path, Object.keys(methods)])),
      ROUTES,
    );
    const ids = api.operations().map(({ operation }) => operation.operationId);
    assert.equal(new Set(ids).size, ids.length);
  });

  test('requires a token under /api and nowhere else', () => {
    assert.deepEqual(api.document.components.securitySchemes, {
      bearerAuth: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
    });
    assert.equal(api.document.security, undefined);
    for (const { path, method, operation } of api.operations()) {
      const expected = path.startsWith('/api/') ? [{ bearerAuth: [] }] : [];
      assert.deepEqual(operation.security, expected, `${method} ${path}`);
    }
  });

  test('documents every status of each route; errors have one schema, and valid examples', () => {
    const error = api.named('Error');
    for (const { path, method, operation } of api.operations()) {
      const where = `${method} ${path}`;
      assert.deepEqual(Object.keys(operation.responses).sort(), expectedStatuses(path, method).sort(), where);
      for (const [status, { content }] of Object.entries(operation.responses)) {
        if (Number(status) < 400) continue;
        assert.deepEqual(Object.keys(content ?? {}), ['application/json'], where);
        const json = content?.['application/json'];
        assert.deepEqual(json?.schema, { $ref: '#/components/schemas/Error' });
        const examples = Object.entries(json?.examples ?? {});
        assert.ok(examples.length > 0, `${where} ${status} has no example`);
        for (const [code, { value }] of examples) {
          assert.deepEqual(faults(error, value), []);
          const { code: shown, details, current } = value as { code: string; details?: unknown; current?: unknown };
          assert.equal(shown, code);
          const shape = api.named(path.startsWith('/api/lists') ? 'List' : 'Task');
          assert.deepEqual(current === undefined ? [] : faults(shape, current), []);
          assert.equal(current !== undefined, code === 'PRECONDITION_FAILED', `${where} ${code}`);
          assert.equal(details !== undefined, code === 'VALIDATION_ERROR', `${where} ${code}`);
        }
      }
    }
  });

  test('documents answers that a client has already, without a body', () => {
    for (const { path, method, operation } of api.operations()) {
      for (const [status, response] of Object.entries(operation.responses)) {
        const where = `${method} ${path} ${status}`;
        assert.equal(response.content === undefined, status === '304', where);
        if (status === '304') assert.ok(response.headers?.ETag !== undefined, where);
      }
    }
  });

  test('requires a body and an id where the contract does, and nothing else', () => {
    for (const { path, method, operation } of api.operations()) {
      const name = BODIES[`${method} ${path}`];
      const where = `${method} ${path}`;
      const { required, content = {} } = operation.requestBody ?? {};
      const types = FILES[where] ?? (name ? ['application/json'] : []);
      const isRequired = types.length === 0 || name === 'TaskToggle' ? undefined : true;
      assert.deepEqual([required, Object.keys(content)], [isRequired, types], where);
      if (where in FILES) continue;
      const { schema, example, examples } = content['application/json'] ?? {};
      assert.deepEqual(schema, name && { $ref: `#/components/schemas/${name}` }, where);
      const shown = [example, ...Object.values(examples ?? {}).map(({ value }) => value)].filter(Boolean);
      assert.deepEqual(shown, api.document.components.schemas[name ?? '']?.examples ?? [], where);
      const parameters = (operation.parameters ?? []).map((each) => `${each.in} ${each.name} ${each.required}`);
      const { query = [], headers = [] } = PARAMETERS[`${method} ${path}`] ?? {};
      const expected = [
        ...[...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => `path ${name} true`),
        ...query.map((name) => `query ${name} false`),
        ...headers.map((header) => `header ${header} false`),
      ];
      assert.deepEqual(parameters.sort(), expected.sort(), `${method} ${path}`);
    }
  });

  test('accepts a UUID in either case as id', () => {
    const withId = api.operations().filter(({ path, method, operation }) => {
      const name = operation.parameters?.find((parameter) => parameter.in === 'path')?.name;
      if (name === undefined) return false;
      const validate = api.at('paths', path, method, 'parameters', api.indexOf(path, method, name), 'schema');
      for (const id of ['0199d3a4-7c1e-7b52-9d0f-3a2b1c4d5e6f', '0199D3A4-7C1E-7B52-9D0F-3a2b1c4d5e6f']) {
        assert.deepEqual(faults(validate, id), [], `${method} ${path}`);
      }
      for (const id of ['0199d3a47c1e7b529d0f3a2b1c4d5e6f', 'x', '', 1]) assert.ok(!validate(id), `${method} ${path}`);
      return true;
    });
    assert.equal(withId.length, 10);
  });

  test('has a valid example of every body, response and parameter', () => {
    const { schemas } = api.document.components;
    const named = Object.keys(schemas).filter((name) => /^(Task|List|Deleted|Batch|Change)/.test(name));
    assert.equal(named.length, 28);
    for (const name of named) assert.ok((schemas[name]?.examples ?? []).length > 0, `${name} has no example`);
    const described = schemasIn(api.document).filter(({ schema }) => schema.examples !== undefined);
    assert.ok(described.some(({ path }) => path.join('.') === 'components.schemas.TaskCreate.properties.title'));
    for (const { path, schema } of described) {
      for (const example of schema.examples ?? []) {
        assert.deepEqual(faults(api.at(...path), example), [], `${path.join('.')}: ${JSON.stringify(example)}`);
      }
    }
    for (const { path, method, operation } of api.operations()) {
      for (const [index, { example, required }] of (operation.parameters ?? []).entries()) {
        // Swagger UI sends the example of an optional parameter, such as a version that the task does not have
        assert.equal(example !== undefined, required, `${method} ${path}`);
        if (!required) continue;
        const validate = api.at('paths', path, method, 'parameters', String(index), 'schema');
        assert.deepEqual(faults(validate, example), []);
      }
    }
  });

  test('has examples of bodies that the service accepts', async () => {
    const examplesOf = (name: string) => api.document.components.schemas[name]?.examples ?? [];
    for (const example of examplesOf('TaskCreate')) {
      assert.equal((await person.send('POST', '/api/tasks', example)).statusCode, 201);
    }
    for (const example of examplesOf('Batch')) {
      const answer = await person.send('POST', '/api/batch', example);
      const { results = [] } = answer.json<{ results?: { status: number }[] }>(); // none if it is atomic and undone
      const statuses = [answer.statusCode, ...results.map(({ status }) => status)];
      assert.deepEqual(
        statuses.filter((status) => ![200, 201, 404, 412].includes(status)),
        [],
      );
    }
    const task = await person.create('x');
    for (const example of examplesOf('TaskUpdate')) {
      for (const method of ['PUT', 'PATCH']) {
        assert.equal((await person.send(method, `/api/tasks/${task.id}`, example)).statusCode, 200);
      }
    }
    for (const example of examplesOf('Batch')) {
      const { statusCode } = await person.send('POST', '/api/batch', example);
      assert.ok([200, 404].includes(statusCode), `${statusCode}`);
    }
    for (const example of examplesOf('ListCreate')) {
      const list = await person.send('POST', '/api/lists', example);
      assert.equal(list.statusCode, 201);
      for (const change of examplesOf('ListUpdate')) {
        const { statusCode } = await person.send('PATCH', `/api/lists/${list.json<{ id: string }>().id}`, change);
        assert.equal(statusCode, 200);
      }
    }
    const operations = Object.keys(api.document.components.schemas)
      .filter((name) => /^Batch(?!Results?$).+/.test(name))
      .flatMap(examplesOf);
    const { results } = (await person.send('POST', '/api/batch', { operations })).json<{ results: object[] }>();
    assert.ok(operations.length >= 11 && results.length === operations.length);
    for (const result of results) assert.ok(!('details' in result), JSON.stringify(result));
  });

  test('names a schema for each operation of a batch, of which exactly one fits', () => {
    const { schemas } = api.document.components;
    const all = Object.entries(OPERATIONS).flatMap(([type, operations]) =>
      Object.entries(operations).map(([op, fields]) => {
        const name = `Batch${op[0]?.toUpperCase()}${op.slice(1)}${type === 'List' ? type : ''}`;
        return { type: type.toLowerCase(), op, fields, name };
      }),
    );
    const references = all.map(({ name }) => ({ $ref: `#/components/schemas/${name}` }));
    assert.deepEqual(schemas.BatchOperation?.oneOf, references);
    for (const { type, op, fields, name } of all) {
      const { properties = {}, required } = schemas[name] ?? {};
      assert.ok(Array.isArray(required));
      const named = Object.keys(properties).map((field) => field + (required.includes(field) ? '*' : ''));
      assert.deepEqual([name, named], [name, fields]);
      assert.deepEqual([properties.op?.const, properties.type?.const], [op, type]);
    }
  });

  test('has no object without a name, so that generated code has no names made up by tools', () => {
    const within = schemasIn(api.document.components.schemas).filter(({ path }) => path.length > 1);
    const unnamed = within.filter(({ schema }) => schema.properties !== undefined);
    assert.deepEqual(
      unnamed.map(({ path }) => path.join('.')),
      [],
    );
  });

  test('documents the events as text/event-stream, with an example whose data is as documented', () => {
    const { content } = api.document.paths['/api/events']?.get?.responses['200'] ?? {};
    assert.deepEqual(Object.keys(content ?? {}), ['text/event-stream']);
    const { schema, examples } = content?.['text/event-stream'] ?? {};
    assert.deepEqual(schema, { type: 'string' });
    const [text = ''] = Object.values(examples ?? {}).map(({ value }) => String(value));
    const [retry, change, synced, end] = text.split('\n\n');
    assert.match(`${retry}`, /^retry: \d+$/);
    const [, cursor, data = ''] = /^id: (.+)\nevent: change\ndata: (.+)$/.exec(`${change}`) ?? [];
    assert.deepEqual(faults(api.named('Change'), JSON.parse(data)), []);
    assert.ok(synced?.startsWith(`id: ${cursor}\nevent: synced\ndata: {"version":`));
    assert.equal(end, '');
  });

  test('its response schemas require every field, and name every field of the answers', async () => {
    const task = await person.create('x', { description: 'y' });
    const changes = await person.send('GET', '/api/changes');
    const answers: Readonly<Record<string, object>> = {
      Task: task,
      TaskList: (await person.send('GET', '/api/tasks')).json<object>(),
      DeletedTask: (await person.send('DELETE', `/api/tasks/${task.id}`)).json<object>(),
      BatchResults: (await person.send('POST', '/api/batch', { operations: [] })).json<object>(),
      Changes: changes.json<object>(),
      Change: changes.json<{ changes: [object] }>().changes[0],
      Healthy: (await person.send('GET', '/health')).json<object>(),
      Ready: (await person.send('GET', '/ready')).json<object>(),
      Error: (await person.send('GET', `/api/tasks/${task.id}`)).json<object>(),
    };
    for (const [name, answer] of Object.entries(answers)) {
      const validate = api.named(name);
      assert.deepEqual(faults(validate, answer), [], name);
      assert.ok(!validate({ ...answer, colour: 'red' }), `the validator of ${name} allows an unnamed field`);
      for (const field of Object.keys(answer).filter((field) => name !== 'Change' || field !== 'task')) {
        const less = Object.fromEntries(Object.entries(answer).filter(([key]) => key !== field));
        assert.ok(!validate(less), `${name} does not require ${field}`);
      }
    }
    assert.deepEqual(
      FIELDS.filter((name) => !(name in task)),
      [],
    );
    assert.equal(Object.keys(task).length, FIELDS.length + 8);
    for (const wrong of [
      { id: task.id.replaceAll('-', '') },
      { updated_at: '2026-11-21' },
      { deleted_at: '2026-11-21' },
      { version: 1.5 },
      { version: -1 },
      { version: '1' },
      { title: '' },
      { title: 'x'.repeat(201) },
      { description: '' },
      { description: 'x'.repeat(2001) },
      { is_completed: null },
      { user_id: '' },
    ]) {
      assert.ok(!api.named('Task')({ ...task, ...wrong }), JSON.stringify(wrong).slice(0, 60));
    }
    assert.ok(api.named('Task')({ ...task, title: '😀'.repeat(200), description: '😀'.repeat(2000) }));
  });

  test('allows answers to have further fields, so that clients made from it accept those of later versions', () => {
    const closed = schemasIn(api.document).filter(({ schema }) => schema.additionalProperties === false);
    assert.deepEqual(closed, []);
  });

  test('limits texts by their length, and by patterns that every regular expression engine reads alike', () => {
    for (const name of ['TaskCreate', 'TaskUpdate', 'BatchCreate', 'BatchPut', 'BatchUpdate']) {
      const { title, description } = api.document.components.schemas[name]?.properties ?? {};
      assert.deepEqual(
        [title?.type, title?.minLength, title?.maxLength, title?.pattern],
        ['string', 1, 200, '^\\s*[^\\s\\x00][^\\x00]*$'],
      );
      assert.deepEqual(
        [description?.type, description?.minLength, description?.maxLength, description?.pattern],
        [['string', 'null'], undefined, 2000, '^[^\\x00]*$'],
      );
    }
    const { required, minProperties, anyOf } = api.document.components.schemas.TaskUpdate ?? {};
    assert.deepEqual([required, minProperties, anyOf], [undefined, 1, undefined]);
    const all = schemasIn(api.document);
    assert.deepEqual(
      all.filter(({ schema }) => schema.format !== undefined && schema.pattern !== undefined),
      [],
    );
    assert.deepEqual([...new Set(all.flatMap(({ schema }) => schema.pattern ?? []))].sort(), [
      '^#[0-9a-fA-F]{6}$',
      '^#[0-9a-f]{6}$',
      '^([01][0-9]|2[0-3]):[0-5][0-9]$',
      '^[A-Za-z][0-9A-Za-z]+$',
      '^[^\\x00]*$',
      '^\\s*[^\\s\\x00][^\\x00]*$',
    ]);
  });

  test('links a new task to every operation on a task', async () => {
    const create = api.document.paths['/api/tasks']?.post;
    const links = Object.values(create?.responses['201']?.links ?? {});
    const onTask = api.operations().filter(({ path }) => path.includes('{task_id}'));
    assert.deepEqual(
      links.map(({ operationId }) => operationId).sort(),
      onTask.map(({ operation }) => operation.operationId).sort(),
    );
    for (const { parameters } of links) assert.deepEqual(parameters, { task_id: '$response.body#/id' });
  });

  test('is the document that /docs shows', async () => {
    const shown = await service.app.inject('/docs/json');
    assert.deepEqual(shown.json(), api.document);
  });
});
