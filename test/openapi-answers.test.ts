import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { MAX_OPERATIONS } from '../dist/batch/batch.js';
import { AppError, type ErrorCode } from '../dist/core/errors.js';
import { MAX_LISTS } from '../dist/lists/list.js';
import type { Answered } from './support/envelope.ts';
import { answerTo } from './support/event-client.ts';
import { createList } from './support/lists.ts';
import { OpenApi } from './support/openapi-document.ts';
import { ANY_DATABASE, type Person, type Service, type ServiceOptions, startService } from './support/service.ts';
import { exchange, listen, wire } from './support/socket.ts';
import { stubDatabase } from './support/stub-database.ts';

const UNKNOWN_ID = '00000000-0000-4000-8000-000000000000';
const OVERSIZED = 'x'.repeat(70_000);
const OVERSIZED_BATCH = 'x'.repeat(300_000);
const OVERSIZED_FILE = Buffer.alloc(67_108_865, 'x');

interface Route {
  readonly method: string;
  readonly path: string;
  readonly body?: object;
}

const ROUTES: readonly Route[] = [
  { method: 'get', path: '/api/tasks' },
  { method: 'get', path: '/api/tasks/counts' },
  { method: 'post', path: '/api/tasks', body: { title: 'x' } },
  { method: 'get', path: '/api/tasks/{task_id}' },
  { method: 'put', path: '/api/tasks/{task_id}', body: { title: 'y' } },
  { method: 'patch', path: '/api/tasks/{task_id}', body: { description: 'z' } },
  { method: 'delete', path: '/api/tasks/{task_id}' },
  { method: 'post', path: '/api/tasks/{task_id}/toggle' },
  { method: 'post', path: '/api/tasks/{task_id}/restore' },
  { method: 'get', path: '/api/lists' },
  { method: 'post', path: '/api/lists', body: { name: 'x' } },
  { method: 'get', path: '/api/lists/{list_id}' },
  { method: 'put', path: '/api/lists/{list_id}', body: { name: 'y' } },
  { method: 'patch', path: '/api/lists/{list_id}', body: { color: '#000000' } },
  { method: 'delete', path: '/api/lists/{list_id}' },
  { method: 'post', path: '/api/batch', body: { operations: [{ op: 'create', title: 'x' }] } },
  { method: 'get', path: '/api/changes' },
  { method: 'get', path: '/api/events' },
  { method: 'get', path: '/api/export' },
  { method: 'delete', path: '/api/account/data', body: { confirm: 'another' } },
  {
    method: 'post',
    path: '/api/import',
    body: { format: 'todo-api', tasks: [{ id: '0199d3a4-7c1e-7b52-9d0f-3a2b1c4d5e6f', title: 'x' }] },
  },
  { method: 'get', path: '/health' },
  { method: 'get', path: '/ready' },
  { method: 'get', path: '/metrics' },
  { method: 'get', path: '/openapi.json' },
];

const titleOf = ({ method, path }: Route) => `${method.toUpperCase()} ${path}`;
const urlOf = ({ path }: Route, id = UNKNOWN_ID) => path.replace(/\{\w+_id\}/, () => id);
const takesToken = ({ path }: Route) => path.startsWith('/api/');
const takesId = ({ path }: Route) => /\{\w+_id\}/.test(path);
const isOfLists = ({ path }: Route) => path.startsWith('/api/lists');
/** Where the things are that the route is about. */
const collectionOf = (route: Route) => (isOfLists(route) ? '/api/lists' : '/api/tasks');
const restores = ({ path }: Route) => path.endsWith('/restore');
const isBatch = ({ path }: Route) => path === '/api/batch';
const isImport = ({ path }: Route) => path === '/api/import';
const isErasure = ({ path }: Route) => path === '/api/account/data';
const takesKey = (route: Route) => takesToken(route) && route.method !== 'get' && !isImport(route) && !isErasure(route);
const isStream = ({ path }: Route) => path === '/api/events';

