import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { describe, type TestContext, test } from 'node:test';
import { createKey, eventually, type Issuer, openGateWithIssuer, type SigningKey } from '../support/issuer.ts';
import { type Gate, makeToken } from '../support/tokens.ts';

const UNAVAILABLE = '503 SERVICE_UNAVAILABLE';
const LIMIT = { timeout: 30_000 };

/** A service with the timeout of the product, and its issuer. */
const openGate = (t: TestContext, prepare: (issuer: Issuer) => void) => openGateWithIssuer(t, prepare, 3_000);
const HOUR_S = 3_600;
const MAX_BYTES = 65_536;

/** Answers that hold no key set, though most lead to or begin with one. */
const BAD_ANSWERS: Readonly<Record<string, (issuer: Issuer, key: SigningKey) => void>> = {
  'cuts every connection': (issuer) => issuer.goDown(),
  'answers 500': (issuer, key) => issuer.publishRaw(JSON.stringify({ keys: [key.jwk] }), 'application/json', 500),
  'answers 404': (issuer, key) => issuer.publishRaw(JSON.stringify({ keys: [key.jwk] }), 'application/json', 404),
  'answers with HTML': (issuer) => issuer.publishRaw('<!doctype html><title>Sign in</title>', 'text/html'),
  'answers with nothing': (issuer) => issuer.publishRaw(''),
  'answers with other JSON': (issuer, key) => issuer.publishRaw(JSON.stringify([key.jwk])),
  'answers with a set of what is no key': (issuer, key) => issuer.publishRaw(JSON.stringify({ keys: [key.jwk, 'x'] })),
  'answers with more than 64 KiB': (issuer, key) => issuer.publishPadded(MAX_BYTES + 1, key),
  'breaks off in the middle': (issuer, key) =>
    issuer.answerWith((_request, response) => {
      response.writeHead(200, { 'content-length': 5_000 }).write(JSON.stringify({ keys: [key.jwk] }));
      setImmediate(() => response.destroy());
    }),
  redirects: (issuer, key) =>
    issuer.answerWith((request, response) => {
      if (request.url === '/moved') response.end(JSON.stringify({ keys: [key.jwk] }));
      else response.writeHead(302, { location: '/moved' }).end();
    }),
};

const isReady = async (gate: Gate) => (await gate.get('/ready')).statusCode === 200;

