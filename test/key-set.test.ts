import assert from 'node:assert/strict';
import { constants, generateKeyPairSync, sign } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { after, before, describe, type TestContext, test } from 'node:test';
import { createKey, eventually, Issuer, openGateWithIssuer, type SigningKey } from './support/issuer.ts';
import { encode, Gate, hmac, makeToken, type Signer } from './support/tokens.ts';

const INVALID = '401 INVALID_TOKEN';
const LIMIT = { timeout: 30_000 };
const DAY_S = 86_400;
const ALGORITHMS = ['EdDSA', 'ES256', 'ES384', 'ES512', 'PS256', 'RS256'];
const OTHER_ALGORITHMS = ['RS512', 'PS512'];

describe('tokens of an issuer with a key set', () => {
  let issuer: Issuer;
  let gate: Gate;
  let keys: readonly SigningKey[];
  before(async () => {
    issuer = await Issuer.start();
    keys = await Promise.all([...ALGORITHMS, ...OTHER_ALGORITHMS].map((alg) => createKey(alg, alg)));
    issuer.publish(...keys);
    gate = await Gate.open(issuer.trusted);
  });
  after(async () => {
    await gate.close();
    await issuer.close();
  });

  test('EdDSA, ES256, ES384, ES512, PS256 and RS256 are accepted, and no other algorithm', async () => {
    for (const key of keys) {
      const expected = ALGORITHMS.includes(key.jwk.alg ?? '') ? '200' : INVALID;
      assert.equal(await gate.verdict(await key.sign(gate.claims())), expected, key.jwk.alg);
    }
  });

  test('a key is used with its own algorithm alone, even if it fits another', async (t) => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 };
    const published = JSON.stringify({
      keys: [
        { ...rsa.publicKey.export({ format: 'jwk' }), kid: 'rsa', alg: 'RS256' },
        { ...ec.publicKey.export({ format: 'jwk' }), kid: 'ec' },
        { ...rsa.publicKey.export({ format: 'jwk' }), kid: 'enc', use: 'enc', alg: 'RSA-OAEP' },
      ],
    });
    const { gate: strict } = await openGateWithIssuer(t, (issuer) => issuer.publishRaw(published));
    const signers: Readonly<Record<string, Signer>> = {
      RS256: (input) => sign('sha256', Buffer.from(input), rsa.privateKey),
      PS256: (input) => sign('sha256', Buffer.from(input), { key: rsa.privateKey, ...pss }),
      ES256: (input) => sign('sha256', Buffer.from(input), { key: ec.privateKey, dsaEncoding: 'ieee-p1363' }),
      ES384: (input) => sign('sha384', Buffer.from(input), { key: ec.privateKey, dsaEncoding: 'ieee-p1363' }),
    };
    for (const [kid, alg, verdict] of [
      ['rsa', 'RS256', '200'],
      ['ec', 'ES256', '200'],
      ['rsa', 'PS256', INVALID],
      ['ec', 'ES384', INVALID],
      ['ec', 'RS256', INVALID],
      ['rsa', 'ES256', INVALID],
      ['enc', 'RS256', INVALID],
      ['enc', 'PS256', INVALID],
    ] as const) {
      const token = makeToken({ alg, kid }, strict.claims(), signers[alg]);
      assert.equal(await strict.verdict(token), verdict, `${alg} with the key ${kid}`);
    }
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

  test('a key of the set does not speak for another, nor a stranger for either', async (t) => {
    const stranger = await createKey('EdDSA');
    const [ed] = keys;
    assert.ok(ed !== undefined);
    const elsewhere = await Issuer.start();
    t.after(() => elsewhere.close());
    elsewhere.publish(stranger);
    const claims = gate.claims();
    const forged = await stranger.sign(claims);
    const [, body = '', signature = ''] = forged.split('.');
    const naming = (header: object) => `${encode(JSON.stringify({ alg: 'EdDSA', ...header }))}.${body}.${signature}`;
    for (const token of [
      forged,
      await ed.sign(claims, { kid: 'ES256' }),
      naming({ kid: 'EdDSA', jku: elsewhere.url }),
      naming({ kid: 'EdDSA', x5u: elsewhere.url }),
      naming({ kid: 'EdDSA', jwk: stranger.jwk }),
      naming({ jwk: stranger.jwk }),
      makeToken({ alg: 'none', kid: 'EdDSA' }, claims, () => new Uint8Array()),
    ]) {
      assert.equal(await gate.verdict(token), INVALID);
    }
    assert.equal(elsewhere.requests, 0);
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
      gate.clock.advance(1);
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

  test('a rotated key works at its first token, also if keys have no ids', LIMIT, async (t) => {
    const [one, two, three, stranger] = await Promise.all([1, 2, 3, 4].map(() => createKey(undefined)));
    assert.ok(one !== undefined && two !== undefined && three !== undefined && stranger !== undefined);
    const { issuer, gate } = await open(t, one);
    assert.equal(await gate.verdict(await one.sign(gate.claims())), '200');
    for (const [published, fresh] of [
      [[two], two],
      [[two, three], three],
    ] as const) {
      issuer.publish(...published);
      gate.clock.advance(1);
      assert.equal(await gate.verdict(await fresh.sign(gate.claims())), '200');
    }
    assert.equal(issuer.requests, 3);
    gate.clock.advance(1);
    for (let count = 0; count < 10; count += 1) {
      assert.equal(await gate.verdict(await stranger.sign(gate.claims())), INVALID);
    }
    assert.equal(issuer.requests, 4);
  });

  test('a forged signature under the id of a known key causes no fetch', LIMIT, async (t) => {
    const [known, stranger] = await Promise.all([createKey('known'), createKey('known')]);
    const { issuer, gate } = await open(t, known);
    assert.equal(await gate.verdict(await known.sign(gate.claims())), '200');
    gate.clock.advance(30);
    assert.equal(await gate.verdict(await stranger.sign(gate.claims())), INVALID);
    assert.equal(issuer.requests, 1);
  });

  test('in a flood of unknown key ids there is a fetch a second, which finds a rotated key', LIMIT, async (t) => {
    const [known, fresh] = await Promise.all([createKey('known'), createKey('fresh')]);
    const { issuer, gate } = await open(t, known);
    const token = await known.sign(gate.claims());
    assert.equal(await gate.verdict(token), '200');
    const flood = async (second: number) => {
      gate.clock.advance(1);
      const before = issuer.requests;
      for (let count = 0; count < 5; count += 1) {
        const madeUp = makeToken({ alg: 'EdDSA', kid: `${second} ${count}` }, gate.claims(), () => new Uint8Array(64));
        assert.equal(await gate.verdict(madeUp), INVALID);
        assert.equal(await gate.verdict(token), '200');
      }
      assert.equal(issuer.requests - before, 1);
    };
    for (let second = 0; second < 30; second += 1) await flood(second);
    issuer.publish(known, fresh);
    assert.equal(await gate.verdict(await fresh.sign(gate.claims())), INVALID, 'within the second of the last fetch');
    await flood(30);
    assert.equal(await gate.verdict(await fresh.sign(gate.claims())), '200');
  });

  test('tokens of known keys do not wait for a fetch that those of unknown keys wait for', LIMIT, async (t) => {
    const [known, fresh] = await Promise.all([createKey('known'), createKey('fresh')]);
    const { issuer, gate } = await open(t, known);
    assert.equal(await gate.verdict(await known.sign(gate.claims())), '200');
    const asked = new Promise<ServerResponse>((resolve) =>
      issuer.answerWith((_request, response) => resolve(response)),
    );
    gate.clock.advance(1);
    const waiting = gate.verdict(await fresh.sign(gate.claims()));
    const response = await asked;
    assert.equal(await gate.verdict(await known.sign(gate.claims({ jti: 'meanwhile' }))), '200');
    response.end(JSON.stringify({ keys: [known.jwk, fresh.jwk] }));
    assert.equal(await waiting, '200');
    assert.equal(issuer.requests, 2);
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
      gate.clock.advance(1);
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
