import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Gate, hmac, makeToken } from './support/tokens.ts';

const INVALID = '401 INVALID_TOKEN';
const EXPIRED = '401 TOKEN_EXPIRED';

describe('claims', () => {
  let gate: Gate;
  before(async () => {
    gate = await Gate.open();
  });
  after(() => gate.close());

  const expectVerdict = async (claims: Record<string, unknown>, verdict: string) =>
    assert.equal(await gate.verdict(gate.token(claims)), verdict, JSON.stringify(claims).slice(0, 80));

  test('exp is required and must be a number', async () => {
    for (const exp of [undefined, null, '4102444800', '', true, [4102444800], {}])
      await expectVerdict({ exp }, INVALID);
  });

  test('a token is accepted until 30 s after its exp', async () => {
    const now = gate.clock.seconds;
    for (const exp of [now + 1, now + 0.25, now, now - 1, now - 29, now - 29.75]) await expectVerdict({ exp }, '200');
    for (const exp of [now - 30, now - 30.25, now - 31, now - 86_400, 1, 0, -1, -1e20])
      await expectVerdict({ exp }, EXPIRED);
  });

  test('nbf and iat may be up to 30 s in the future', async () => {
    const now = gate.clock.seconds;
    for (const claim of ['nbf', 'iat']) {
      for (const value of [now + 30, now + 29.75, now + 29, now, 0, -1]) await expectVerdict({ [claim]: value }, '200');
      for (const value of [now + 30.25, now + 31, now + 3600, 1e300]) await expectVerdict({ [claim]: value }, INVALID);
      for (const value of [null, '0', `${now}`, true, [now], {}]) await expectVerdict({ [claim]: value }, INVALID);
      await expectVerdict({ [claim]: undefined }, '200');
    }
  });

  test('a token is accepted from its nbf on, and a cached one is rejected after its exp', async () => {
    const mine = await Gate.open();
    const token = mine.token({ nbf: mine.clock.seconds + 90, exp: mine.clock.seconds + 600 });
    assert.equal(await mine.verdict(token), INVALID);
    mine.clock.advance(60);
    for (const _time of [1, 2, 3]) assert.equal(await mine.verdict(token), '200');
    mine.clock.advance(539);
    assert.equal(await mine.verdict(token), '200');
    mine.clock.advance(30);
    assert.equal(await mine.verdict(token), '200', '29 s after its exp');
    mine.clock.advance(1);
    assert.equal(await mine.verdict(token), EXPIRED);
    assert.equal(await mine.verdict(token), EXPIRED);
    await mine.close();
  });

  test('sub is required and must be a non-empty string that can be stored', async () => {
    for (const sub of [undefined, null, '', 0, 7, true, {}, { id: 'x' }, [], ['x']])
      await expectVerdict({ sub }, INVALID);
    for (const sub of ['x\0y', '\0', '\ud800', 'x\udfffy', '\udc00\ud800']) await expectVerdict({ sub }, INVALID);
  });

  test('sub has at most 255 code points', async () => {
    for (const character of ['a', 'é', '漢', '🦊', '\u{10ffff}']) {
      await expectVerdict({ sub: character.repeat(255) }, '200');
      await expectVerdict({ sub: character.repeat(256) }, INVALID);
    }
    for (const sub of [' ', '0', 'null', "'; drop table users; --", '../..', '\u200b', '👩‍👩‍👧'])
      await expectVerdict({ sub }, '200');
  });

  test('claims that are not a JSON object in UTF-8 are rejected', async () => {
    const claims = JSON.stringify(gate.claims());
    const broken = Buffer.from(claims.replace('somebody', 'some\u00e9body'), 'latin1');
    for (const payload of [`[${claims}]`, JSON.stringify(claims), 'null', '1', 'true', '', '{', `${claims},`, broken]) {
      const verdict = await gate.verdict(makeToken({ alg: 'HS256' }, payload));
      assert.equal(verdict, INVALID, payload.toString());
    }
    assert.equal(await gate.verdict(makeToken({ alg: 'HS256' }, claims)), '200');
  });

  test('unknown claims are ignored', async () => {
    await expectVerdict({ iss: 'anybody', aud: ['x'], jti: 7, role: null, email: 12 }, '200');
    const inherited = JSON.stringify({ exp: gate.claims().exp }).replace('}', ',"__proto__":{"sub":"x"}}');
    assert.equal(await gate.verdict(makeToken({ alg: 'HS256' }, inherited)), INVALID);
  });

  test('the log names why a token is rejected, and contains nothing of the token', async () => {
    const other = gate.claims({ aud: 'elsewhere' });
    const strict = await Gate.open({ audience: ['here'], userClaim: 'uid' });
    const now = gate.clock.seconds;
    for (const [token, reason, by] of [
      [gate.token({ exp: undefined }), 'exp missing', gate],
      [gate.token({ exp: 1 }), 'exp', gate],
      [gate.token({ exp: 'soon' }), 'exp', gate],
      [gate.token({ sub: undefined }), 'sub missing', gate],
      [gate.token({ sub: '' }), 'sub', gate],
      [gate.token({ iat: now + 31 }), 'iat', gate],
      [gate.token({ nbf: now + 31 }), 'nbf', gate],
      [makeToken({ alg: 'HS256' }, gate.claims(), hmac('HS256', 'another secret')), 'signature', gate],
      [makeToken({ alg: 'HS512' }, gate.claims(), hmac('HS512', 'another secret')), 'alg', gate],
      [gate.token({}, { crit: ['x'], x: 1 }), 'crit', gate],
      ['x.y.z', 'malformed', gate],
      [gate.token({ name: 'x'.repeat(8_192) }), 'length', gate],
      [makeToken({ alg: 'HS256' }, { ...other, uid: 'x' }), 'aud', strict],
      [gate.token({ aud: 'here' }), 'uid missing', strict],
      [gate.token({ uid: 'x' }), 'aud missing', strict],
      [gate.token({ aud: 'here', uid: 7 }), 'uid', strict],
    ] as const) {
      const answer = await by.ask(token);
      assert.equal(answer.statusCode, 401);
      assert.equal(by.service.log.lineOf(answer).reason, reason);
      assert.ok(!answer.body.includes('reason'));
      for (const part of token.split('.').filter(({ length }) => length > 1)) {
        assert.ok(!by.service.log.text.includes(part), reason);
      }
    }
    for (const [headers, reason] of [
      [{}, 'authorization missing'],
      [{ authorization: 'Basic eDp5' }, 'authorization'],
    ] as const) {
      assert.equal(gate.service.log.lineOf(await gate.get('/api/tasks', headers)).reason, reason);
    }
    await strict.close();
  });
});

