import assert from 'node:assert/strict';
import { test } from 'node:test';
import { onAnyDatabase } from './support/service.ts';

const ORIGIN = 'http://localhost:3000';
const URLS = ['/api/tasks', '/health', '/metrics', '/openapi.json', '/no/such/route', '/api/tasks/x', '/api/tasks/%zz'];

onAnyDatabase('cross-origin', (service) => {
  test('a listed origin may read every response, errors included, with credentials', async () => {
    const person = await service().person();
    for (const url of URLS) {
      for (const who of [person, service().stranger()]) {
        const { headers } = await who.send('GET', url, undefined, { origin: ORIGIN });
        assert.equal(headers['access-control-allow-origin'], ORIGIN, url);
        assert.equal(headers['access-control-allow-credentials'], 'true');
        assert.match(String(headers['access-control-expose-headers']), /X-Request-Id/);
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
    assert.equal(answer.headers['access-control-allow-headers'], 'Authorization, Content-Type');
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
