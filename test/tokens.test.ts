import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { type Answered, assertError } from './support/envelope.ts';
import { SECRET } from './support/service.ts';
import { exchange, listen, wire } from './support/socket.ts';
import { encode, Gate, HMAC_NAMES, hmac, makeToken } from './support/tokens.ts';

const UNAUTHORIZED = '{"error":"Invalid or missing authentication token","code":"UNAUTHORIZED"}';
const INVALID = '{"error":"Authentication token is invalid","code":"INVALID_TOKEN"}';
const EXPIRED = '{"error":"Authentication token has expired","code":"TOKEN_EXPIRED"}';

function assertRefused(answer: Answered, body: string, about: string): void {
  assert.equal(answer.statusCode, 401, about);
  assert.equal(answer.body, body, about);
  const challenge = body === UNAUTHORIZED ? 'Bearer' : 'Bearer error="invalid_token"';
  assert.equal(answer.headers['www-authenticate'], challenge, about);
  assert.equal(answer.headers['content-type'], 'application/json; charset=utf-8', about);
}

describe('tokens', () => {
  let gate: Gate;
  before(async () => {
    gate = await Gate.open();
  });
  after(() => gate.close());

  test('a valid token is accepted, whatever the case of the scheme and the spaces around', async () => {
    const token = gate.token();
    for (const authorization of [`Bearer ${token}`, `bearer ${token}`, `BEARER   ${token}  `]) {
      const answer = await gate.get('/api/tasks', { authorization });
      assert.equal(answer.statusCode, 200, authorization.slice(0, 12));
      assert.equal(answer.headers['www-authenticate'], undefined);
    }
  });

  test('without a usable Authorization header the response is 401', async () => {
    const token = gate.token();
    const wrong = [
      '',
      'Bearer',
      'Bearer ',
      'Basic dXNlcjpwYXNz',
      token,
      `Token ${token}`,
      `Bearer${token}`,
      `Bearer ${token}, Bearer ${token}`,
      `Bearer ${token} ${token}`,
      `Bearer ${token},`,
      `Basic x, Bearer ${token}`,
    ];
    const before = gate.databaseUses;
    assertRefused(await gate.get('/api/tasks'), UNAUTHORIZED, 'no header');
    for (const authorization of wrong) {
      assertRefused(await gate.get('/api/tasks', { authorization }), UNAUTHORIZED, authorization);
    }
    assert.equal(gate.databaseUses, before);
  });

  test('a token is read from the Authorization header and nowhere else', async () => {
    const token = gate.token();
    assertRefused(await gate.get(`/api/tasks?access_token=${token}&token=${token}`), UNAUTHORIZED, 'query');
    const elsewhere = {
      cookie: `token=${token}; better-auth.session_token=${token}`,
      'x-authorization': `Bearer ${token}`,
      'proxy-authorization': `Bearer ${token}`,
      'x-user-id': 'somebody',
    };
    assertRefused(await gate.get('/api/tasks', elsewhere), UNAUTHORIZED, 'other headers');
  });

  test('every route under /api checks the token before anything else', async () => {
    const id = '00000000-0000-4000-8000-000000000000';
    for (const [method, url] of [
      ['GET', '/api/tasks'],
      ['HEAD', '/api/tasks'],
      ['POST', '/api/tasks'],
      ['GET', `/api/tasks/${id}`],
      ['GET', '/api/tasks/not-a-uuid'],
      ['PUT', `/api/tasks/${id}`],
      ['PATCH', `/api/tasks/${id}`],
      ['DELETE', `/api/tasks/${id}`],
      ['POST', `/api/tasks/${id}/toggle`],
      ['GET', '/api/tasks/'],
      ['POST', '/api/batch'],
      ['GET', '/api/changes?cursor=x'],
      ['HEAD', '/api/changes'],
      ['GET', '/api/events?cursor=x'],
      ['HEAD', '/api/events'],
    ] as const) {
      const answer = await gate.service.app.inject({ method, url, payload: method.startsWith('P') ? '{' : '' });
      assert.equal(answer.statusCode, 401, `${method} ${url}`);
      assert.equal(answer.headers['www-authenticate'], 'Bearer', `${method} ${url}`);
    }
  });

  test('a malformed or altered token is rejected', async () => {
    const good = gate.token();
    const [head = '', body = '', signature = ''] = good.split('.');
    const middle = Math.floor(signature.length / 2);
    const flipped = signature[middle] === 'A' ? 'B' : 'A';
    const changed = {
      'a word': 'none',
      'two parts': `${head}.${body}`,
      'an empty signature': `${head}.${body}.`,
      'four parts': `${good}.${signature}`,
      'five parts, as an encrypted one': `${good}.${body}.${signature}`,
      'a changed signature': `${head}.${body}.${signature.slice(0, middle)}${flipped}${signature.slice(middle + 1)}`,
      'a cut signature': `${head}.${body}.${signature.slice(0, -4)}`,
      'other claims': `${head}.${encode(JSON.stringify(gate.claims({ sub: 'another' })))}.${signature}`,
      'another header': `${encode('{"alg":"HS256","typ":"jwt"}')}.${body}.${signature}`,
      'a header that is no JSON': `${encode('alg')}.${body}.${signature}`,
      'no base64': `${head}.${body}.*&^%`,
      'dots alone': '..',
    };
    for (const [about, token] of Object.entries(changed)) assertRefused(await gate.ask(token), INVALID, about);
    assert.equal(await gate.verdict(good), '200');
  });

  test('a signature in another spelling than canonical base64url is rejected, also of a token that is cached', async () => {
    const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    let good = gate.token();
    for (let turn = 0; !/[-_][^.]*$/.test(good); turn += 1) good = gate.token({ turn });
    const last = ALPHABET.indexOf(good.at(-1) ?? '');
    assert.equal(last % 4, 0, 'the last character of 32 bytes has two unused bits');
    assert.equal(await gate.verdict(good), '200');
    const respelled = [1, 2, 3].map((bits) => good.slice(0, -1) + ALPHABET[last + bits]);
    const dot = good.lastIndexOf('.');
    const base64 = good.slice(0, dot) + good.slice(dot).replaceAll('-', '+').replaceAll('_', '/');
    for (const token of [...respelled, `${good}=`, `${good}==`, base64, `${base64}=`]) {
      assertRefused(await gate.ask(token), INVALID, token.slice(dot));
    }
    assert.equal(await gate.verdict(good), '200');
  });

  test('a token with alg "none", or another that is not configured, is rejected', async () => {
    const signatures = { empty: () => new Uint8Array(), right: hmac('HS256', SECRET) };
    for (const alg of ['none', 'None', 'nOnE', 'NONE', '', 'hs256', 'HS256 ', null, undefined, ['HS256'], 0]) {
      for (const [about, sign] of Object.entries(signatures)) {
        assertRefused(await gate.ask(makeToken({ alg }, gate.claims(), sign)), INVALID, `${alg} ${about}`);
      }
    }
  });

  test('a token signed with another key is rejected: an empty one, part of the secret, a public key', async () => {
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
    for (const key of ['', '\0', SECRET.slice(0, -1), Buffer.from(SECRET).toString('base64'), pem, ` \n${pem}`]) {
      const token = makeToken({ alg: 'HS256' }, gate.claims(), hmac('HS256', key));
      assertRefused(await gate.ask(token), INVALID, `key of ${key.length}`);
    }
  });

  test('an expired token is TOKEN_EXPIRED only if its signature is valid', async () => {
    const claims = gate.claims({ exp: gate.clock.seconds - 3600 });
    assertRefused(await gate.ask(makeToken({ alg: 'HS256' }, claims)), EXPIRED, 'right');
    const forged = makeToken({ alg: 'HS256' }, claims, hmac('HS256', 'not the secret'));
    assertRefused(await gate.ask(forged), INVALID, 'forged');
  });

  test('headers that name a key (kid, jku, x5u, jwk) are ignored', async (t) => {
    let requests = 0;
    const elsewhere = createServer((_request, response) => {
      requests += 1;
      response.end('{"keys":[]}');
    });
    elsewhere.on('connection', () => {
      requests += 1;
    });
    await new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.1', resolve));
    t.after(() => elsewhere.close());
    const base = `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}`;
    const jwk = { kty: 'oct', alg: 'HS256', k: encode('a key of the attacker, of more than 32 bytes') };
    const headers = [
      { kid: '../../../../etc/passwd' },
      { kid: "x' UNION SELECT 'key' --" },
      { kid: `${base}/kid` },
      { jku: `${base}/jku` },
      { x5u: `${base}/x5u`, x5t: 'x' },
      { jwk },
    ];
    for (const header of headers) {
      const theirs = makeToken(
        { alg: 'HS256', ...header },
        gate.claims(),
        hmac('HS256', Buffer.from(jwk.k, 'base64url')),
      );
      assertRefused(await gate.ask(theirs), INVALID, JSON.stringify(header));
      assert.equal(await gate.verdict(gate.token({}, header)), '200', JSON.stringify(header));
    }
    assert.equal(requests, 0);
  });

  test('a token with critical header parameters (RFC 7515, 4.1.11) is rejected', async () => {
    for (const header of [
      { crit: ['exp'], exp: 1 },
      { crit: ['https://example.com/x'], 'https://example.com/x': true },
      { crit: [] },
      { crit: 'b64', b64: true },
      { crit: ['b64'], b64: false },
    ]) {
      assertRefused(await gate.ask(gate.token({}, header)), INVALID, JSON.stringify(header));
    }
  });

  test('a rejected token causes no database query', async () => {
    const before = gate.databaseUses;
    for (const token of ['x', gate.token({ sub: '' }), gate.token({ exp: 1 }), makeToken({ alg: 'none' }, {})]) {
      for (const [method, url] of [
        ['GET', '/api/tasks'],
        ['POST', '/api/tasks'],
        ['DELETE', '/api/tasks/00000000-0000-4000-8000-000000000000'],
        ['POST', '/api/batch'],
        ['GET', '/api/changes'],
        ['GET', '/api/events'],
      ] as const) {
        const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
        const payload = method === 'POST' ? { payload: '{"title":"x"}' } : {};
        const answer = await gate.service.app.inject({ method, url, headers, ...payload });
        assert.equal(answer.statusCode, 401);
      }
    }
    assert.equal(gate.databaseUses, before);
    assert.equal(await gate.verdict(gate.token()), '200');
    assert.equal(gate.databaseUses, before + 1);
  });

  test('a valid token over 8 KiB is 401, and headers over 16 KiB are 431', async () => {
    const port = await listen(gate.service.app);
    const ask = async (size: number) => {
      const spare = size - gate.token({ note: '' }).length;
      const token = gate.token({ note: 'x'.repeat(Math.floor((spare * 3) / 4)) });
      assert.ok(Math.abs(token.length - size) <= 2, `${token.length}`);
      const headers = { Connection: 'close', Authorization: `Bearer ${token}` };
      const [answer] = await exchange(port, wire('GET', '/api/tasks', headers));
      return answer ?? assert.fail('no response');
    };
    assert.equal((await ask(8_180)).statusCode, 200);
    for (const size of [8_200, 12_000, 16_000]) assertRefused(await ask(size), INVALID, `${size}`);
    assertError(await ask(17_000), 431, 'HEADERS_TOO_LARGE', 'Request headers are too large');
  });
});

