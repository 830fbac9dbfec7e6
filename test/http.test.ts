import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { type OpenDatabase, type Person, type Service, startService } from './support/service.ts';

/** No database at all: what is answered here must not need one, but for what `asUser` is told to do. */
function withoutDatabase(asUser: () => Promise<never> = () => Promise.reject(new Error('no database'))): OpenDatabase {
  const nothing = () => Promise.resolve();
  return {
    database: { asUser, ping: nothing, close: nothing },
    place: '',
    warnings: [],
    analyze: nothing,
    remove: nothing,
  };
}

interface RawAnswer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** Writes bytes to a socket and reads until the service closes it. */
function exchange(port: number, ...pieces: readonly string[]): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString();
    });
    socket.on('error', reject);
    socket.on('close', () => {
      const [head = '', ...body] = text.split('\r\n\r\n');
      const [first = '', ...lines] = head.split('\r\n');
      const headers = new Map(
        lines.map(
          (line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 2)] as const,
        ),
      );
      resolve({ status: Number(first.split(' ')[1]), headers, body: body.join('\r\n\r\n') });
    });
    for (const piece of pieces) socket.write(piece);
  });
}

describe('HTTP', () => {
  let service: Service;
  let person: Person;
  let port = 0;
  before(async () => {
    service = await startService(withoutDatabase());
    person = await service.person();
    port = Number(new URL(await service.app.listen({ host: '127.0.0.1', port: 0 })).port);
  });
  after(() => service.close());

  const refusals: readonly (readonly [what: string, bytes: string, status: number, code: string])[] = [
    ['no HTTP', 'hello\r\n\r\n', 400, 'INVALID_REQUEST'],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400, 'INVALID_REQUEST'],
    ['a header without a colon', 'GET /health HTTP/1.1\r\nHost x\r\n\r\n', 400, 'INVALID_REQUEST'],
    ['a control character in a header', 'GET /health HTTP/1.1\r\nHost: x\r\nX: a\x01b\r\n\r\n', 400, 'INVALID_REQUEST'],
    ['a bare line feed', 'GET /health HTTP/1.1\nHost: x\n\n', 400, 'INVALID_REQUEST'],
    ['a space before the colon', 'GET /health HTTP/1.1\r\nHost : x\r\n\r\n', 400, 'INVALID_REQUEST'],
    [
      'Content-Length with Transfer-Encoding',
      'POST /api/tasks HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
      'INVALID_REQUEST',
    ],
    [
      'two Content-Lengths',
      'POST /api/tasks HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n',
      400,
      'INVALID_REQUEST',
    ],
    ['a method nobody knows', 'FROBNICATE /api/tasks HTTP/1.1\r\nHost: x\r\n\r\n', 400, 'INVALID_REQUEST'],
    [
      'headers over 16 KiB',
      `GET /health HTTP/1.1\r\nHost: x\r\nX: ${'a'.repeat(17_000)}\r\n\r\n`,
      431,
      'HEADERS_TOO_LARGE',
    ],
    ['a path over 16 KiB', `GET /${'a'.repeat(17_000)} HTTP/1.1\r\nHost: x\r\n\r\n`, 431, 'HEADERS_TOO_LARGE'],
    ['a tunnel', 'CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n', 405, 'METHOD_NOT_ALLOWED'],
    ['no Host', 'GET /health HTTP/1.1\r\nConnection: close\r\n\r\n', 400, 'INVALID_REQUEST'],
    [
      'QUERY on a known path',
      'QUERY /api/tasks HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
      405,
      'METHOD_NOT_ALLOWED',
    ],
    [
      'TRACE on a known path',
      'TRACE /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
      405,
      'METHOD_NOT_ALLOWED',
    ],
  ];
  for (const [what, bytes, status, code] of refusals) {
    test(`${what} is refused in the form of every other error, and the connection closed`, async () => {
      const answer = await exchange(port, bytes);
      assert.equal(answer.status, status);
      assert.match(answer.headers.get('content-type') ?? '', /^application\/json/);
      assert.match(answer.headers.get('x-request-id') ?? '', /^[\w.:-]+$/);
      assert.match(answer.headers.get('vary') ?? '', /Origin/);
      const { error, ...rest } = JSON.parse(answer.body) as { error: string };
      assert.deepEqual(rest, { code });
      assert.ok(error.length > 0);
      const line = service.log.lines().find((logged) => logged.request_id === answer.headers.get('x-request-id'));
      assert.equal(line?.status, status);
    });
  }

  test('a header of just under 16 KiB is read; a token of that size is 401', async () => {
    const answer = await exchange(
      port,
      `GET /api/tasks HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer ${'a'.repeat(15_000)}\r\n\r\n`,
    );
    assert.equal(answer.status, 401);
    assert.equal(JSON.parse(answer.body).code, 'INVALID_TOKEN');
  });

  test('Expect and Upgrade do not keep a request from being answered', async () => {
    for (const header of [
      'Expect: a-miracle\r\nConnection: close',
      'Upgrade: websocket\r\nConnection: Upgrade, close',
    ]) {
      const answer = await exchange(port, `GET /health HTTP/1.1\r\nHost: x\r\n${header}\r\n\r\n`);
      assert.equal(answer.status, 200);
    }
  });

  test('requests sent one after the other without waiting are answered in order', async () => {
    const ask = (id: string, more = '') => `GET /health HTTP/1.1\r\nHost: x\r\nX-Request-Id: ${id}\r\n${more}\r\n`;
    const socket = exchange(port, ask('one') + ask('two'), ask('three', 'Connection: close\r\n'));
    const { headers, body } = await socket;
    const ids = [headers.get('x-request-id'), ...[...body.matchAll(/x-request-id: (\w+)/g)].map(([, id]) => id)];
    assert.deepEqual(ids, ['one', 'two', 'three']);
  });

  test('a request that is sent a byte at a time is dropped once its time is over, while others are answered', async () => {
    const slow = await startService(withoutDatabase());
    slow.app.server.headersTimeout = 300;
    slow.app.server.requestTimeout = 300;
    const at = Number(new URL(await slow.app.listen({ host: '127.0.0.1', port: 0 })).port);
    const dropped = Array.from({ length: 20 }, () => exchange(at, 'GET /health HTTP/1.1\r\n', 'H'));
    const body = exchange(
      at,
      'POST /api/tasks HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50\r\n',
      `Authorization: Bearer ${person.token}\r\n\r\n`,
      '{"tit',
    );
    assert.equal((await exchange(at, 'GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')).status, 200);
    for (const answer of await Promise.all([...dropped, body])) {
      assert.equal(answer.status, 400);
      assert.equal(JSON.parse(answer.body).error, 'Request was not received in time');
    }
    await slow.close();
  });

  test('a bug is answered with a constant body, and its stack goes to the log alone', async () => {
    const bug = () => Promise.reject(new TypeError('select secret from /srv/app/db.ts postgresql://u:pa55@h/d'));
    const broken = await startService(withoutDatabase(bug));
    const answer = await (await broken.person()).send('GET', '/api/tasks');
    assert.equal(answer.statusCode, 500);
    assert.equal(answer.body, '{"error":"An internal server error occurred","code":"INTERNAL_ERROR"}');
    const line = broken.log.lines().find((logged) => logged.status === 500);
    assert.equal(line?.level, 'error');
    assert.match(JSON.stringify(line), /"stack":"TypeError: /);
    await broken.close();
  });
});
