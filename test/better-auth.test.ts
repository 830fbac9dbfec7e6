import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, test } from 'node:test';
import { decodeProtectedHeader, SignJWT } from 'jose';
import { loadConfig } from '../dist/config.js';
import { BetterAuthServer } from './support/better-auth.ts';
import { onEachDatabase, Person, type ServiceOptions, type Task } from './support/service.ts';

/** The token settings that these environment variables configure. */
function tokenSettings(environment: Record<string, string>): NonNullable<ServiceOptions['config']> {
  const { tokenKeys, issuer, audience } = loadConfig(environment);
  if (tokenKeys.kind === 'development') throw new Error('No token keys are configured');
  return { tokenKeys, issuer, audience };
}

const withoutTime = (task: Task) => ({ ...task, updated_at: '' });

/** A day with a todo list: the whole life of a task, seen by its owner and by nobody else. */
async function livesWithTasks(person: Person, other: Person): Promise<void> {
  assert.deepEqual(await person.list(), []);
  const milk = await person.create('Buy oat milk', { description: 'two litres' });
  const bread = await person.create('Bake bread');
  assert.equal(milk.user_id, person.sub);
  assert.deepEqual(await person.list(), [bread, milk]);

  const toggled = await person.send('POST', `/api/tasks/${milk.id}/toggle`);
  assert.equal(toggled.statusCode, 200);
  assert.deepEqual(withoutTime(toggled.json<Task>()), withoutTime({ ...milk, is_completed: true }));
  const renamed = await person.send('PUT', `/api/tasks/${bread.id}`, { title: 'Buy bread' });
  assert.equal(renamed.json<Task>().title, 'Buy bread');

  assert.ok((await other.list()).every((task) => task.user_id === other.sub));
  for (const [method, path] of [
    ['GET', ''],
    ['DELETE', ''],
    ['POST', '/toggle'],
  ] as const) {
    const answer = await other.send(method, `/api/tasks/${milk.id}${path}`);
    assert.equal(answer.statusCode, 404);
    assert.equal(answer.body, '{"error":"Task not found","code":"NOT_FOUND"}');
  }

  const deleted = await person.send('DELETE', `/api/tasks/${milk.id}`);
  assert.deepEqual(deleted.json(), { message: 'Task deleted successfully', id: milk.id });
  assert.deepEqual(
    (await person.list()).map((task) => task.title),
    ['Buy bread'],
  );
}

const issuer = await BetterAuthServer.start();
after(() => issuer.close());

onEachDatabase(
  'people who signed up with Better Auth',
  (service) => {
    test('work on their own tasks, each with the token of /api/auth/token', async () => {
      const signUp = async () => {
        const { id, token } = await issuer.signUp(`${randomBytes(6).toString('hex')}@example.com`);
        return new Person(service().app, id, token);
      };
      const [ann, bob] = await Promise.all([signUp(), signUp()]);
      assert.equal(decodeProtectedHeader(ann.token).alg, 'EdDSA');
      assert.notEqual(ann.sub, bob.sub);
      await livesWithTasks(ann, bob);
      await livesWithTasks(bob, ann);
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

onEachDatabase(
  'people for whom a Next.js server signs with the shared secret',
  (service) => {
    test('work on their own tasks', async () => {
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
      await livesWithTasks(ann, bob);
      await livesWithTasks(bob, ann);
    });
  },
  { config: tokenSettings({ BETTER_AUTH_SECRET }) },
);