describe('why a token is refused', () => {
  const reasonsBy = async (environment: 'development' | 'production') => {
    const gate = await Gate.open({ environment, issuer: ['https://auth.example.com'] });
    const iss = { iss: 'https://auth.example.com' };
    const expired = gate.token({ ...iss, exp: gate.clock.seconds - 60 });
    const forged = makeToken({ alg: 'HS256' }, gate.claims(iss), hmac('HS256', 'another secret'));
    const tokens = [forged, expired, gate.token(), gate.token({ iss: 'x' }), gate.token({ ...iss, sub: 7 }), '"x"'];
    const answers = [];
    for (const token of tokens) answers.push({ token, answer: await gate.ask(token) });
    const bare = await gate.get('/api/tasks');
    await gate.close();
    return { answers, bare };
  };

  test('is said in development, in body and WWW-Authenticate (RFC 6750, section 3), without the token', async () => {
    const { answers, bare } = await reasonsBy('development');
    const described = answers.map(({ token, answer }) => {
      const { error, details } = answer.json<{
        error: string;
        details: readonly { field: string; message: string }[];
      }>();
      const [{ field = '', message = '' } = {}, ...more] = details;
      assert.deepEqual([answer.statusCode, field, more.length], [401, 'authorization', 0]);
      const challenge = `Bearer error="invalid_token", error_description="${message}"`;
      assert.equal(answer.headers['www-authenticate'], challenge);
      assert.match(message, /^[\x20\x21\x23-\x5b\x5d-\x7e]+$/);
      const parts = token.split('.').filter(({ length }) => length > 3);
      for (const part of parts) assert.ok(!JSON.stringify([answer.body, answer.headers]).includes(part));
      assert.match(error, /^Authentication token (is invalid|has expired)$/);
      return message.split(':')[0];
    });
    assert.deepEqual(described, ['signature', 'exp', 'iss missing', 'iss', 'sub', 'malformed']);
    assert.equal(bare.headers['www-authenticate'], 'Bearer'); // RFC 6750, 3.1: no error where there was no token
  });

  test('is not said in production', async () => {
    const { answers, bare } = await reasonsBy('production');
    for (const [index, { answer }] of answers.entries())
      assertRefused(answer, index === 1 ? EXPIRED : INVALID, `${index}`);
    assertRefused(bare, UNAUTHORIZED, 'no token');
  });
});

describe('the algorithm of the shared secret', () => {
  for (const algorithm of HMAC_NAMES) {
    for (const length of [64, 300]) {
      test(`${algorithm} with a secret of ${length} bytes accepts ${algorithm} and no other`, async () => {
        const secret = Buffer.alloc(length, 'a secret, ');
        const gate = await Gate.open({ tokenKeys: { kind: 'secret', secret, algorithm } });
        for (const alg of HMAC_NAMES) {
          const verdict = await gate.verdict(makeToken({ alg }, gate.claims(), hmac(alg, secret)));
          assert.equal(verdict, alg === algorithm ? '200' : '401 INVALID_TOKEN', alg);
          if (alg === algorithm) continue;
          const mislabelled = makeToken({ alg }, gate.claims(), hmac(algorithm, secret));
          assert.equal(await gate.verdict(mislabelled), '401 INVALID_TOKEN', `${alg}, signed by ${algorithm}`);
        }
        await gate.close();
      });
    }
  }
});
