import assert from 'node:assert/strict';
import { test } from 'node:test';
import { onAnyDatabase } from './support/service.ts';

const options = { config: { rateLimitPerMinute: 5 } };

onAnyDatabase(
  'the rate limit',
  (service) => {
    test('a user over the limit gets 429 with Retry-After and RateLimit headers; others are not affected', async () => {
      const person = await service().person();
      for (let left = 4; left >= 0; left -= 1) {
        const answer = await person.send('GET', '/api/tasks');
        assert.equal(answer.statusCode, 200);
        assert.equal(answer.headers['ratelimit-limit'], '5');
        assert.equal(answer.headers['ratelimit-remaining'], String(left));
      }
      for (const [method, url] of [
        ['GET', '/api/tasks'],
        ['POST', '/api/tasks'],
        ['DELETE', '/api/tasks/x'],
      ] as const) {
        const answer = await person.send(method, url);
        assert.equal(answer.statusCode, 429);
        assert.equal(answer.body, '{"error":"Too many requests","code":"RATE_LIMITED"}');
        assert.ok(Number(answer.headers['retry-after']) > 0 && Number(answer.headers['retry-after']) <= 60);
        assert.equal(answer.headers['ratelimit-limit'], '5');
        assert.equal(answer.headers['ratelimit-remaining'], '0');
        assert.ok(Number(answer.headers['ratelimit-reset']) <= 60);
        assert.match(String(answer.headers['content-type']), /^application\/json/);
      }
      const other = await service().person();
      assert.equal((await other.send('GET', '/api/tasks')).statusCode, 200);
      assert.equal((await person.send('GET', '/health')).statusCode, 200);
    });

    test('subs such as __proto__ are counted like any other', async () => {
      for (const sub of ['__proto__', 'constructor', 'toString', '0', ' ']) {
        const person = await service().person(sub);
        const statuses = [];
        for (let index = 0; index < 6; index += 1) statuses.push((await person.send('GET', '/api/tasks')).statusCode);
        assert.deepEqual(statuses, [200, 200, 200, 200, 200, 429], sub);
      }
    });

    test('the limit is per user, not per token, and requests without a valid token do not count', async () => {
      const person = await service().person();
      for (let index = 0; index < 20; index += 1) {
        assert.equal((await service().stranger().send('GET', '/api/tasks')).statusCode, 401);
        assert.equal((await service().stranger().send('GET', '/health')).statusCode, 200);
      }
      for (let index = 0; index < 5; index += 1) {
        const again = await service().person(person.sub, { jti: String(index) });
        assert.equal((await again.send('GET', '/api/tasks')).statusCode, 200);
      }
      const last = await service().person(person.sub, { jti: 'last' });
      assert.equal((await last.send('GET', '/api/tasks')).statusCode, 429);
    });
  },
  options,
);

onAnyDatabase('no rate limit', (service) => {
  test('0 is off', async () => {
    const person = await service().person();
    const answers = await Promise.all(Array.from({ length: 200 }, () => person.send('GET', '/api/tasks')));
    assert.deepEqual([...new Set(answers.map((answer) => answer.statusCode))], [200]);
    assert.equal(answers[0]?.headers['ratelimit-limit'], undefined);
  });
});
