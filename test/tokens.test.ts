import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import type { LightMyRequestResponse } from 'fastify';
import { SECRET } from './support/service.ts';
import { encode, Gate, HMAC_NAMES, hmac, makeToken } from './support/tokens.ts';

const UNAUTHORIZED = '{"error":"Invalid or missing authentication token","code":"UNAUTHORIZED"}';
const INVALID = '{"error":"Authentication token is invalid","code":"INVALID_TOKEN"}';
const EXPIRED = '{"error":"Authentication token has expired","code":"TOKEN_EXPIRED"}';

function assertRefused(answer: LightMyRequestResponse, body: string, about: string): void {
  assert.equal(answer.statusCode, 401, about);
  assert.equal(answer.body, body, about);
  const challenge = body === UNAUTHORIZED ? 'Bearer' : 'Bearer error="invalid_token"';
  assert.equal(answer.headers['www-authenticate'], challenge, about);
  assert.equal(answer.headers['content-type'], 'application/json; charset=utf-8', about);
}

/** Sends bytes to a real port and reads the answer until the other side closes. */
function exchange(port: number, request: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.write(request);
  return text(socket);
}

describe('tokens', () => {
  let gate: Gate;
  before(async () => {
    gate = await Gate.open();
  });
  after(() => gate.close());

  test('a good token is let in, however the scheme and its spaces are written', async () => {
    const token = gate.token();
    for (const authorization of [`Bearer ${token}`, `bearer ${token}`, `BEARER   ${token}  `]) {
      const answer = await gate.get('/api/tasks', { authorization });
      assert.equal(answer.statusCode, 200, authorization.slice(0, 12));
      assert.equal(answer.headers['www-authenticate'], undefined);
    }
  });

  test('without a usable Authorization header nobody is let in', async () => {
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

  test('every route of tasks asks for a token, before it looks at anything else', async () => {
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
    ] as const) {
      const answer = await gate.service.app.inject({ method, url, payload: method.startsWith('P') ? '{' : '' });
      assert.equal(answer.statusCode, 401, `${method} ${url}`);
      assert.equal(answer.headers['www-authenticate'], 'Bearer', `${method} ${url}`);
    }
  });

  test('what is no signed token is refused', async () => {
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

  test('a token that asks for no signature is refused', async () => {
    const signatures = { empty: () => new Uint8Array(), right: hmac('HS256', SECRET) };
    for (const alg of ['none', 'None', 'nOnE', 'NONE', '', 'hs256', 'HS256 ', null, undefined, ['HS256'], 0]) {
      for (const [about, sign] of Object.entries(signatures)) {
        assertRefused(await gate.ask(makeToken({ alg }, gate.claims(), sign)), INVALID, `${alg} ${about}`);
      }
    }
  });

  test('a token signed with another key is refused: none, part of the secret, a public key', async () => {
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
    for (const key of ['', '\0', SECRET.slice(0, -1), Buffer.from(SECRET).toString('base64'), pem, ` \n${pem}`]) {
      const token = makeToken({ alg: 'HS256' }, gate.claims(), hmac('HS256', key));
      assertRefused(await gate.ask(token), INVALID, `key of ${key.length}`);
    }
  });

  test('an expired token says so only when its signature is right', async () => {
    const claims = gate.claims({ exp: gate.clock.seconds - 3600 });
    assertRefused(await gate.ask(makeToken({ alg: 'HS256' }, claims)), EXPIRED, 'right');
    const forged = makeToken({ alg: 'HS256' }, claims, hmac('HS256', 'not the secret'));
    assertRefused(await gate.ask(forged), INVALID, 'forged');
  });

  test('headers that name a key are neither followed nor in the way', async () => {
    let asked = 0;
    const elsewhere = createServer((_request, response) => {
      asked += 1;
      response.end('{"keys":[]}');
    });
    elsewhere.on('connection', () => {
      asked += 1;
    });
    await new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.1', resolve));
    const base = `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}`;
    const jwk = { kty: 'oct', alg: 'HS256', k: encode('a key of the attacker, long enough to be one') };
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
    await new Promise((resolve) => elsewhere.close(resolve));
    assert.equal(asked, 0);
  });

  test('a token whose header demands what is not understood is refused', async () => {
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

  test('the database is not asked about anybody who is not let in', async () => {
    const before = gate.databaseUses;
    for (const token of ['x', gate.token({ sub: '' }), gate.token({ exp: 1 }), makeToken({ alg: 'none' }, {})]) {
      for (const [method, url] of [
        ['GET', '/api/tasks'],
        ['POST', '/api/tasks'],
        ['DELETE', '/api/tasks/00000000-0000-4000-8000-000000000000'],
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

  test('a good token far longer than any issuer makes is refused, and headers over 16 KiB altogether', async () => {
    const address = await gate.service.app.listen({ port: 0, host: '127.0.0.1' });
    const port = Number(new URL(address).port);
    const ask = (size: number) => {
      const spare = size - gate.token({ note: '' }).length;
      const token = gate.token({ note: 'x'.repeat(Math.floor((spare * 3) / 4)) });
      assert.ok(Math.abs(token.length - size) <= 2, `${token.length}`);
      return exchange(
        port,
        `GET /api/tasks HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer ${token}\r\n\r\n`,
      );
    };
    assert.match(await ask(8_180), /^HTTP\/1\.1 200 /);
    for (const size of [8_200, 12_000, 16_000]) {
      const answer = await ask(size);
      assert.match(answer, /^HTTP\/1\.1 401 /);
      assert.ok(answer.endsWith(INVALID), answer);
      assert.match(answer, /\r\nwww-authenticate: Bearer error="invalid_token"\r\n/i);
    }
    const answer = await ask(17_000);
    assert.match(answer, /^HTTP\/1\.1 431 /);
    assert.ok(answer.endsWith('{"error":"Request headers are too large","code":"HEADERS_TOO_LARGE"}'), answer);
  });
});

describe('the algorithm of the shared secret', () => {
  for (const algorithm of HMAC_NAMES) {
    for (const length of [32, 64, 300]) {
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
