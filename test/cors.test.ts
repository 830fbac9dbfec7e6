import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { onAnyDatabase, type Service, startService } from './support/service.ts';
import { exchange, listen, open, parseAnswers, readAll, wire } from './support/socket.ts';
import { stubDatabase } from './support/stub-database.ts';

const ORIGIN = 'http://localhost:3000';
const URLS = ['/api/tasks', '/health', '/metrics', '/openapi.json', '/no/such/route', '/api/tasks/x', '/api/tasks/%zz'];

const EXPOSED =
  'Content-Disposition, ETag, Location, Retry-After, X-Request-Id, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Idempotency-Replayed, Link';
const ALLOWED = 'Authorization, Content-Type, If-Match, If-None-Match, Idempotency-Key, Last-Event-ID';

onAnyDatabase('cross-origin', (service) => {
  test('a listed origin may read every response, errors included, with credentials', async () => {
    const person = await service().person();
    for (const url of URLS) {
      for (const who of [person, service().stranger()]) {
        const { headers } = await who.send('GET', url, undefined, { origin: ORIGIN });
        assert.equal(headers['access-control-allow-origin'], ORIGIN, url);
        assert.equal(headers['access-control-allow-credentials'], 'true');
        assert.equal(headers['access-control-expose-headers'], EXPOSED);
      }
    }
  });

  test('preflight requests need no token', async () => {
    const answer = await service().app.inject({
      method: 'OPTIONS',
      url: '/api/tasks',
      headers: {
        origin: ORIGIN,
        'access-control-request-method': 'PUT',
        'access-control-request-headers': 'authorization,content-type',
      },
    });
    assert.equal(answer.statusCode, 204);
    assert.equal(answer.body, '');
    assert.equal(answer.headers['access-control-allow-origin'], ORIGIN);
    assert.equal(answer.headers['access-control-allow-credentials'], 'true');
    assert.equal(answer.headers['access-control-allow-methods'], 'GET, POST, PUT, PATCH, DELETE, OPTIONS');
    assert.equal(answer.headers['access-control-allow-headers'], ALLOWED);
  });

  test('other origins, null and a missing Origin get no CORS headers', async () => {
    const person = await service().person();
    for (const origin of [
      'http://evil.example',
      'null',
      'http://localhost:3001',
      'https://localhost:3000',
      'http://localhost:3000.evil.example',
      'HTTP://LOCALHOST:3000',
      '*',
    ]) {
      for (const method of ['GET', 'OPTIONS']) {
        const { headers } = await person.send(method, '/api/tasks', undefined, {
          origin,
          'access-control-request-method': 'PUT',
        });
        assert.deepEqual(
          Object.keys(headers).filter((name) => name.startsWith('access-control-')),
          [],
          `${method} ${origin}`,
        );
      }
    }
    const { headers } = await person.send('GET', '/api/tasks');
    assert.equal(headers['access-control-allow-origin'], undefined);
  });

  test('every response has Vary: Origin', async () => {
    const person = await service().person();
    for (const url of URLS) {
      for (const method of ['GET', 'OPTIONS', 'PROPFIND']) {
        for (const origin of [{ origin: ORIGIN }, { origin: 'null' }, {}]) {
          const { headers } = await person.send(method, url, undefined, origin);
          assert.match(String(headers.vary), /\bOrigin\b/, `${method} ${url}`);
        }
      }
    }
  });
});

describe('cross-origin, for requests that the HTTP parser rejects', () => {
  const OTHER = 'https://app.example.com';
  const services: Service[] = [];
  const start = async (...frontendOrigins: string[]) => {
    const service = await startService(stubDatabase(), { config: { frontendOrigins } });
    services.push(service);
    return { service, port: await listen(service.app) };
  };
  let one: Awaited<ReturnType<typeof start>>;
  let two: Awaited<ReturnType<typeof start>>;
  before(async () => {
    one = await start(ORIGIN);
    two = await start(ORIGIN, OTHER);
  });
  after(() => Promise.all(services.map((service) => service.close())));

  const LARGE = 'a'.repeat(17_000);
  const CHUNKED = { 'Transfer-Encoding': 'chunked' };

  for (const [what, request, status] of [
    ['headers over 16 KiB', (Origin: string) => wire('GET', '/api/tasks', { Origin, A: LARGE }), 431],
    ['headers over 16 KiB before its Origin', (origin: string) => wire('GET', '/health', { A: LARGE, origin }), 431],
    ['a header that is not HTTP', (ORIGIN: string) => wire('GET', '/api/tasks', { ORIGIN, 'A ': 'b' }), 400],
    ['an unknown method', (Origin: string) => wire('BREW', '/api/tasks', { Origin }), 400],
    ['a body that is not HTTP', (Origin: string) => wire('POST', '/health', { Origin, ...CHUNKED }, 'zz\r\n'), 405],
  ] as const) {
    test(`a listed origin may read the response to a request with ${what}; another may not`, async () => {
      for (const origin of [ORIGIN, OTHER]) {
        const [answer] = await exchange(two.port, request(origin));
        assert.equal(answer?.statusCode, status);
        assert.equal(answer.headers['access-control-allow-origin'], origin);
        assert.equal(answer.headers['access-control-allow-credentials'], 'true');
        assert.equal(answer.headers['access-control-expose-headers'], EXPOSED);
        assert.match(String(answer.headers.vary), /\bOrigin\b/);
      }
      for (const { port } of [one, two]) {
        const [answer] = await exchange(port, request('https://evil.example'));
        assert.deepEqual([answer?.statusCode, answer?.headers['access-control-allow-origin']], [status, undefined]);
      }
    });
  }

  test('where the origin is not known, the only listed one may read the response, and none of several', async () => {
    for (const [{ port, service }, expected] of [
      [one, ORIGIN],
      [two, undefined],
    ] as const) {
      const slow = await open(port);
      const all = readAll(slow);
      slow.write('GET /health HTTP/1.1\r\nHo');
      await exchange(port, wire('GET', '/health', { Connection: 'close' })); // by now it has been read
      service.app.server.headersTimeout = 1;
      const [late] = parseAnswers(await all);
      const [broken] = await exchange(port, 'hello\r\n\r\n');
      for (const answer of [late, broken]) {
        assert.deepEqual([answer?.statusCode, answer?.headers['access-control-allow-origin']], [400, expected]);
      }
    }
  });
});