describe('iss and aud', () => {
  let gate: Gate;
  before(async () => {
    gate = await Gate.open({
      issuer: ['https://auth.example.com', 'https://login.example.com/'],
      audience: ['todo', 'todo-app'],
    });
  });
  after(() => gate.close());

  const iss = 'https://auth.example.com';
  const aud = 'todo';

  test('are checked when they are configured: one of each suffices', async () => {
    for (const claims of [
      { iss, aud },
      { iss, aud: ['other', 'todo'] },
      { iss: 'https://login.example.com/', aud: 'todo-app' },
      { iss, aud: ['todo-app', 'todo'] },
    ]) {
      assert.equal(await gate.verdict(gate.token(claims)), '200', JSON.stringify(claims));
    }
    for (const claims of [
      {},
      { iss },
      { aud },
      { iss: 'https://auth.example.com/', aud },
      { iss: 'https://login.example.com', aud },
      { iss: 'https://auth.example.com,https://login.example.com/', aud },
      { iss: 'https://evil.example.com', aud },
      { iss: [iss], aud },
      { iss: null, aud },
      { iss: '', aud },
      { iss, aud: 'todo2' },
      { iss, aud: 'tod' },
      { iss, aud: 'todo,todo-app' },
      { iss, aud: '' },
      { iss, aud: [] },
      { iss, aud: ['other'] },
      { iss, aud: [['todo']] },
      { iss, aud: { todo: true } },
      { iss, aud: null },
    ]) {
      assert.equal(await gate.verdict(gate.token(claims)), INVALID, JSON.stringify(claims));
    }
  });
});

describe('the claim that names the user', () => {
  for (const userClaim of ['user_id', 'uid', 'https://example.com/user', 'email']) {
    test(`may be ${userClaim}`, async () => {
      const gate = await Gate.open({ userClaim });
      const userOf = async (claims: Record<string, unknown>) => {
        const answer = await gate.ask(gate.token(claims));
        return answer.statusCode === 200 ? gate.service.log.lineOf(answer).user_id : answer.statusCode;
      };
      assert.equal(await userOf({ [userClaim]: 'ann' }), 'ann');
      assert.equal(await userOf({ [userClaim]: 'ann', sub: undefined }), 'ann');
      assert.equal(await userOf({ [userClaim]: 'ann', sub: 7 }), 'ann');
      assert.equal(await userOf({ [userClaim]: '漢'.repeat(255) }), '漢'.repeat(255));
      for (const value of [undefined, null, '', 7, 0, 2 ** 53, true, ['ann'], { id: 'ann' }, 'x'.repeat(256), 'a\0b']) {
        assert.equal(await userOf({ [userClaim]: value }), 401, JSON.stringify(value));
      }
      await gate.close();
    });
  }

  test('is a claim of the token itself, not what every object has', async () => {
    for (const userClaim of ['constructor', '__proto__', 'toString']) {
      const gate = await Gate.open({ userClaim });
      assert.equal(await gate.verdict(gate.token()), INVALID, userClaim);
      await gate.close();
    }
  });
});
