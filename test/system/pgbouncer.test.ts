import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { findPgbouncer, Pooler } from '../support/pooler.ts';
import { skipUnless } from '../support/requirements.ts';
import {
  createPostgresDatabase,
  openPostgresAt,
  POSTGRES_URL,
  type Service,
  startService,
} from '../support/service.ts';
import { runAs } from '../support/statements.ts';

const PGBOUNCER = findPgbouncer();
const skip =
  skipUnless(PGBOUNCER !== null, 'PGBOUNCER', 'pgbouncer is not installed') ||
  skipUnless(POSTGRES_URL !== null, 'POSTGRES', 'TEST_DATABASE_URL is not set');

describe('behind PgBouncer in transaction mode', { skip }, () => {
  let pooler: Pooler;
  let service: Service;
  let drop: () => Promise<void>;

  before(async () => {
    if (PGBOUNCER === null || POSTGRES_URL === null) return;
    const created = await createPostgresDatabase(POSTGRES_URL);
    drop = created.remove;
    pooler = await Pooler.create(PGBOUNCER, new URL(created.url));
    service = await startService(await openPostgresAt(pooler.url, { connections: 8 }));
  });
  after(async () => {
    await service?.close();
    await pooler?.remove();
    await drop?.();
  });

  test('30 concurrent users see their own tasks only', async () => {
    const people = await Promise.all(Array.from({ length: 30 }, () => service.person()));
    for (let round = 0; round < 5; round += 1) {
      await Promise.all(people.map((person) => person.create(`${round} of ${person.sub}`)));
      const lists = await Promise.all(people.map((person) => person.list()));
      for (const [index, tasks] of lists.entries()) {
        assert.equal(tasks.length, round + 1);
        assert.ok(tasks.every((task) => task.user_id === people[index]?.sub));
      }
    }
  });

  test('concurrent writes succeed, whether or not the pooler supports prepared statements', async () => {
    const person = await service.person();
    for (let round = 0; round < 8; round += 1) await Promise.all(Array.from({ length: 50 }, () => person.create('x')));
    assert.equal((await person.list()).length, 400);
  });

  test('no identity remains on a server connection, also after errors', async () => {
    const { database } = service.opened;
    const probe = "select current_user, current_setting('app.user_id', true), 1 / $1::int";
    const outcomes = await Promise.allSettled(
      Array.from({ length: 90 }, (_, index) => runAs(database, `u${index}`, probe, [index % 3 === 0 ? '0' : '1'])),
    );
    for (const [index, outcome] of outcomes.entries()) {
      if (index % 3 === 0) assert.equal(outcome.status, 'rejected');
      else assert.deepEqual(outcome.status === 'fulfilled' && outcome.value, [['todo_app', `u${index}`, '1']]);
    }
  });

  test('a pooler without prepared statements causes one warning at most', () => {
    const { warnings } = service.opened;
    for (const warning of warnings) assert.match(warning, /prepared statement was lost/);
    assert.ok(warnings.length <= 1);
  });

  test('the service reconnects to a restarted pooler', async () => {
    const person = await service.person();
    await person.create('before');
    await pooler.stop();
    const waiting = person.send('GET', '/api/tasks');
    await pooler.start();
    assert.ok([200, 500].includes((await waiting).statusCode));
    while ((await person.send('GET', '/api/tasks')).statusCode !== 200);
    assert.equal((await person.list()).length, 1);
  });
});