describe('an issuer that cannot be asked', () => {
  test(
    'when it is down at the start, tasks are answered 503 until it is back, and then by themselves',
    LIMIT,
    async (t) => {
      const key = await createKey('key');
      const { issuer, gate } = await openGate(t, (issuer) => issuer.goDown());
      const token = await key.sign(gate.claims());
      const answer = await gate.ask(token);
      assert.equal(answer.statusCode, 503);
      assert.equal(answer.body, '{"error":"Service temporarily unavailable","code":"SERVICE_UNAVAILABLE"}');
      assert.match(String(answer.headers['retry-after']), /^[1-9]\d*$/);
      assert.equal(answer.headers['www-authenticate'], undefined);
      assert.equal((await gate.get('/health')).statusCode, 200);
      const ready = await gate.get('/ready');
      assert.equal(ready.statusCode, 503);
      assert.equal(ready.json<{ code: string }>().code, 'SERVICE_UNAVAILABLE');
      assert.match(String(ready.headers['retry-after']), /^[1-9]\d*$/);
      assert.equal((await gate.get('/api/tasks')).statusCode, 401, 'without a token');
      assert.equal(gate.databaseUses, 0);

      issuer.publish(key);
      gate.clock.advance(30);
      assert.equal(await gate.verdict(token), '200');
      assert.ok(await isReady(gate));
    },
  );

  test('a probe of /ready alone is enough to find it back', LIMIT, async (t) => {
    const key = await createKey('key');
    const { issuer, gate } = await openGate(t, (issuer) => issuer.goDown());
    assert.equal(await gate.verdict(await key.sign(gate.claims())), UNAVAILABLE);
    issuer.publish(key);
    gate.clock.advance(30);
    await eventually(() => isReady(gate), t.signal);
    assert.equal(issuer.requests, 2);
  });

  test('a key set of exactly 64 KiB is read', LIMIT, async (t) => {
    const key = await createKey('key');
    const { gate } = await openGate(t, (issuer) => issuer.publishPadded(MAX_BYTES, key));
    assert.equal(await gate.verdict(await key.sign(gate.claims())), '200');
  });

  for (const [about, misbehave] of Object.entries(BAD_ANSWERS)) {
    test(`when it ${about}, it is asked at most every 5 s`, LIMIT, async (t) => {
      const key = await createKey('key');
      const { issuer, gate } = await openGate(t, (issuer) => misbehave(issuer, key));
      for (let second = 0; second < 30; second += 1) {
        const claims = gate.claims({ jti: `${second}` });
        const tokens = [await key.sign(claims), await key.sign(claims, { kid: 'unknown' }), makeToken({}, claims)];
        const verdicts = await Promise.all(tokens.map((token) => gate.verdict(token)));
        assert.deepEqual(new Set(verdicts), new Set([UNAVAILABLE]), `after ${second} s`);
        assert.equal(await isReady(gate), false);
        gate.clock.advance(1);
      }
      assert.ok(issuer.requests >= 1 && issuer.requests <= 6, `${issuer.requests} fetches`);
      assert.ok(!issuer.paths.includes('/moved'));
      issuer.publish(key);
      await eventually(() => isReady(gate), t.signal);
      assert.equal(await gate.verdict(await key.sign(gate.claims())), '200', 'once it is well again');
    });

    test(`when it ${about} after it was well, its known keys go on working`, LIMIT, async (t) => {
      const key = await createKey('key');
      const { issuer, gate } = await openGate(t, (issuer) => issuer.publish(key));
      assert.equal(await gate.verdict(await key.sign(gate.claims())), '200');
      misbehave(issuer, key);
      gate.clock.advance(601);
      const unknown = await key.sign(gate.claims(), { kid: 'waits for the fetch' });
      assert.equal(await gate.verdict(unknown), '401 INVALID_TOKEN');
      assert.equal(issuer.requests, 2);
      assert.equal(await gate.verdict(await key.sign(gate.claims())), '200');
      assert.ok(await isReady(gate));
    });
  }

  const SILENCES: Readonly<Record<string, RequestListener>> = {
    'never answers': () => undefined,
    'stops in the middle of its answer': (_request, response) => void response.writeHead(200).write('{"keys":'),
  };
  test('when it falls silent, the fetch is given up, and one fetch serves 50 requests', LIMIT, async (t) => {
    const key = await createKey('key');
    await Promise.all(
      Object.entries(SILENCES).map(async ([about, fallSilent]) => {
        const closed: Promise<unknown>[] = [];
        const { issuer, gate } = await openGate(t, (issuer) =>
          issuer.answerWith((request, response) => {
            closed.push(once(response, 'close'));
            fallSilent(request, response);
          }),
        );
        const token = await key.sign(gate.claims());
        const verdicts = await Promise.all(Array.from({ length: 50 }, () => gate.verdict(token)));
        assert.deepEqual(new Set(verdicts), new Set([UNAVAILABLE]), about);
        assert.equal(issuer.requests, 1, about);
        assert.equal((await Promise.all(closed)).length, 1, about);
      }),
    );
  });

  test('an issuer that never answers is waited for 3 s, and asked at most every 5 s', LIMIT, async (t) => {
    const key = await createKey('key');
    const { issuer, gate } = await openGate(t, (issuer) => issuer.answerWith(() => undefined));
    const waits: number[] = [];
    for (let second = 0; second < 10; second += 1) {
      const started = performance.now();
      const asked = issuer.requests;
      assert.equal(await gate.verdict(await key.sign(gate.claims({ jti: `${second}` }))), UNAVAILABLE);
      if (second > 0 && issuer.requests > asked) waits.push(performance.now() - started);
      gate.clock.advance(1);
    }
    assert.equal(issuer.requests, 2);
    for (const wait of waits) assert.ok(wait > 2_900 && wait < 6_000, `${wait} ms`);
  });

  test('of the tokens of unknown keys, 1000 wait for an issuer that never answers, and no more', LIMIT, async (t) => {
    const key = await createKey('key');
    const { issuer, gate } = await openGate(t, (issuer) => issuer.publish(key));
    const token = await key.sign(gate.claims());
    assert.equal(await gate.verdict(token), '200');
    let closed = false;
    issuer.answerWith((_request, response) => {
      response.on('close', () => {
        closed = true;
      });
    });
    gate.clock.advance(1);
    let refused = 0;
    const flood = Array.from({ length: 1_020 }, async (_, index) => {
      const madeUp = makeToken({ alg: 'EdDSA', kid: `${index}` }, gate.claims(), () => new Uint8Array(64));
      assert.equal(await gate.verdict(madeUp), '401 INVALID_TOKEN');
      refused += 1;
    });
    await eventually(() => Promise.resolve(refused >= 20), t.signal);
    if (!closed) assert.equal(refused, 20); // else the machine took longer for the flood than the fetch may take
    assert.equal(await gate.verdict(token), '200');
    await Promise.all(flood);
    assert.equal(issuer.requests, 2);
  });

  test('known keys outlive an outage of up to 24 hours, and no longer', LIMIT, async (t) => {
    const key = await createKey('key');
    const { issuer, gate } = await openGate(t, (issuer) => issuer.publish(key));
    const exp = gate.clock.seconds + 100 * HOUR_S;
    const used = await key.sign(gate.claims({ exp }));
    assert.equal(await gate.verdict(used), '200');
    issuer.goDown();
    for (let hour = 0; hour < 24; hour += 1) {
      assert.equal(await gate.verdict(await key.sign(gate.claims({ exp, jti: `${hour}` }))), '200', `hour ${hour}`);
      assert.equal(await gate.verdict(used), '200', `hour ${hour}`);
      assert.ok(await isReady(gate));
      gate.clock.advance(HOUR_S);
    }
    assert.equal(await gate.verdict(await key.sign(gate.claims({ exp }))), UNAVAILABLE);
    assert.equal(await gate.verdict(used), UNAVAILABLE, 'a token that has been used before');
    assert.equal(await isReady(gate), false);
    issuer.publish(key);
    gate.clock.advance(30);
    await eventually(async () => (await gate.verdict(used)) === '200', t.signal);
  });

  test('a clock that is set back does not keep the service from asking again', LIMIT, async (t) => {
    const key = await createKey('key');
    const { issuer, gate } = await openGate(t, (issuer) => issuer.goDown());
    for (const seconds of [0, 5]) {
      gate.clock.advance(seconds);
      assert.equal(await gate.verdict(await key.sign(gate.claims())), UNAVAILABLE);
    }
    assert.equal(issuer.requests, 2);
    issuer.publish(key);
    gate.clock.advance(-HOUR_S);
    assert.equal(await gate.verdict(await key.sign(gate.claims())), '200');

    issuer.publish();
    gate.clock.advance(-HOUR_S / 2);
    await eventually(async () => (await gate.verdict(await key.sign(gate.claims()))) === '401 INVALID_TOKEN', t.signal);
  });

  test('the log says why, and holds no token', LIMIT, async (t) => {
    const key = await createKey('key');
    const { gate } = await openGate(t, (issuer) => issuer.publishRaw('', 'text/plain', 500));
    const token = await key.sign(gate.claims());
    assert.equal(await gate.verdict(token), UNAVAILABLE);
    const warning = gate.service.log.lines().find(({ level }) => level === 'warn');
    assert.equal(warning?.msg, 'The key set could not be fetched');
    assert.match(JSON.stringify(warning.err), /status 500/);
    for (const part of token.split('.')) assert.ok(!gate.service.log.text.includes(part));
  });

  test('the log shows nothing of an answer that is no key set', LIMIT, async (t) => {
    const key = await createKey('key');
    const { gate } = await openGate(t, (issuer) => issuer.publishRaw('{"session":quokka}'));
    assert.equal(await gate.verdict(await key.sign(gate.claims())), UNAVAILABLE);
    assert.match(gate.service.log.text, /is not JSON/);
    assert.ok(!gate.service.log.text.includes('quokka'));
  });
});
