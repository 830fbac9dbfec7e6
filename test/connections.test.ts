import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertError } from './support/envelope.ts';
import { startService } from './support/service.ts';
import { exchange, listen, open, parseAnswers, readAll, wire } from './support/socket.ts';
import { type HeldDatabase, heldDatabase } from './support/stub-database.ts';

const NOT_HTTP = [400, 'INVALID_REQUEST', 'Request is not valid HTTP'] as const;
const TOO_LARGE = [431, 'HEADERS_TOO_LARGE', 'Request headers are too large'] as const;
const CLOSE = { Connection: 'close' };

/** Starts a service whose queries stay pending until they are released. */
async function start() {
  const held: HeldDatabase = heldDatabase();
  const service = await startService(held.opened);
  const port = await listen(service.app);
  const person = await service.person();
  const authorized = (headers: Record<string, string> = {}) => ({
    Authorization: `Bearer ${person.token}`,
    ...headers,
  });
  return { held, service, port, authorized };
}

let shared: Awaited<ReturnType<typeof start>>;
before(async () => {
  shared = await start();
});
after(() => shared.service.close());

for (const [what, last, status] of [
  ['invalid HTTP', 'hello\r\n\r\n', 400],
  ['CONNECT', wire('CONNECT', '/health'), 405],
  ['a path that cannot be decoded', wire('GET', '/%zz', CLOSE), 400],
  ['a request without Host', wire('GET', '/health', { Host: null }), 400],
] as const) {
  test(`pipelined requests are answered in order, with ${what} as the last`, async () => {
    const { held, service, port, authorized } = shared;
    const ids = ['a', 'b', 'c', 'd'].map((name) => `${name}.${what.replaceAll(' ', '-')}`);
    const socket = await open(port);
    const all = readAll(socket);
    socket.write(ids.map((id) => wire('GET', '/api/tasks', authorized({ 'X-Request-Id': id }))).join('') + last);
    await held.waiting(4);
    await exchange(port, wire('GET', '/health', CLOSE)); // by now the service has read the last request too
    held.release();
    const answers = parseAnswers(await all);
    assert.deepEqual(
      answers.map(({ statusCode }) => statusCode),
      [200, 200, 200, 200, status],
    );
    assert.deepEqual(
      answers.slice(0, 4).map(({ headers }) => headers['x-request-id']),
      ids,
    );
    for (const answer of answers) assert.equal(service.log.lineOf(answer).status, answer.statusCode);
  });
}

test('an invalid request in the same packet as a valid one is answered after it', async () => {
  for (const last of ['hello\r\n\r\n', wire('CONNECT', '/health'), wire('CONNECT', 'example.com:443')]) {
    const [first, second, ...more] = await exchange(shared.port, wire('GET', '/health') + last);
    assert.deepEqual([first?.statusCode, second?.headers.connection, more.length], [200, 'close', 0]);
  }
});

test('CONNECT requests whose clients disconnect leave the service working', async () => {
  const { service, port } = shared;
  for (let turn = 0; turn < 40; turn += 1) {
    const socket = await open(port);
    socket.on('error', () => undefined);
    socket.write(`${wire('CONNECT', 'example.com:443')}${'x'.repeat(1000 * (turn % 3))}`);
    if (turn % 2 === 0) socket.resetAndDestroy();
    else setImmediate(() => socket.resetAndDestroy());
  }
  const [answer] = await exchange(port, wire('CONNECT', 'example.com:443'));
  assert.ok(answer !== undefined);
  assertError(answer, 405, 'METHOD_NOT_ALLOWED', 'Method not allowed');
  assert.equal(answer.headers.allow, '');
  assert.equal(service.log.lineOf(answer).method, 'CONNECT');
});

test('a client that disconnects before the response leaves one log line, with status 499', async () => {
  const { held, service, port, authorized } = shared;
  const id = 'disconnected';
  const socket = await open(port);
  socket.write(wire('GET', '/api/tasks', authorized({ 'X-Request-Id': id })));
  await held.waiting(1);
  socket.resetAndDestroy();
  await service.log.until((line) => line.request_id === id);
  held.release();
  await exchange(port, wire('GET', '/health', CLOSE));
  const { status, level, route } = service.log.lineOf({ headers: { 'x-request-id': id } });
  assert.deepEqual([status, level, route], [499, 'info', '/api/tasks']);
});