/** The body of a batch that fails as its operation does. */
const atomic = (operation: object) => ({ operations: [operation], atomic: true });

/** Whether only a bug could cause the error: no database or input can make these routes fail. */
const needsBug = (route: Route, code: string) => !takesToken(route) && code === 'INTERNAL_ERROR';

interface Request {
  readonly id?: string;
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
  /** What follows the path. */
  readonly ending?: string;
}

/** A database that fails everything with `error`. */
const failingDatabase = (error: Error) => {
  const stub = stubDatabase(() => Promise.reject(error));
  return { ...stub, database: { ...stub.database, ping: () => Promise.reject(error) } };
};

describe('responses are as documented in OpenAPI', () => {
  let api: OpenApi;
  let port: number;
  /** Where a user's requests go that are not injected, if it is not the service of the others. */
  const ports = new Map<Person, number>();
  let service: Service;
  let person: Person;
  let expired: Person;
  let limited: Person;
  /** A user with as many tasks as they may have. */
  let full: Person;
  /** One with as many lists. */
  let fullOfLists: Person;
  const failing = new Map<string, Person>();
  const services: Service[] = [];
  const start = async (kind: Parameters<typeof startService>[0], options?: ServiceOptions) => {
    const started = await startService(kind, options);
    services.push(started);
    return started;
  };
  before(async () => {
    service = await start(ANY_DATABASE);
    person = await service.person();
    expired = await service.person('expired', { exp: 1 });
    api = await OpenApi.read(service.app);
    port = await listen(service.app);
    const startWithPerson = async (...of: Parameters<typeof start>) => {
      const started = await start(...of);
      const user = await started.person();
      ports.set(user, await listen(started.app));
      return user;
    };
    limited = await startWithPerson(stubDatabase(), { config: { rateLimitPerMinute: 1 } });
    await limited.send('GET', '/api/tasks');
    full = await startWithPerson(ANY_DATABASE, { config: { maxTasksPerUser: 1 } });
    fullOfLists = await service.person();
    for (let sent = 0; sent < MAX_LISTS; sent += MAX_OPERATIONS) {
      const operations = Array.from({ length: MAX_OPERATIONS }, () => ({ op: 'create', type: 'list', name: 'x' }));
      await fullOfLists.send('POST', '/api/batch', { operations });
    }
    await person.send('POST', '/api/tasks', { title: 'x' }, { 'idempotency-key': 'used' });
    for (const [code, error] of [
      ['DATABASE_ERROR', new AppError('DATABASE_ERROR')],
      ['INTERNAL_ERROR', new TypeError('a bug')],
      ['SERVICE_UNAVAILABLE', new AppError('SERVICE_UNAVAILABLE')],
    ] as const) {
      failing.set(code, await startWithPerson(failingDatabase(error)));
    }
  });
  after(async () => {
    await Promise.all(services.map((each) => each.close()));
  });

  const ask = (by: Person, route: Route, request: Request = {}): Promise<Answered> => {
    const { id = UNKNOWN_ID, headers = {}, ending = '' } = request;
    const body = 'body' in request ? request.body : route.body;
    const url = urlOf(route, id) + ending;
    if (!isStream(route)) return by.send(route.method.toUpperCase(), url, body, headers);
    const origin = `http://127.0.0.1:${ports.get(by) ?? port}`;
    return answerTo(origin + url, { authorization: `Bearer ${by.token}`, ...headers });
  };
  /** The response to a request that cannot be injected, on a connection of its own. */
  const overSocket = async (route: Route, headers: Record<string, string | null>) => {
    const authorization = `Bearer ${person.token}`;
    const request = wire(route.method.toUpperCase(), urlOf(route), { authorization, ...headers });
    const [answer] = await exchange(port, request);
    assert.ok(answer, `${titleOf(route)} was not answered`);
    return answer;
  };
  /** The id of a list that was deleted. */
  const deletedList = async () => {
    const { id } = await createList(person, 'x');
    await person.send('DELETE', `/api/lists/${id}`);
    return id;
  };
  /** The id of a task that was deleted. */
  const deletedTask = async () => {
    const { id } = await person.create('x');
    await person.send('DELETE', `/api/tasks/${id}`);
    return id;
  };
  /** A cursor of `by`, who has written something. */
  const cursorOf = async (by: Person) => {
    await by.create('x');
    return (await by.send('GET', '/api/changes')).json<{ cursor: string; epoch: string }>();
  };
  /** The id of a task or list of `by` on which `route` can succeed. */
  const taskFor = async (by: Person, route: Route) => {
    if (isOfLists(route)) return (await createList(by, 'x')).id;
    const { id } = await by.create('x');
    if (restores(route)) await by.send('DELETE', `/api/tasks/${id}`);
    return id;
  };
  const askFailingDatabase = (code: ErrorCode) => async (route: Route) => {
    const user = failing.get(code);
    assert.ok(user);
    return [await ask(user, route, isErasure(route) ? { body: { confirm: user.sub } } : {})];
  };

  /** Requests that make a route respond with a status that is no error. */
  const requestsByStatus: Readonly<Record<number, (route: Route) => Promise<Answered[]>>> = {
    200: async (route) => {
      if (route.path === '/api/changes') {
        const { cursor } = await cursorOf(person);
        await person.send('DELETE', `/api/tasks/${await deletedTask()}?permanent=true`);
        await deletedTask();
        await deletedList();
        await createList(person, 'x');
        const endings = ['', '?since=0&limit=1', `?cursor=${cursor}`, `?cursor=${cursor}&wait=25`];
        return Promise.all(endings.map((ending) => ask(person, route, { ending })));
      }
      if (route.path === '/api/export') {
        const endings = ['', '?format=json', '?format=csv', '?format=ics', '?format=todotxt'];
        return Promise.all(endings.map((ending) => ask(person, route, { ending })));
      }
      if (isErasure(route)) {
        const erased = await service.person();
        return [await ask(erased, route, { body: { confirm: erased.sub } })];
      }
      if (isImport(route)) {
        const files = [
          ['text/csv', 'title,tags\n,\nx,y'],
          ['text/calendar', 'BEGIN:VCALENDAR\nEND:VCALENDAR'],
          ['text/plain', 'x'],
        ] as const;
        const events = { headers: { accept: 'text/event-stream' }, ending: '?dry_run=true' };
        const answers = [await ask(person, route), await ask(person, route, events)];
        for (const [type, body] of files) {
          answers.push(await ask(person, route, { body, headers: { 'content-type': type } }));
        }
        return answers;
      }
      if (route.path === '/api/tasks' && route.method === 'get') {
        await person.create('x', { tags: ['t'] });
        await person.create('y', { due_date: '2026-11-22' });
        const endings = [
          '',
          '?limit=1',
          '?sort=due&is_completed=false',
          '?q=y&view=overdue&time_zone=Asia/Tokyo',
          '?tag=T',
        ];
        return Promise.all(endings.map((ending) => ask(person, route, { ending })));
      }
      if (isBatch(route)) {
        const [kept, gone, key] = [(await person.create('x')).id, await deletedTask(), `${Math.random()}`];
        const operations = [
          ...[
            { op: 'create', title: 'x' },
            { op: 'create', type: 'list', name: 'x' },
            { op: 'update', type: 'list', id: kept, name: 'x' },
            { op: 'put', id: kept, title: 'y' },
            { op: 'restore', id: gone },
          ],
          ...[{ op: 'toggle', id: kept, if_version: 0 }, { op: 'create', id: kept, title: 'x' }, { op: 'none' }, null],
          ...[
            { op: 'delete', id: kept },
            { op: 'create', id: kept, title: 'x' },
            { op: 'toggle', id: randomUUID() },
          ],
        ];
        const request = { body: { operations }, headers: { 'idempotency-key': key } };
        return [await ask(person, route, request), await ask(person, route, request)];
      }
      const [id, headers] = [await taskFor(person, route), { 'idempotency-key': `${Math.random()}` }];
      const guarded = {
        'if-match': restores(route)
          ? '*'
          : String((await person.send('GET', `${collectionOf(route)}/${id}`)).headers.etag),
      };
      const answer = await ask(person, route, { id, headers: { ...headers, ...guarded } });
      return takesToken(route) && route.method !== 'get'
        ? [answer, await ask(person, route, { id, headers: { ...headers, ...guarded } })]
        : [answer];
    },
    201: async (route) => {
      const headers = takesId(route) ? { 'if-none-match': '*' } : undefined;
      return [await ask(person, route, { id: randomUUID(), ...(headers && { headers }) })];
    },
    304: async (route) => {
      const id = await taskFor(person, route);
      return [await ask(person, route, { id, headers: { 'if-none-match': '*' } })];
    },
  };

  /** Requests that make a route respond with a code. */
  const requestsByCode: Readonly<Partial<Record<string, (route: Route) => Promise<Answered[]>>>> = {
    UNAUTHORIZED: async (route) => [await ask(person, route, { headers: { authorization: '' } })],
    INVALID_TOKEN: async (route) => [await ask(service.stranger(), route)],
    TOKEN_EXPIRED: async (route) => [await ask(expired, route)],
    VALIDATION_ERROR: async (route) => [
      await ask(person, route, { ending: '?offset=5' }),
      ...(isStream(route) ? [await ask(person, route, { headers: { 'last-event-id': 'x' } })] : []),
      ...(isBatch(route) ? [await ask(person, route, { body: atomic({ op: 'update', id: UNKNOWN_ID }) })] : []),
      ...(takesId(route) ? [await ask(person, route, { id: 'x' })] : []),
      ...(route.body === undefined || isImport(route)
        ? []
        : [await ask(person, route, { body: { title: '', description: 1, name: '' } })]),
    ],
    INVALID_REQUEST: async (route) => [
      await overSocket(route, { Host: null }),
      ...(route.body === undefined ? [] : [await ask(person, route, { body: [] })]),
      ...(takesKey(route) ? [await ask(person, route, { headers: { 'idempotency-key': 'a b' } })] : []),
      ...(takesId(route) && route.method !== 'get' ? [await ask(person, route, { headers: { 'if-match': '7' } })] : []),
    ],
    PRECONDITION_FAILED: async (route) => {
      if (isBatch(route)) {
        const { id } = await person.create('x');
        const request = { body: atomic({ op: 'create', id, title: 'x' }), headers: { 'idempotency-key': id } };
        const since = { ...atomic({ op: 'toggle', id }), if_unchanged_since: 0 };
        return [
          ...[await ask(person, route, request), await ask(person, route, request)],
          await ask(person, route, { body: since }),
        ];
      }
      const id = await taskFor(person, route);
      const headers = { 'if-match': 'W/"900719925474099"', 'idempotency-key': `${Math.random()}` };
      const answers = [await ask(person, route, { id, headers }), await ask(person, route, { id, headers })];
      const create = { id, headers: { 'if-none-match': '*' } };
      return route.method === 'put' ? [...answers, await ask(person, route, create)] : answers;
    },
    CONFLICT: async (route) => {
      const id = isOfLists(route) ? await deletedList() : await deletedTask();
      if (isBatch(route)) return [await ask(person, route, { body: atomic({ op: 'create', id, title: 'x' }) })];
      return [await ask(person, route, { id, headers: { 'if-none-match': '*' } })];
    },
    IDEMPOTENCY_MISMATCH: async (route) => [
      await ask(person, route, {
        body: { title: 'another', name: 'another', operations: [] },
        headers: { 'idempotency-key': '"used"' },
      }),
    ],
    CURSOR_EXPIRED: async (route) => {
      const { cursor, epoch } = await cursorOf(await service.person());
      return Promise.all([
        ask(person, route, { ending: `?cursor=${cursor}` }),
        isStream(route)
          ? ask(person, route, { headers: { 'last-event-id': cursor } })
          : ask(person, route, { ending: `?since=1&epoch=${epoch}` }),
      ]);
    },
    LIMIT_REACHED: async (route) => {
      if (isOfLists(route)) {
        const headers: Record<string, string> = takesId(route) ? { 'if-none-match': '*' } : {};
        return [await ask(fullOfLists, route, { id: randomUUID(), headers })];
      }
      for (const { id } of await full.list()) await full.send('DELETE', `/api/tasks/${id}`);
      if (route.method === 'patch' || route.path.endsWith('/toggle')) {
        const one = await full.create('the one', { due_date: '2026-11-22', recurrence: 'FREQ=DAILY' });
        return [await ask(full, route, { id: one.id, body: { is_completed: true } })];
      }
      const id = restores(route) ? await taskFor(full, route) : randomUUID();
      await full.create('the one');
      if (isBatch(route)) return [await ask(full, route, { body: atomic({ op: 'create', title: 'x' }) })];
      return [
        await ask(full, route, { id, headers: takesId(route) && !restores(route) ? { 'if-none-match': '*' } : {} }),
      ];
    },
    NOT_FOUND: async (route) => [
      await ask(person, route, isBatch(route) ? { body: atomic({ op: 'toggle', id: UNKNOWN_ID }) } : {}),
    ],
    PAYLOAD_TOO_LARGE: async (route) => [
      isImport(route)
        ? await ask(person, route, { body: OVERSIZED_FILE, headers: { 'content-type': 'text/plain' } })
        : await ask(person, route, { body: { title: isBatch(route) ? OVERSIZED_BATCH : OVERSIZED } }),
    ],
    RATE_LIMITED: async (route) => [await ask(limited, route)],
    HEADERS_TOO_LARGE: async (route) => [await overSocket(route, { 'X-Long': 'x'.repeat(20_000) })],
    DATABASE_ERROR: askFailingDatabase('DATABASE_ERROR'),
    INTERNAL_ERROR: askFailingDatabase('INTERNAL_ERROR'),
    SERVICE_UNAVAILABLE: askFailingDatabase('SERVICE_UNAVAILABLE'),
  };

  test('every documented operation is tested', () => {
    const documented = api.operations().map(({ path, method }) => titleOf({ path, method }));
    assert.deepEqual(ROUTES.map(titleOf).sort(), documented.sort());
  });

  for (const route of ROUTES) {
    test(`${titleOf(route)}: every documented response can occur`, async () => {
      for (const { status, code } of api.answersOf(route.path, route.method)) {
        const what = `${titleOf(route)} ${status} ${code}`;
        if (code === null) {
          const answers = (await requestsByStatus[status]?.(route)) ?? [];
          assert.ok(answers.length > 0, `no request is known for ${what}`);
          for (const answer of answers) {
            assert.equal(answer.statusCode, status, what);
            assert.deepEqual(api.faultsOf(route.path, route.method, answer), [], what);
          }
        } else if (!needsBug(route, code)) {
          const answers = (await requestsByCode[code]?.(route)) ?? [];
          assert.ok(answers.length > 0, `no request is known for ${what}`);
          for (const answer of answers) {
            assert.deepEqual([answer.statusCode, api.codeOf(answer)], [status, code], what);
            assert.deepEqual(api.faultsOf(route.path, route.method, answer), [], what);
          }
        }
      }
    });
  }

  for (const route of ROUTES) {
    test(`${titleOf(route)}: no undocumented response occurs`, async () => {
      const { id } = await person.create('x');
      const { cursor, epoch } = await cursorOf(person);
      const odd = ['%00', '%zz', '%2F', 'x'.repeat(300), `${id}.json`, `{${id}}`];
      /** The client of an event stream sends a request as it is meant to be sent. */
      const optional = (name: string, ...values: readonly string[]) =>
        isStream(route) && /^(expect|content-length)$/.test(name)
          ? fc.constant({})
          : fc.oneof(
              { weight: 4, arbitrary: fc.constant({}) },
              { weight: 1, arbitrary: fc.constantFrom(...values).map((value) => ({ [name]: value })) },
            );
      const headers = fc
        .tuple(
          optional(
            'authorization',
            '',
            'Basic eDp5',
            'Bearer x',
            `Bearer ${expired.token}`,
            isStream(route) ? '' : `Bearer ${OVERSIZED}`,
          ),
          optional('content-type', 'application/json', 'application/json; charset=utf-8', 'text/plain', 'nonsense'),
          optional('content-encoding', 'gzip', 'identity'),
          optional('content-length', '1', 'x'),
          optional('accept', 'text/html', 'application/xml;q=0'),
          optional('expect', '100-continue', 'something'),
          optional('range', 'bytes=0-1', 'bytes=9999999-'),
          optional('if-none-match', '*', '"x"', 'W/"1"', 'x'),
          optional('if-match', '*', '"x"', '"1", W/"2"', '1', ''),
          optional('idempotency-key', 'used', '"a"', 'b', 'x'.repeat(256), ''),
          optional('last-event-id', cursor, 'x', ''),
          optional('x-http-method-override', 'DELETE', 'TRACE'),
          optional('origin', 'http://localhost:3000', 'null'),
        )
        .map((each) => Object.assign({}, ...each) as Record<string, string>);
      const body = fc.constantFrom<unknown>(
        ...[undefined, route.body, {}, [], '', 'null', '{"title":', '{"title":" "}', '{"title":"\\ud800"}'],
        ...[Buffer.of(0x22, 0xff, 0x22), JSON.stringify({ title: OVERSIZED }), OVERSIZED],
        ...[{ operations: [{ op: 'toggle', id }, 1, { op: 'update', id, if_version: 1 }] }, { operations: 1 }],
        ...['toggle', 'restore', 'none'].map((op) => atomic({ op, id })),
        ...['create', 'put', 'update'].map((op) => atomic({ op, id, title: 'x', if_version: 0 })),
        { ...atomic({ op: 'delete', id }), if_unchanged_since: 1 },
      );
      const users = fc.constantFrom(person, person, full, limited, ...failing.values());
      const ids = fc.constantFrom(id, id.toUpperCase(), UNKNOWN_ID, ...odd);
      const ending = fc.constantFrom(
        '',
        '/',
        '?',
        '?limit=x',
        '?deleted=true',
        '?permanent=true',
        '?permanent=x',
        '?title[]=1&title=2',
        '?%zz',
        ...['?cursor=x', `?cursor=${cursor}`, `?since=1&epoch=${epoch}`, '?since=1', '?limit=2&since=0'],
      );
      await fc.assert(
        fc.asyncProperty(users, ids, ending, body, headers, async (user, id, ending, body, headers) => {
          const answer = await ask(user, route, { id, ending, body, headers });
          const code = answer.statusCode < 400 ? null : api.codeOf(answer);
          const documented = api.answersOf(route.path, route.method);
          assert.ok(
            documented.some((each) => each.status === answer.statusCode && each.code === code),
            `${answer.statusCode} ${code}`,
          );
          assert.deepEqual(api.faultsOf(route.path, route.method, answer), [], answer.body);
        }),
        { numRuns: 200 },
      );
    });
  }

  test('tasks and subs of the maximum length, and an empty list, are as documented', async () => {
    const sub = '😀'.repeat(255);
    const large = await service.person(sub);
    const list = { method: 'get', path: '/api/tasks' };
    const one = { method: 'get', path: '/api/tasks/{task_id}' };
    const empty = await ask(await service.person(), list);
    const task = await large.create('😀'.repeat(200), { description: `${'😀'.repeat(1999)}x`, is_completed: true });
    assert.equal(task.user_id, sub);
    for (const [route, answer] of [
      [list, empty],
      [list, await ask(large, list)],
      [one, await ask(large, one, { id: task.id })],
    ] as const) {
      assert.equal(answer.statusCode, 200);
      assert.deepEqual(api.faultsOf(route.path, route.method, answer), []);
    }
  });
});
