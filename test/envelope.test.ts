import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { AppError } from '../dist/core/errors.js';
import { assertError, type Fault } from './support/envelope.ts';
import { type Service, signToken, startService } from './support/service.ts';
import { exchange, listen, wire } from './support/socket.ts';
import { stubDatabase } from './support/stub-database.ts';

const JSON_TYPE = { 'Content-Type': 'application/json' };
const TASKS = '/api/tasks';
const TASK = `${TASKS}/0199d3a4-7c1e-7b52-9d0f-3a2b1c4d5e6f`;
const SECRETS = 'select title from /srv/app/db.ts postgresql://u:pa55@h/d';

/** Services by the behaviour of their database, and one with a rate limit of one request per minute. */
const services = {
  serving: () => startService(stubDatabase()),
  limited: () => startService(stubDatabase(), { config: { rateLimitPerMinute: 1 } }),
  failing: () => startService(stubDatabase(() => Promise.reject(new AppError('DATABASE_ERROR', { cause: SECRETS })))),
  throwing: () => startService(stubDatabase(() => Promise.reject(new Error(SECRETS)))),
} as const;

type Kind = keyof typeof services;
const started = new Map<Kind, { service: Service; port: number }>();
before(async () => {
  for (const kind of Object.keys(services) as Kind[]) {
    const service = await services[kind]();
    started.set(kind, { service, port: await listen(service.app) });
  }
});
after(async () => {
  for (const { service } of started.values()) await service.close();
});

interface Asked {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string | null>>;
  readonly body?: string;
  readonly from?: Kind;
  readonly prepare?: (port: number, headers: Readonly<Record<string, string>>) => unknown;
}

type Expected = readonly [status: number, code: string, error: string, details?: readonly Fault[]];

const post = (body: string, headers: Readonly<Record<string, string | null>> = {}): Asked => ({
  method: 'POST',
  headers: { ...JSON_TYPE, 'Content-Length': String(Buffer.byteLength(body)), ...headers },
  body,
});
const chunked = (body: string) => post(body, { 'Content-Length': null, 'Transfer-Encoding': 'chunked' });
const invalid = (field: string, message: string): Expected => [
  400,
  'VALIDATION_ERROR',
  'Validation failed',
  [{ field, message }],
];
const TOO_LARGE: Expected = [413, 'PAYLOAD_TOO_LARGE', 'Request body is too large'];
const NOT_FOUND: Expected = [404, 'NOT_FOUND', 'Route not found'];
const noMethod = (allow: string): Expected => [
  405,
  'METHOD_NOT_ALLOWED',
  'Method not allowed',
  [{ field: 'method', message: `This path has ${allow}` }],
];
const WRONG_TYPE: Expected = [400, 'INVALID_REQUEST', 'Content-Type must be application/json'];
const NOT_HTTP: Expected = [400, 'INVALID_REQUEST', 'Request is not valid HTTP'];
const NOT_JSON: Expected = [
  400,
  'INVALID_REQUEST',
  'Request body is not valid JSON',
  [{ field: 'body', message: 'JSON has double quotes around names and texts, and no comma after the last field' }],
];
const NO_CURSOR = 'Cursor must be one that this service has given';
/** Of version 7, which the user of the stub has not reached. */
const CURSOR = 'ASnx0g1lsU26rRO-0P5RWcMAAAAAAAAABwAAAAAAAAAA';
const EXPIRED: Expected = [410, 'CURSOR_EXPIRED', 'Start again without a cursor'];
const LARGE = 'x'.repeat(65_537);