for (const [what, body, [status, code, error]] of [
  ['a bad chunk size', 'zz\r\n', NOT_HTTP],
  ['a chunk longer than it says', '1\r\n{}\r\n0\r\n\r\n', NOT_HTTP],
  ['too many chunk extensions', `5;${'a'.repeat(20_000)}\r\n`, NOT_HTTP],
  ['trailers over 16 KiB', `0\r\nA: ${'a'.repeat(20_000)}\r\n\r\n`, TOO_LARGE],
] as const) {
  test(`a body with ${what} gets one response, with the request's id, and the connection is closed`, async () => {
    // The first time the token has to be verified before the body is read; the second time it is cached.
    const user = await shared.service.person();
    for (const turn of ['first', 'second']) {
      const id = `body-${what.replaceAll(' ', '-')}-${turn}`;
      const known = { Authorization: `Bearer ${user.token}`, 'X-Request-Id': id };
      const own = { ...known, 'Content-Type': 'application/json', 'Transfer-Encoding': 'chunked' };
      const answers = await exchange(shared.port, wire('POST', '/api/tasks', own, body));
      const [answer] = answers;
      assert.ok(answer !== undefined && answers.length === 1, `${answers.length} answers`);
      assertError(answer, status, code, error);
      assert.deepEqual([answer.headers.connection, answer.headers['x-request-id']], ['close', id]);
      const line = shared.service.log.lineOf(answer);
      assert.deepEqual([line.route, line.status, line.user_id], ['/api/tasks', status, user.sub]);
    }
  });
}

test('a malformed body after the response has been sent closes the connection without a second response', async () => {
  const headers = { 'Content-Type': 'application/json', 'Transfer-Encoding': 'chunked' };
  const [answer, ...more] = await exchange(shared.port, wire('POST', '/api/tasks', headers, 'zz\r\n'));
  assert.equal(answer?.statusCode, 401);
  assert.equal(more.length, 0);
});

test('a client that half-closes its connection after a request, or after several, gets every answer', async () => {
  const { held, service, port, authorized } = shared;
  const body = '{"title":"x"}';
  const json = authorized({ 'Content-Type': 'application/json', 'Content-Length': String(body.length) });
  const create = wire('POST', '/api/tasks', json, body);
  const list = wire('GET', '/api/tasks', authorized());
  for (const [requests, statuses] of [
    [[create], [201]],
    [
      [list, create, list],
      [200, 201, 200],
    ],
  ] as const) {
    const socket = await open(port);
    const all = readAll(socket);
    socket.end(requests.join(''));
    await held.waiting(requests.length);
    await exchange(port, wire('GET', '/health', CLOSE)); // by now the service has read the end of the connection too
    held.release();
    const answers = parseAnswers(await all);
    assert.deepEqual(
      answers.map(({ statusCode }) => statusCode),
      statuses,
    );
    for (const answer of answers) assert.equal(service.log.lineOf(answer).status, answer.statusCode);
  }
});

test('a client that half-closes an idle connection has it closed at once', async () => {
  const { port } = shared;
  const silent = await open(port);
  const nothing = readAll(silent);
  silent.end();
  assert.equal(await nothing, '');
  const idle = await open(port);
  const answered = readAll(idle);
  idle.write(wire('GET', '/health'));
  await new Promise((resolve) => idle.once('data', resolve));
  idle.end();
  assert.equal(parseAnswers(await answered).length, 1);
});

test('a stop waits for the answer of a half-closed connection', async () => {
  const { held, service, port, authorized } = await start();
  const [waiting, idle] = [await open(port), await open(port)];
  const [answered, closedIdle] = [readAll(waiting), readAll(idle)];
  waiting.end(wire('GET', '/api/tasks', authorized()));
  idle.write(wire('GET', '/health'));
  await held.waiting(1);
  const closed = service.close();
  await closedIdle; // the stop has begun to close connections
  held.release();
  const [answer, ...more] = parseAnswers(await answered);
  assert.deepEqual([answer?.statusCode, more.length], [200, 0]);
  await closed;
});

