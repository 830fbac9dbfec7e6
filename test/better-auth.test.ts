import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, test } from 'node:test';
import { decodeProtectedHeader, SignJWT } from 'jose';
import { BetterAuthServer } from './support/better-auth.ts';
import { onAnyDatabase, Person } from './support/service.ts';
import { Gate, TestClock, tokenSettings } from './support/tokens.ts';

/** Creates a task as `person`, who alone has access to it. */
async function useTasks(person: Person, other: Person): Promise<void> {
  const task = await person.create('Buy oat milk');
  assert.equal(task.user_id, person.sub);
  assert.deepEqual(await person.list(), [task]);
  assert.ok((await other.list()).every(({ user_id }) => user_id === other.sub));
  assert.equal((await other.send('GET', `/api/tasks/${task.id}`)).statusCode, 404);
}

const settingsOf = ({ base }: BetterAuthServer) =>
  tokenSettings({ JWKS_URL: `${base}/api/auth/jwks`, JWT_ISSUER: base, JWT_AUDIENCE: base });

const issuer = await BetterAuthServer.start();
after(() => issuer.close());

onAnyDatabase(
  'users who signed up with Better Auth',
  (service) => {
    test('have access to their own tasks with the token of /api/auth/token', async () => {
      const signUp = async () => {
        const { id, token } = await issuer.signUp(`${randomBytes(6).toString('hex')}@example.com`);
        return new Person(service().app, id, token);
      };
      const [ann, bob] = await Promise.all([signUp(), signUp()]);
      assert.equal(decodeProtectedHeader(ann.token).alg, 'EdDSA');
      assert.notEqual(ann.sub, bob.sub);
      await useTasks(ann, bob);
      await useTasks(bob, ann);
    });
  },
  { config: settingsOf(issuer) },
);

/** A clock that begins with the present time: that of Better Auth cannot be set. */
function presentClock(): TestClock {
  const clock = new TestClock();
  clock.nowMs = Date.now();
  return clock;
}

for (const alg of ['EdDSA', 'ES256', 'ES512', 'PS256', 'RS256'] as const) {
  test(`tokens that Better Auth signs with ${alg} are accepted, and those of its next key at once`, async (t) => {
    const server = await BetterAuthServer.start({ jwks: { keyPairConfig: { alg } } });
    t.after(() => server.close());
    const gate = await Gate.open(settingsOf(server), presentClock());
    t.after(() => gate.close());
    const verdictOf = async (token: string) => [decodeProtectedHeader(token).alg, await gate.verdict(token)];
    const ann = await server.signUp('ann@example.com');
    assert.deepEqual(await verdictOf(ann.token), [alg, '200']);
    server.rotateKeys();
    const bob = await server.signUp('bob@example.com');
    assert.notEqual(decodeProtectedHeader(bob.token).kid, decodeProtectedHeader(ann.token).kid);
    gate.clock.advance(1);
    assert.deepEqual(await verdictOf(bob.token), [alg, '200']);
    assert.deepEqual(await verdictOf(ann.token), [alg, '200']);
  });
}

const BETTER_AUTH_SECRET = randomBytes(32).toString('base64');

onAnyDatabase(
  'users whose tokens a Next.js server signs with the shared secret',
  (service) => {
    test('have access to their own tasks', async () => {
      const signIn = async () => {
        const id = randomBytes(24).toString('base64url'); // 32 characters, as Better Auth makes them
        const token = await new SignJWT({ email: `${id}@example.com`, name: 'Some Body' })
          .setProtectedHeader({ alg: 'HS256' })
          .setSubject(id)
          .setIssuedAt()
          .setExpirationTime('7d')
          .sign(new TextEncoder().encode(BETTER_AUTH_SECRET));
        return new Person(service().app, id, token);
      };
      const [ann, bob] = await Promise.all([signIn(), signIn()]);
      await useTasks(ann, bob);
      await useTasks(bob, ann);
    });
  },
  { config: tokenSettings({ BETTER_AUTH_SECRET }) },
);
