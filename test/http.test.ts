import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Answered, assertError } from './support/envelope.ts';
import { type Person, type Service, startService } from './support/service.ts';
import { exchange, listen, wire } from './support/socket.ts';
import { stubDatabase } from './support/stub-database.ts';

const CLOSE = { Connection: 'close' };
const NOT_HTTP = [400, 'INVALID_REQUEST', 'Request is not valid HTTP'] as const;
const TOO_LARGE = [431, 'HEADERS_TOO_LARGE', 'Request headers are too large'] as const;

let service: Service;
let port: number;
let person: Person;

before(async () => {
  service = await startService(stubDatabase());
  port = await listen(service.app);
  person = await service.person();
});
after(() => service.close());

const authorized = (headers: Record<string, string> = {}) => ({
  Authorization: `Bearer ${person.token}`,
  'Content-Type': 'application/json',
  ...headers,
});

const lineOf = (answer: Answered) => service.log.lineOf(answer);

for (const [what, bytes, [status, code, error]] of [
  ['that is not HTTP', 'hello\r\n\r\n', NOT_HTTP],
  ['that is the HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', NOT_HTTP],
  ['that is a TLS ClientHello', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', NOT_HTTP],
  ['with an unknown method', wire('BREW', '/health'), NOT_HTTP],
  ['with a method in lower case', wire('get', '/health'), NOT_HTTP],
  ['whose path has no slash', wire('GET', 'health'), NOT_HTTP],
  ['with lines that end in a bare LF', 'GET /health HTTP/1.1\nHost: localhost\n\n', NOT_HTTP],
  ['with one bare LF', 'GET /health HTTP/1.1\r\nHost: localhost\nA: b\r\n\r\n', NOT_HTTP],
  ['with a bare CR in a header', wire('GET', '/health', { A: 'b\rC: d' }), NOT_HTTP],
  ['with NUL in a header', wire('GET', '/health', { A: '\0' }), NOT_HTTP],
  ['with a space in front of the colon', 'GET /health HTTP/1.1\r\nHost : localhost\r\n\r\n', NOT_HTTP],
  ['with a header without a colon', 'GET /health HTTP/1.1\r\nHost localhost\r\n\r\n', NOT_HTTP],
  ['with a control character in a header', wire('GET', '/health', { A: 'b\x01c' }), NOT_HTTP],
  ['with a folded header', wire('GET', '/health', { A: 'b\r\n c' }), NOT_HTTP],
  ['with an impossible Content-Length', wire('POST', '/api/tasks', { 'Content-Length': '-1' }), NOT_HTTP],
  ['with two Content-Lengths', wire('POST', '/api/tasks', { 'Content-Length': '2', 'content-length': '3' }), NOT_HTTP],
  [
    'with Content-Length and Transfer-Encoding',
    wire('POST', '/api/tasks', { 'Content-Length': '5', 'Transfer-Encoding': 'chunked' }, '0\r\n\r\n'),
    NOT_HTTP,
  ],
  [
    'with Transfer-Encoding and Content-Length',
    wire('POST', '/api/tasks', { 'Transfer-Encoding': 'chunked', 'Content-Length': '5' }, '0\r\n\r\n'),
    NOT_HTTP,
  ],
  ['with a header over 16 KiB', wire('GET', '/health', { A: 'a'.repeat(16_384) }), TOO_LARGE],
  ['with headers over 16 KiB', wire('GET', '/health', { A: 'a'.repeat(9_000), B: 'b'.repeat(9_000) }), TOO_LARGE],
  ['with a megabyte of headers', wire('GET', '/health', { A: 'a'.repeat(1_000_000) }), TOO_LARGE],
  ['with a path over 16 KiB', wire('GET', `/${'a'.repeat(16_384)}`), TOO_LARGE],
] as const) {
  test(`a request ${what} gets one ${status} in the form of every error, and the connection is closed`, async () => {
    const answers = await exchange(port, Buffer.from(bytes, 'latin1'));
    const [answer] = answers;
    assert.ok(answer !== undefined && answers.length === 1, `${answers.length} answers`);
    assertError(answer, status, code, error);
    assert.equal(answer.headers.connection, 'close');
    const { method, route, status: logged, code: reason, duration_ms } = lineOf(answer);
    assert.deepEqual([method, route, logged, reason, duration_ms], ['unknown', 'unknown', status, code, 0]);
  });
}

test('headers of almost 16 KiB are accepted', async () => {
  const [answer] = await exchange(port, wire('GET', '/health', { ...CLOSE, A: 'a'.repeat(16_000) }));
  assert.equal(answer?.statusCode, 200);
});

test('a request without Host is 400, except in HTTP/1.0', async () => {
  const [answer, ...more] = await exchange(port, wire('GET', '/health', { Host: null }));
  assert.ok(answer !== undefined && more.length === 0);
  assertError(answer, 400, 'INVALID_REQUEST', 'Host header is missing');
  assert.equal(answer.headers.connection, 'close');
  const [old] = await exchange(port, 'GET /health HTTP/1.0\r\n\r\n');
  assert.equal(old?.statusCode, 200);
});

for (const [name, values] of [
  ['Host', ['localhost', 'localhost']],
  ['Host', ['localhost', 'elsewhere.example']],
  ['Authorization', ['mine', 'mine']],
  ['Authorization', ['mine', 'none']],
  ['Authorization', ['none', 'mine']],
] as const) {
  test(`a request with two ${name} headers (${values.join(', ')}) is 400, however they are spelled`, async () => {
    const origin = 'http://localhost:3000';
    const [first, second] = values.map((value) => (value === 'mine' ? `Bearer ${person.token}` : value));
    const repeated = { [name]: first ?? '', [name.toUpperCase()]: second ?? '' };
    const headers = { ...CLOSE, ...(name === 'Host' ? authorized(repeated) : repeated) };
    for (const path of ['/api/tasks', '/health']) {
      const [answer, ...more] = await exchange(port, wire('GET', path, { ...headers, Origin: origin }));
      assert.ok(answer !== undefined && more.length === 0);
      assertError(answer, 400, 'INVALID_REQUEST', `${name} header must be sent once`);
      assert.equal(answer.headers.connection, 'close');
      assert.equal(answer.headers['access-control-allow-origin'], origin);
    }
  });
}

test('a path that cannot be decoded is 400 VALIDATION_ERROR, with CORS headers', async () => {
  const details = [{ field: 'path', message: 'Path is not correctly percent-encoded' }];
  for (const path of ['/%zz', '/api/tasks/%zz', '/api/tasks/%ff', '/health%']) {
    const origin = 'http://localhost:3000';
    const [answer] = await exchange(port, wire('GET', path, { ...CLOSE, Origin: origin }));
    assert.ok(answer !== undefined);
    assertError(answer, 400, 'VALIDATION_ERROR', 'Validation failed', details);
    assert.equal(answer.headers['access-control-allow-origin'], origin);
    assert.equal(lineOf(answer).status, 400);
  }
  const [head] = await exchange(port, wire('HEAD', '/%zz', CLOSE), 'HEAD');
  assert.deepEqual([head?.statusCode, head?.body], [400, '']);
});

test('Expect: 100-continue is answered with 100, and any other expectation is ignored', async () => {
  const body = '{"title":"x"}';
  const headers = authorized({ ...CLOSE, Expect: '100-continue', 'Content-Length': String(body.length) });
  const answers = await exchange(port, wire('POST', '/api/tasks', headers, body));
  assert.deepEqual(
    answers.map(({ statusCode }) => statusCode),
    [100, 201],
  );
  const [answer] = await exchange(port, wire('GET', '/health', { ...CLOSE, Expect: 'tea' }));
  assert.equal(answer?.statusCode, 200);
});

test('Upgrade is ignored', async () => {
  for (const protocol of ['websocket', 'h2c']) {
    const headers = { Connection: 'Upgrade, close', Upgrade: protocol };
    const [answer] = await exchange(port, wire('GET', '/health', headers));
    assert.deepEqual([answer?.statusCode, answer?.headers.upgrade], [200, undefined]);
  }
});

const ID = '0199d3a4-7c1e-7b52-9d0f-3a2b1c4d5e6f';

test('an absolute URL leads to the route of its path, whatever its host', async () => {
  for (const target of ['http://localhost/health', 'http://elsewhere.example/health']) {
    const [answer] = await exchange(port, wire('GET', target, CLOSE));
    assert.equal(answer?.body, '{"status":"healthy"}');
  }
  const [answer] = await exchange(port, wire('OPTIONS', '*', CLOSE));
  assert.ok(answer !== undefined);
  assertError(answer, 404, 'NOT_FOUND', 'Route not found');
});

test('a bad request for a file of /docs is 400, and an unknown file 404, in the form of every error', async () => {
  for (const [path, headers] of [
    ['/docs/static/%00', {}],
    ['/docs/static/a%5cb', {}],
    ['/docs/static//a', {}],
    ['/docs/static/swagger-ui.css', { Range: 'bytes=99999999-' }],
    ['/docs/static/swagger-ui.css', { 'If-Match': '"x"' }],
  ] as const) {
    const [answer] = await exchange(port, wire('GET', path, { ...CLOSE, ...headers }));
    assert.ok(answer !== undefined);
    assertError(answer, 400, 'INVALID_REQUEST', 'Request is not valid');
    assert.equal(lineOf(answer).level, 'info');
  }
  for (const path of ['/docs/static/none.js', '/docs/static/..%2f..%2fpackage.json', '/docs/static/']) {
    const [answer] = await exchange(port, wire('GET', path, CLOSE));
    assert.ok(answer !== undefined);
    assertError(answer, 404, 'NOT_FOUND', 'Route not found');
  }
});

test('any thrown value becomes a 500 with a constant body', async () => {
  const secrets = 'select secret from /srv/app/db.ts postgresql://u:pa55@h/d';
  const known = Object.assign(new TypeError(secrets), { code: 'ECONNREFUSED', statusCode: 503, status: 418 });
  const validation = Object.assign(new Error(secrets), { name: 'ZodError', issues: [{ message: secrets }] });
  for (const thrown of [new Error(secrets), known, validation, secrets, { message: secrets }, 42, null, undefined]) {
    const broken = await startService(stubDatabase(() => Promise.reject(thrown)));
    const user = await broken.person();
    for (const [method, url, body] of [
      ['GET', '/api/tasks', undefined],
      ['POST', '/api/tasks', { title: 'x' }],
      ['DELETE', `/api/tasks/${ID}`, undefined],
    ] as const) {
      const answer = await user.send(method, url, body);
      assertError(answer, 500, 'INTERNAL_ERROR', 'An internal server error occurred');
      assert.ok(!JSON.stringify(answer.headers).includes('secret'));
      const line = broken.log.lineOf(answer);
      assert.deepEqual([line.level, line.status, typeof line.err], ['error', 500, 'object']);
    }
    await broken.close();
  }
});
