import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import { createKey, eventually, Issuer, openGateWithIssuer, type SigningKey } from './support/issuer.ts';
import { encode, Gate, hmac, makeToken } from './support/tokens.ts';

const INVALID = '401 INVALID_TOKEN';
const LIMIT = { timeout: 30_000 };
const DAY_S = 86_400;

describe('tokens of an issuer with a key set', () => {
  let issuer: Issuer;
  let gate: Gate;
  let keys: readonly SigningKey[];
  before(async () => {
    issuer = await Issuer.start();
    keys = await Promise.all([
      createKey('ed', 'EdDSA'),
      createKey('ec', 'ES256'),
      createKey('rsa', 'RS256'),
      createKey('sha512', 'RS512'),
    ]);
    issuer.publish(...keys);
    gate = await Gate.open(issuer.trusted);
  });
  after(async () => {
    await gate.close();
    await issuer.close();
  });

  test('EdDSA, ES256 and RS256 are accepted, and no other algorithm', async () => {
    const verdicts = await Promise.all(keys.map(async (key) => gate.verdict(await key.sign(gate.claims()))));
    assert.deepEqual(verdicts, ['200', '200', '200', INVALID]);
  });

  test('an HMAC token is never accepted, whatever public thing it is signed with', async () => {
    for (const { jwk, pem } of keys) {
      const secrets = [pem, pem.trim(), ` ${pem}`, `\n${pem}`, JSON.stringify(jwk), `${jwk.x ?? jwk.n}`, ''];
      for (const secret of secrets) {
        for (const alg of ['HS256', 'HS384', 'HS512'] as const) {
          for (const header of [{ alg, kid: jwk.kid }, { alg }]) {
            assert.equal(await gate.verdict(makeToken(header, gate.claims(), hmac(alg, secret))), INVALID);
          }
        }
      }
    }
  });

  test('a key of the set does not speak for another, nor a stranger for either', async () => {
    const stranger = await createKey('ed');
    const [ed] = keys;
    assert.ok(ed !== undefined);
    const elsewhere = await Issuer.start();
    elsewhere.publish(stranger);
    const claims = gate.claims();
    const forged = await stranger.sign(claims);
    const [, body = '', signature = ''] = forged.split('.');
    const naming = (header: object) => `${encode(JSON.stringify({ alg: 'EdDSA', ...header }))}.${body}.${signature}`;
    for (const token of [
      forged,
      await ed.sign(claims, { kid: 'ec' }),
      naming({ kid: 'ed', jku: elsewhere.url }),
      naming({ kid: 'ed', x5u: elsewhere.url }),
      naming({ kid: 'ed', jwk: stranger.jwk }),
      naming({ jwk: stranger.jwk }),
      makeToken({ alg: 'none', kid: 'ed' }, claims, () => new Uint8Array()),
    ]) {
      assert.equal(await gate.verdict(token), INVALID);
    }
    assert.equal(elsewhere.requests, 0);
    await elsewhere.close();
  });

  test('claims are judged as those of a shared secret are', async () => {
    const [key] = keys;
    assert.ok(key !== undefined);
    const judge = async (changes: Record<string, unknown>) => gate.verdict(await key.sign(gate.claims(changes)));
    const now = gate.clock.seconds;
    assert.equal(await judge({ exp: now - 29 }), '200');
    assert.equal(await judge({ exp: now - 31 }), '401 TOKEN_EXPIRED');
    for (const changes of [{ exp: undefined }, { sub: undefined }, { sub: '' }, { iat: now + 31 }, { nbf: now + 31 }]) {
      assert.equal(await judge(changes), INVALID, JSON.stringify(changes));
    }
  });
});

