import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import fc from 'fast-check';
import { type Person, type Service, startService } from './support/service.ts';

interface Operation {
  readonly operationId: string;
  readonly security?: readonly object[];
  readonly parameters?: readonly { readonly name: string; readonly schema: object }[];
  readonly requestBody?: { readonly content: Record<string, { readonly schema: object }> };
  readonly responses: Record<
    string,
    {
      readonly content?: Record<
        string,
        { readonly schema: object; readonly examples?: Record<string, { value: unknown }> }
      >;
    }
  >;
}

interface Document {
  readonly openapi: string;
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: { readonly schemas: Record<string, object>; readonly securitySchemes: Record<string, object> };
}

/** The schemas of the document, ready to judge values as a client's validator would. */
class Schemas {
  readonly #ajv = new Ajv2020({ strict: false, allErrors: true });

  constructor(document: Document) {
    addFormats.default(this.#ajv);
    this.#ajv.addSchema({ $id: 'https://todo-api.example/openapi.json', ...document });
  }

  at(pointer: string): ValidateFunction {
    return this.#ajv.compile({ $ref: `https://todo-api.example/openapi.json${pointer}` });
  }
}

const ROUTES = {
  '/api/tasks': ['get', 'post'],
  '/api/tasks/{task_id}': ['get', 'put', 'patch', 'delete'],
  '/api/tasks/{task_id}/toggle': ['post'],
  '/health': ['get'],
  '/ready': ['get'],
  '/metrics': ['get'],
  '/openapi.json': ['get'],
};

const spaces = ' \t\n\v\f\r\u00a0\u1680\u2003\u2028\u2029\u202f\u205f\u3000\ufeff';
const edgeText = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.string({
      unit: fc.constantFrom(...spaces, 'x', '\u200b', '\u0085', '\u180e', '😀', '\0', '\ud800', '\udc00'),
      maxLength: 6,
    }),
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(
        fc.constantFrom('', ' ', '\ufeff'.repeat(50)),
        fc.constantFrom('x', '😀', ' '),
        fc.constantFrom(0, 1, 2, 199, 200, 201, 202, 1999, 2000, 2001),
        fc.constantFrom('', '\n', 'x'),
      )
      .map(([before, unit, times, behind]) => before + unit.repeat(times) + behind),
  },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 10 }) },
);
const anything = fc.oneof(
  { weight: 4, arbitrary: edgeText },
  { weight: 1, arbitrary: fc.constantFrom(null, 0, 1, true, false, [], {}, ['a']) },
);
const body = fc.record(
  { title: anything, description: anything, is_completed: fc.oneof(fc.boolean(), anything), colour: anything },
  { requiredKeys: [] },
);

