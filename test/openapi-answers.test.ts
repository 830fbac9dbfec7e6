import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { AppError } from '../dist/core/errors.js';
import type { Answered } from './support/envelope.ts';
import { OpenApi } from './support/openapi-document.ts';
import { type Person, type Service, type ServiceOptions, startService } from './support/service.ts';
import { exchange, listen, wire } from './support/socket.ts';
import { stubDatabase } from './support/stub-database.ts';

const NOBODYS = '00000000-0000-4000-8000-000000000000';

interface Route {
  readonly method: string;
  readonly path: string;
  readonly body?: object;
}

const ROUTES: readonly Route[] = [
  { method: 'get', path: '/api/tasks' },
  { method: 'post', path: '/api/tasks', body: { title: 'x' } },
  { method: 'get', path: '/api/tasks/{task_id}' },
  { method: 'put', path: '/api/tasks/{task_id}', body: { title: 'y' } },
  { method: 'patch', path: '/api/tasks/{task_id}', body: { description: 'z' } },
  { method: 'post', path: '/api/tasks/{task_id}/toggle' },
  { method: 'delete', path: '/api/tasks/{task_id}' },
];

const OPEN_ROUTES: readonly Route[] = ['/health', '/ready', '/metrics', '/openapi.json'].map((path) => ({
  method: 'get',
  path,
}));

const urlOf = ({ path }: Route, id = NOBODYS) => path.replace('{task_id}', id);
const titleOf = ({ method, path }: Route) => `${method.toUpperCase()} ${path}`;

interface Request {
  readonly id?: string;
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
}

const ask = (by: Person, route: Route, { id = NOBODYS, body = route.body, headers = {} }: Request = {}) =>
  by.send(route.method.toUpperCase(), urlOf(route, id), body, headers);

describe('real answers are what the OpenAPI document says', () => {
  let service: Service;
  let person: Person;
  let api: OpenApi;
  let port: number;
  const services: Service[] = [];
  const start = async (kind: Parameters<typeof startService>[0], options?: ServiceOptions) => {
    const started = await startService(kind, options);
    services.push(started);
    return started;
  };
  before(async () => {
    service = await start('embedded');
    person = await service.person();
    api = await OpenApi.read(service.app);
    port = await listen(service.app);
  });
  after(async () => {
    await Promise.all(services.map((each) => each.close()));
  });

  const check = (route: Route, status: number, answer: Answered | undefined, code?: string) => {
    assert.ok(answer);
    const what = `${titleOf(route)} ${status} ${answer.body}`;
    assert.equal(answer.statusCode, status, what);
    if (code !== undefined) assert.equal((JSON.parse(answer.body) as { code: string }).code, code, what);
    assert.deepEqual(api.faultsOf(route.path, route.method, answer), [], what);
  };
  /** The service's answer to what it cannot read, on a connection of its own. */
  const overTheWire = async (route: Route, headers: Record<string, string | null>) => {
    const request = wire(route.method.toUpperCase(), urlOf(route), {
      authorization: `Bearer ${person.token}`,
      ...headers,
    });
    return (await exchange(port, request))[0];
  };

  for (const route of ROUTES) {
    test(`${titleOf(route)}: what was asked for`, async () => {
      const { id } = await person.create('x');
      const status = route.method === 'post' && route.path === '/api/tasks' ? 201 : 200;
      check(route, status, await ask(person, route, { id }));
    });

    test(`${titleOf(route)}: faults of the client`, async () => {
      check(route, 401, await ask(service.stranger(), route), 'INVALID_TOKEN');
      check(route, 401, await ask(person, route, { headers: { authorization: '' } }), 'UNAUTHORIZED');
      check(route, 401, await ask(await service.person('late', { exp: 1 }), route), 'TOKEN_EXPIRED');
      check(route, 400, await overTheWire(route, { Host: null }), 'INVALID_REQUEST');
      check(route, 431, await overTheWire(route, { 'X-Long': 'x'.repeat(20_000) }), 'HEADERS_TOO_LARGE');
      if (route.path.includes('{task_id}')) {
        check(route, 404, await ask(person, route), 'NOT_FOUND');
        check(route, 400, await ask(person, route, { id: 'x' }), 'VALIDATION_ERROR');
      }
      if (route.body !== undefined) {
        check(route, 400, await ask(person, route, { body: { title: '', description: 1 } }), 'VALIDATION_ERROR');
        check(route, 400, await ask(person, route, { body: [] }), 'INVALID_REQUEST');
      }
      if (route.method !== 'get') {
        check(route, 413, await ask(person, route, { body: { title: 'x'.repeat(70_000) } }), 'PAYLOAD_TOO_LARGE');
      }
    });
  }

  test('every route: too many requests', async () => {
    const limited = await start(stubDatabase(), { config: { rateLimitPerMinute: 1 } });
    const eager = await limited.person();
    await eager.send('GET', '/api/tasks');
    for (const route of ROUTES) check(route, 429, await ask(eager, route), 'RATE_LIMITED');
  });

  for (const [code, status, error] of [
    ['DATABASE_ERROR', 500, new AppError('DATABASE_ERROR')],
    ['INTERNAL_ERROR', 500, new TypeError('a bug')],
    ['SERVICE_UNAVAILABLE', 503, new AppError('SERVICE_UNAVAILABLE')],
  ] as const) {
    test(`every route: ${code}`, async () => {
      const failing = await start(stubDatabase(() => Promise.reject(error)));
      const unlucky = await failing.person();
      for (const route of ROUTES) check(route, status, await ask(unlucky, route), code);
    });
  }

  test('the routes that ask for no token', async () => {
    for (const route of OPEN_ROUTES) {
      check(route, 200, await service.app.inject(route.path));
      check(route, 400, await overTheWire(route, { Host: null }), 'INVALID_REQUEST');
      check(route, 431, await overTheWire(route, { 'X-Long': 'x'.repeat(20_000) }), 'HEADERS_TOO_LARGE');
    }
    const stub = stubDatabase();
    const ping = () => Promise.reject(new Error('no route to host'));
    const cutOff = await start({ ...stub, database: { ...stub.database, ping } });
    check({ method: 'get', path: '/ready' }, 503, await cutOff.app.inject('/ready'), 'SERVICE_UNAVAILABLE');
  });

  test('a task at the limits, owned by a name at the limits, and no task at all', async () => {
    const sub = '😀'.repeat(255);
    const large = await service.person(sub);
    const empty = await ask(await service.person(), { method: 'get', path: '/api/tasks' });
    check({ method: 'get', path: '/api/tasks' }, 200, empty);
    const task = await large.create('😀'.repeat(200), { description: `${'😀'.repeat(1999)}x`, is_completed: true });
    assert.equal(task.user_id, sub);
    for (const route of ROUTES.filter(({ method }) => method === 'get')) {
      check(route, 200, await ask(large, route, { id: task.id }));
    }
  });
});