describe('the keys of a key set', () => {
  const open = (t: TestContext, ...keys: readonly SigningKey[]) =>
    openGateWithIssuer(t, (issuer) => issuer.publish(...keys));

  test('of two keys, either may have signed a token without kid', LIMIT, async (t) => {
    const [one, two, stranger] = await Promise.all([createKey('1'), createKey('2'), createKey('3')]);
    const { gate } = await open(t, one, two);
    for (const [key, verdict] of [
      [one, '200'],
      [two, '200'],
      [stranger, INVALID],
    ] as const) {
      assert.equal(await gate.verdict(await key.sign(gate.claims(), { kid: undefined })), verdict);
    }
    const expired = await two.sign(gate.claims({ exp: 1 }), { kid: undefined });
    assert.equal(await gate.verdict(expired), '401 TOKEN_EXPIRED');
  });

  test('a key published without kid and alg is one, too', LIMIT, async (t) => {
    const key = await createKey(undefined);
    const { issuer, gate } = await open(t);
    const { kty, crv, x } = key.jwk;
    issuer.publishRaw(JSON.stringify({ keys: [{ kty, crv, x }] }));
    gate.clock.advance(30);
    assert.equal(await gate.verdict(await key.sign(gate.claims())), '200');
  });

  test('a secret in a key set makes no HMAC token good', LIMIT, async (t) => {
    const known = await createKey('known');
    const { issuer, gate } = await open(t, known);
    assert.equal(await gate.verdict(await known.sign(gate.claims())), '200'); // the first fetch is over
    const secret = 'a secret that should not have been published';
    issuer.publishRaw(JSON.stringify({ keys: [{ kty: 'oct', kid: 'oct', alg: 'HS256', k: encode(secret) }] }));
    gate.clock.advance(30);
    const before = issuer.requests;
    const stranger = await createKey('unknown');
    assert.equal(await gate.verdict(await stranger.sign(gate.claims())), INVALID);
    assert.equal(issuer.requests, before + 1, 'the set with the secret has been fetched');
    const token = makeToken({ alg: 'HS256', kid: 'oct' }, gate.claims(), hmac('HS256', secret));
    assert.equal(await gate.verdict(token), INVALID);
  });

  test(
    'a rotated key works at its first token, and the one before for as long as it is published',
    LIMIT,
    async (t) => {
      const [old, fresh] = await Promise.all([createKey('old'), createKey('fresh')]);
      const { issuer, gate } = await open(t, old);
      assert.equal(await gate.verdict(await old.sign(gate.claims())), '200');
      issuer.publish(old, fresh);
      gate.clock.advance(30);
      const first = await Promise.all(
        [1, 2, 3].map(async (jti) => gate.verdict(await fresh.sign(gate.claims({ jti: `${jti}` })))),
      );
      assert.deepEqual(first, ['200', '200', '200']);
      assert.equal(issuer.requests, 2);
      assert.equal(await gate.verdict(await old.sign(gate.claims({ jti: 'later' }))), '200');
    },
  );

  test('200 tokens with unknown key ids cause at most one fetch', LIMIT, async (t) => {
    const [known, unknown] = await Promise.all([createKey('known'), createKey('unknown')]);
    const { issuer, gate } = await open(t, known);
    assert.equal(await gate.verdict(await known.sign(gate.claims())), '200');
    assert.equal(issuer.requests, 1);
    gate.clock.advance(30);
    const flood = Array.from({ length: 200 }, (_, index) => unknown.sign(gate.claims(), { kid: `unknown ${index}` }));
    const [first = '', ...rest] = await Promise.all(flood);
    const verdicts = await Promise.all(rest.slice(0, 100).map((token) => gate.verdict(token)));
    for (const token of [first, ...rest.slice(100)]) verdicts.push(await gate.verdict(token));
    assert.deepEqual(new Set(verdicts), new Set([INVALID]));
    assert.equal(verdicts.length, 200);
    assert.ok(issuer.requests <= 2, `${issuer.requests - 1} fetches`);
    assert.equal(await gate.verdict(await known.sign(gate.claims({ jti: 'meanwhile' }))), '200');
  });

  test('a steady flood of unknown key ids causes at most two fetches in any half minute', LIMIT, async (t) => {
    const [known, unknown] = await Promise.all([createKey('known'), createKey('unknown')]);
    const { issuer, gate } = await open(t, known);
    const seen: number[] = [];
    for (let second = 0; second < 120; second += 1) {
      const tokens = await Promise.all([1, 2].map((n) => unknown.sign(gate.claims(), { kid: `${second} ${n}` })));
      for (const token of tokens) assert.equal(await gate.verdict(token), INVALID);
      seen.push(issuer.requests);
      gate.clock.advance(1);
    }
    for (const [second, requests] of seen.entries()) {
      const halfMinuteBefore = seen[second - 30] ?? 0;
      assert.ok(requests - halfMinuteBefore <= 2, `${requests - halfMinuteBefore} in the half minute before ${second}`);
    }
  });

  test('a withdrawn key stops working, also for tokens that have been used before', LIMIT, async (t) => {
    const [withdrawn, kept] = await Promise.all([createKey('withdrawn'), createKey('kept')]);
    const { issuer, gate } = await open(t, withdrawn, kept);
    const token = await withdrawn.sign(gate.claims({ exp: gate.clock.seconds + DAY_S }));
    assert.equal(await gate.verdict(token), '200');
    assert.equal(await gate.verdict(token), '200');
    issuer.publish(kept);
    gate.clock.advance(601);
    await eventually(async () => (await gate.verdict(token)) === INVALID, t.signal);
    assert.equal(await gate.verdict(await kept.sign(gate.claims())), '200');
    assert.equal(issuer.requests, 2);
  });

  test(
    'a key that is withdrawn and replaced at once stops working with the first token of the new one',
    LIMIT,
    async (t) => {
      const [leaked, fresh] = await Promise.all([createKey('leaked'), createKey('fresh')]);
      const { issuer, gate } = await open(t, leaked);
      const token = await leaked.sign(gate.claims());
      assert.equal(await gate.verdict(token), '200');
      issuer.publish(fresh);
      gate.clock.advance(30);
      assert.equal(await gate.verdict(await fresh.sign(gate.claims())), '200');
      assert.equal(await gate.verdict(token), INVALID);
    },
  );

  test('a set that has not changed is fetched again without asking anybody to wait', LIMIT, async (t) => {
    const key = await createKey('same');
    const { issuer, gate } = await open(t, key);
    assert.equal(await gate.verdict(await key.sign(gate.claims())), '200');
    const stuck = new Promise<void>((resolve) => issuer.answerWith(() => resolve()));
    gate.clock.advance(601);
    assert.equal(await gate.verdict(await key.sign(gate.claims())), '200');
    await stuck;
    assert.equal(await gate.verdict(await key.sign(gate.claims({ jti: 'while it is fetched' }))), '200');
    assert.equal(issuer.requests, 2);
  });
});