describe('the OpenAPI document', () => {
  let service: Service;
  let person: Person;
  let document: Document;
  let schemas: Schemas;
  before(async () => {
    service = await startService('embedded');
    person = await service.person();
    document = (await service.app.inject('/openapi.json')).json<Document>();
    schemas = new Schemas(document);
  });
  after(() => service.close());

  const operations = () =>
    Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
    );

  test('is valid OpenAPI 3.1 and has every route of the contract, and no other', async () => {
    const judged = await new Validator().validate(structuredClone(document) as unknown as Record<string, unknown>);
    assert.deepEqual(judged.errors ?? [], []);
    assert.match(document.openapi, /^3\.1\./);
    assert.deepEqual(
      Object.fromEntries(Object.entries(document.paths).map(([path, methods]) => [path, Object.keys(methods)])),
      ROUTES,
    );
    const ids = operations().map(({ operation }) => operation.operationId);
    assert.equal(new Set(ids).size, ids.length);
  });

  test('names every status a route can answer, with the error’s form and a true example', () => {
    const error = schemas.at('#/components/schemas/Error');
    for (const { path, method, operation } of operations()) {
      const secured = path.startsWith('/api');
      assert.deepEqual(operation.security ?? [], secured ? [{ bearerAuth: [] }] : [], path);
      const own = method === 'post' && path === '/api/tasks' ? ['201'] : ['200'];
      const id = path.includes('{task_id}') ? ['404'] : [];
      const expected = secured
        ? [...own, '400', '401', ...id, '413', '429', '431', '500', '503']
        : path === '/ready'
          ? ['200', '400', '431', '500', '503']
          : ['200', '400', '431', '500'];
      assert.deepEqual(Object.keys(operation.responses).sort(), expected.sort(), `${method} ${path}`);
      for (const [status, { content }] of Object.entries(operation.responses)) {
        if (Number(status) < 400) continue;
        const json = content?.['application/json'];
        assert.deepEqual(json?.schema, { $ref: '#/components/schemas/Error' });
        const examples = Object.values(json?.examples ?? {});
        assert.ok(examples.length > 0);
        for (const { value } of examples) assert.ok(error(value), JSON.stringify(error.errors));
      }
    }
  });

  test('real answers are what it says', async () => {
    const is = (name: string, value: unknown) => {
      const judge = schemas.at(`#/components/schemas/${name}`);
      assert.ok(judge(value), `${name}: ${JSON.stringify(judge.errors)}`);
    };
    const task = await person.create('x', { description: 'y' });
    is('Task', task);
    is('TaskList', (await person.send('GET', '/api/tasks')).json());
    is('Task', (await person.send('POST', `/api/tasks/${task.id}/toggle`)).json());
    is('DeletedTask', (await person.send('DELETE', `/api/tasks/${task.id}`)).json());
    is('Healthy', (await person.send('GET', '/health')).json());
    is('Ready', (await person.send('GET', '/ready')).json());
    for (const [method, url, payload] of [
      ['GET', `/api/tasks/${task.id}`],
      ['GET', '/api/tasks/x'],
      ['POST', '/api/tasks', {}],
      ['GET', '/nothing'],
      ['PUT', '/api/tasks'],
    ] as const) {
      is('Error', (await person.send(method, url, payload)).json());
    }
    const strict = schemas.at('#/components/schemas/Task');
    assert.ok(!strict({ ...task, colour: 'red' }));
    assert.ok(!strict({ ...task, created_at: '2026-11-21T09:30:00+00:00' }));
  });

  for (const [what, name, method] of [
    ['create', 'NewTask', 'POST'],
    ['change', 'TaskChange', 'PUT'],
  ] as const) {
    test(`whatever it calls a valid body to ${what} a task is accepted, whatever it calls invalid is 400`, async () => {
      const valid = schemas.at(`#/components/schemas/${name}`);
      const task = await person.create('x');
      const url = method === 'PUT' ? `/api/tasks/${task.id}` : '/api/tasks';
      await fc.assert(
        fc.asyncProperty(body, async (value) => {
          const answer = await person.send(method, url, value);
          assert.equal(
            answer.statusCode < 300,
            valid(value),
            `${answer.statusCode} ${answer.body} ${JSON.stringify(valid.errors)}`,
          );
          if (answer.statusCode >= 300) assert.equal(answer.statusCode, 400);
        }),
        { numRuns: 600 },
      );
    });
  }

  test('whatever it calls a valid task id is looked for, whatever it calls invalid is 400', async () => {
    const parameter = document.paths['/api/tasks/{task_id}']?.get?.parameters?.find(({ name }) => name === 'task_id');
    assert.ok(parameter);
    const valid = new Ajv2020({ strict: false, formats: { uuid: true } }).compile(parameter.schema);
    const hex = fc.string({ unit: fc.constantFrom(...'0123456789abcdefABCDEF'), minLength: 4, maxLength: 4 });
    const uuid = fc
      .array(hex, { minLength: 8, maxLength: 8 })
      .map(([a, b, c, d, e, ...rest]) => `${a}${b}-${c}-${d}-${e}-${rest.join('')}`);
    const broken = fc
      .tuple(uuid, fc.nat(35), fc.constantFrom('', 'g', '-', '0', ' ', '%2F'))
      .map(([id, at, by]) => id.slice(0, at) + by + id.slice(at + 1));
    await fc.assert(
      fc.asyncProperty(fc.oneof(uuid, broken), async (id) => {
        const { statusCode } = await person.send('GET', `/api/tasks/${id}`);
        assert.equal(statusCode, valid(decodeURIComponent(id)) ? 404 : 400, id);
      }),
      { numRuns: 200 },
    );
  });

  test('its patterns are judged in time that does not explode', () => {
    const valid = schemas.at('#/components/schemas/NewTask');
    for (const text of [
      ' '.repeat(60_000),
      `x${' '.repeat(60_000)}`,
      `${' '.repeat(60_000)}\0`,
      `x${' x'.repeat(30_000)}`,
    ]) {
      assert.ok(!valid({ title: `${text}\0`, description: `${text}\0` }));
    }
  });
});
