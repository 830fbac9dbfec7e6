import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, test } from 'node:test';
import { decodeProtectedHeader, SignJWT } from 'jose';
import { loadConfig } from '../dist/config.js';
import { BetterAuthServer } from './support/better-auth.ts';
import { onAnyDatabase, Person, type ServiceOptions } from './support/service.ts';

/** The token settings that these environment variables configure. */
function tokenSettings(environment: Record<string, string>): NonNullable<ServiceOptions['config']> {
  const { tokenKeys, issuer, audience } = loadConfig(environment);
  if (tokenKeys.kind === 'development') throw new Error('No token keys are configured');
  return { tokenKeys, issuer, audience };
}

/** Creates a task as `person`, who alone has access to it. */
async function useTasks(person: Person, other: Person): Promise<void> {
  const task = await person.create('Buy oat milk');
  assert.equal(task.user_id, person.sub);
  assert.deepEqual(await person.list(), [task]);
  assert.ok((await other.list()).every(({ user_id }) => user_id === other.sub));
  assert.equal((await other.send('GET', `/api/tasks/${task.id}`)).statusCode, 404);
}

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
  {
    config: tokenSettings({
      JWKS_URL: `${issuer.base}/api/auth/jwks`,
      JWT_ISSUER: issuer.base,
      JWT_AUDIENCE: issuer.base,
    }),
  },
);

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