test('a truncated body is answered 400', async () => {
  const { port, authorized } = shared;
  const headers = authorized({ 'Content-Type': 'application/json', 'Content-Length': '100' });
  const socket = await open(port);
  const all = readAll(socket);
  socket.end(wire('POST', '/api/tasks', headers, '{"title":'));
  const [answer, ...more] = parseAnswers(await all);
  assert.ok(answer !== undefined && more.length === 0);
  assertError(answer, 400, 'INVALID_REQUEST', 'Request is not valid HTTP');
});

test('connections that send too slowly get 400 and are closed; others are served meanwhile', async () => {
  const { service, port, authorized } = await start();
  const started = authorized({
    'Content-Type': 'application/json',
    'Content-Length': '100',
    'X-Request-Id': 'slow-body',
  });
  const starts = ['', 'GET /hea', 'GET /health HTTP/1.1\r\nHo'].flatMap((start) => Array<string>(10).fill(start));
  const beginnings = [...starts, wire('POST', '/api/tasks', started, '{"title":')];
  const sockets = await Promise.all(beginnings.map(() => open(port)));
  const all = sockets.map(readAll);
  sockets.forEach((socket, index) => {
    socket.write(beginnings[index] ?? '');
  });
  const [served] = await exchange(port, wire('GET', '/health', CLOSE));
  assert.equal(served?.statusCode, 200);
  service.app.server.headersTimeout = 1;
  service.app.server.requestTimeout = 2;
  for (const text of await Promise.all(all)) {
    const [answer, ...more] = parseAnswers(text);
    assert.ok(answer !== undefined && more.length === 0, text);
    assertError(answer, 400, 'INVALID_REQUEST', 'Request was not received in time');
    assert.equal(answer.headers.connection, 'close');
    assert.equal(service.log.lineOf(answer).status, 400);
  }
  assert.equal(service.log.lines().filter(({ request_id }) => request_id === 'slow-body').length, 1);
  await service.close();
});

test('single bytes do not extend the timeout of headers or body', async () => {
  const { service, port, authorized } = await start();
  const headers = authorized({ 'Content-Type': 'application/json', 'Content-Length': '60000' });
  const beginnings = [
    ...Array<string>(5).fill('GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: '),
    ...Array<string>(5).fill(wire('POST', '/api/tasks', headers, '{"title":"')),
  ];
  service.app.server.headersTimeout = 700;
  service.app.server.requestTimeout = 1_000;
  const sockets = await Promise.all(beginnings.map(() => open(port)));
  const all = sockets.map(readAll);
  for (const [index, socket] of sockets.entries()) socket.write(beginnings[index] ?? '');
  const sending = setInterval(() => {
    for (const socket of sockets) if (socket.writable) socket.write('a');
  }, 50);
  for (const text of await Promise.all(all)) {
    const [answer, ...more] = parseAnswers(text);
    assert.ok(answer !== undefined && more.length === 0, text);
    assertError(answer, 400, 'INVALID_REQUEST', 'Request was not received in time');
    assert.equal(service.log.lineOf(answer).status, 400);
  }
  clearInterval(sending);
  await service.close();
});

test('a connection on which nothing was sent does not delay a stop, as one with a request in flight does', async () => {
  const { held, service, port, authorized } = await start();
  const silent = readAll(await open(port));
  const asking = exchange(port, wire('GET', '/api/tasks', authorized(CLOSE)));
  await held.waiting(1);
  const closed = service.close();
  assert.equal(await silent, ''); // closed while the other one waits
  held.release();
  assert.equal((await asking)[0]?.statusCode, 200);
  await closed;
});

test('headers have 10 s to arrive, the whole request 15 s', () => {
  const { server } = shared.service.app;
  assert.deepEqual([server.headersTimeout, server.requestTimeout], [10_000, 130_000]);
});
