import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { onAnyDatabase, type Service } from './support/service.ts';
import { runAs } from './support/statements.ts';

/** The stored email of user `sub`, as a list of one; empty if the user has no row. */
async function emailsOf({ opened }: Service, sub: string): Promise<(string | null)[]> {
  const rows = await runAs(opened.database, sub, 'select email from todo.users where id = $1', [sub]);
  return rows.map(([email]) => email ?? null);
}

onAnyDatabase('the user of a token', (service) => {
  test('users with the same email, in any case, are different users', async () => {
    const [ann, bob, cem] = await Promise.all([
      service().person(undefined, { email: 'shared@example.com' }),
      service().person(undefined, { email: 'shared@example.com' }),
      service().person(undefined, { email: 'SHARED@example.com' }),
    ]);
    await Promise.all([ann, bob, cem].map((person) => person.create(`of ${person.sub}`)));
    for (const person of [ann, bob, cem]) {
      assert.deepEqual(
        (await person.list()).map((task) => task.title),
        [`of ${person.sub}`],
      );
    }
    assert.deepEqual(await emailsOf(service(), bob.sub), ['shared@example.com']);
    assert.deepEqual(await emailsOf(service(), cem.sub), ['SHARED@example.com']);
  });

  test('the first write creates the user’s row, also when 20 are concurrent', async () => {
    const person = await service().person(undefined, { email: 'new@example.com' });
    assert.deepEqual(await person.list(), []);
    assert.deepEqual(await emailsOf(service(), person.sub), []);
    await Promise.all(Array.from({ length: 20 }, (_, index) => person.create(`${index}`)));
    assert.equal((await person.list()).length, 20);
    assert.deepEqual(await emailsOf(service(), person.sub), ['new@example.com']);
  });

  test('a later token with another email updates it, and one without an email does not', async () => {
    const { sub } = await service().person();
    const write = async (claims: { email?: unknown }) => (await service().person(sub, claims)).create('task');
    await write({});
    assert.deepEqual(await emailsOf(service(), sub), [null]);
    await write({ email: 'first@example.com' });
    assert.deepEqual(await emailsOf(service(), sub), ['first@example.com']);
    await write({ email: 'Second@example.com' });
    assert.deepEqual(await emailsOf(service(), sub), ['Second@example.com']);
    await write({});
    assert.deepEqual(await emailsOf(service(), sub), ['Second@example.com']);
    assert.equal((await (await service().person(sub)).list()).length, 4);
  });

  test('an email that cannot be stored is ignored', async () => {
    for (const email of [
      '',
      'x\0@example.com',
      '\ud800@example.com',
      `${'x'.repeat(400)}@example.com`,
      7,
      null,
      ['a'],
    ]) {
      const person = await service().person(undefined, { email });
      await person.create('task');
      assert.deepEqual(await emailsOf(service(), person.sub), [null], JSON.stringify(email));
    }
  });

  test('a sub of 255 characters, in any script, owns its tasks and is returned unchanged', async () => {
    for (const character of ['a', '漢', '🦊', '\u{10ffff}']) {
      const person = await service().person(`${character.repeat(247)}${randomBytes(4).toString('hex')}`);
      assert.equal((await person.create('mine')).user_id, person.sub);
      assert.deepEqual(
        (await person.list()).map((task) => task.user_id),
        [person.sub],
      );
    }
  });
});