const SOURCES: readonly (readonly [string, Asked, Expected])[] = [
  ['the HTTP parser, within a body', chunked('zz\r\n'), NOT_HTTP],
  ['the check for Host', { headers: { Host: null } }, [400, 'INVALID_REQUEST', 'Host header is missing']],
  ['the router, for an unknown path', { path: '/no/such/route' }, NOT_FOUND],
  ['the router, for an unknown path below /api', { path: '/api/nothing' }, NOT_FOUND],
  ['the router, for another method', { method: 'PUT' }, noMethod('GET, HEAD, OPTIONS, POST')],
  [
    'the router, for an uncommon method',
    { method: 'PROPFIND', path: TASK },
    noMethod('DELETE, GET, HEAD, OPTIONS, PATCH, PUT'),
  ],
  [
    'the router, for CONNECT',
    { method: 'CONNECT', path: 'example.com:443' },
    [405, 'METHOD_NOT_ALLOWED', 'Method not allowed'],
  ],
  [
    'the router, for a path that cannot be decoded',
    { path: '/%zz' },
    invalid('path', 'Path is not correctly percent-encoded'),
  ],
  ['the content-type parser, for text', post('x', { 'Content-Type': 'text/plain' }), WRONG_TYPE],
  ['the content-type parser, for no type', post('{"title":"x"}', { 'Content-Type': null }), WRONG_TYPE],
  [
    'the content-type parser, for nonsense',
    post('{"title":"x"}', { 'Content-Type': 'application/json\ta' }),
    WRONG_TYPE,
  ],
  [
    'the check of the encoding',
    post('x', { 'Content-Encoding': 'gzip' }),
    [400, 'INVALID_REQUEST', 'Content-Encoding is not supported'],
  ],
  ['the body parser, for invalid JSON', post('{"title":'), NOT_JSON],
  ['the body parser, for no body', post(''), [400, 'INVALID_REQUEST', 'Request body is missing: send a JSON object']],
  ['the body parser, for an array', post('[]'), [400, 'INVALID_REQUEST', 'Request body must be a JSON object']],
  ['the body parser, for a large body', post(LARGE), TOO_LARGE],
  ['the body parser, for a large body in chunks', chunked(`10001\r\n${LARGE}\r\n0\r\n\r\n`), TOO_LARGE],
  ['the validation of a body', post('{"title":1}'), invalid('title', 'Title must be a string')],
  [
    'the check of If-Match',
    { ...post('{"title":"x"}', { 'If-Match': '7' }), method: 'PATCH', path: TASK },
    [400, 'INVALID_REQUEST', 'If-Match must be *, or tags in double quotes, as in If-Match: "7"'],
  ],
  [
    'the check of If-None-Match',
    { headers: { 'If-None-Match': 'x' } },
    [400, 'INVALID_REQUEST', 'If-None-Match must be *, or tags in double quotes, as in If-None-Match: "7"'],
  ],
  [
    'the check of Idempotency-Key',
    post('{"title":"x"}', { 'Idempotency-Key': 'a b' }),
    [400, 'INVALID_REQUEST', 'Idempotency-Key must be 1 to 255 visible ASCII characters'],
  ],
  [
    'the validation of a batch',
    { ...post('{"operations":1}'), path: '/api/batch' },
    invalid('operations', 'operations must be an array'),
  ],
  ['the body parser, for a large batch', { ...post('x'.repeat(262_145)), path: '/api/batch' }, TOO_LARGE],
  ['the check of a cursor', { path: '/api/changes?cursor=x' }, invalid('cursor', NO_CURSOR)],
  ['the check of a cursor of a stream', { path: '/api/events?cursor=x' }, invalid('cursor', NO_CURSOR)],
  [
    'the check of Last-Event-ID',
    { path: '/api/events', headers: { 'Last-Event-ID': 'x' } },
    invalid('last-event-id', NO_CURSOR),
  ],
  ['the changes, for a cursor that is ahead', { path: `/api/changes?cursor=${CURSOR}` }, EXPIRED],
  ['the event stream, for a cursor that is ahead', { path: `/api/events?cursor=${CURSOR}` }, EXPIRED],
  ['the validation of a query', { path: `${TASKS}?deleted=x` }, invalid('deleted', 'Must be true or false')],
  ['the validation of a path', { path: `${TASKS}/{x}` }, invalid('task_id', 'Task id must be a UUID')],
  [
    'the check for an Authorization header',
    { headers: { Authorization: null } },
    [401, 'UNAUTHORIZED', 'Invalid or missing authentication token'],
  ],
  [
    'the verification of a token',
    { headers: { Authorization: 'Bearer x.y.z' } },
    [401, 'INVALID_TOKEN', 'Authentication token is invalid'],
  ],
  [
    'the rate limiter',
    { from: 'limited', prepare: (port, headers) => exchange(port, wire('GET', TASKS, headers)) },
    [429, 'RATE_LIMITED', 'Too many requests'],
  ],
  ['the static files of /docs', { path: '/docs/static/%00' }, [400, 'INVALID_REQUEST', 'Request is not valid']],
  ['the database', { from: 'failing' }, [500, 'DATABASE_ERROR', 'A database error occurred']],
  [
    'the database, before a stream',
    { from: 'failing', path: '/api/events' },
    [500, 'DATABASE_ERROR', 'A database error occurred'],
  ],
  ['a bug', { from: 'throwing' }, [500, 'INTERNAL_ERROR', 'An internal server error occurred']],
];

for (const [source, asked, expected] of SOURCES) {
  test(`an error of ${source} has the one form, and the request's id in response and log`, async () => {
    const { method = 'GET', path = TASKS, headers = {}, body = '', from = 'serving', prepare } = asked;
    const { service, port } = started.get(from) ?? assert.fail();
    const token = await signToken(`user-${source}`);
    const own = { Authorization: `Bearer ${token}`, Connection: 'close' };
    await prepare?.(port, own);
    const id = source.replaceAll(/[^a-z]/gi, '-');
    const answers = await exchange(port, wire(method, path, { ...own, 'X-Request-Id': id, ...headers }, body));
    const [answer] = answers;
    assert.ok(answer !== undefined && answers.length === 1, `${answers.length} answers`);
    assertError(answer, ...expected);
    assert.equal(answer.headers['x-request-id'], id);
    const line = service.log.lineOf(answer);
    const level = expected[0] < 500 ? 'info' : expected[0] === 503 ? 'warn' : 'error';
    assert.deepEqual([line.status, line.code, line.level], [expected[0], expected[1], level]);
    if (expected[0] < 500) assert.equal(line.err, undefined);
  });
}
