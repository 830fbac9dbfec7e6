import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { assertError } from '../support/envelope.ts';
import { findPostgres, PostgresServer } from '../support/postgres-server.ts';
import { skipUnless } from '../support/requirements.ts';
import {
  asAdmin,
  createPostgresDatabase,
  openPostgresAt,
  type Person,
  type Service,
  startService,
} from '../support/service.ts';

const programs = findPostgres(process.env.TEST_POSTGRES_BIN);
const skip = skipUnless(programs !== null, 'POSTGRES', 'no PostgreSQL programs (TEST_POSTGRES_BIN)');

describe('a PostgreSQL server whose synchronous standby is down', { skip }, () => {
  let server: PostgresServer;
  let service: Service;
  let person: Person;
  before(async () => {
    assert.ok(programs);
    server = await PostgresServer.create(programs, ['synchronous_standby_names=absent', 'synchronous_commit=local']);
    const { url } = await createPostgresDatabase(server.url());
    await (await openPostgresAt(url)).remove();
    await asAdmin(server.url(), `alter database ${new URL(url).pathname.slice(1)} set synchronous_commit = on`);
    service = await startService(await openPostgresAt(url));
    person = await service.person();
  });
  after(async () => {
    await service?.close();
    await server?.remove();
  });

  for (const end of ['pg_cancel_backend', 'pg_terminate_backend'] as const) {
    test(`a write that an administrator keeps from waiting for it (${end}) is 500, though it is stored here`, async () => {
      const writing = person.send('POST', '/api/tasks', { title: end });
      const endWaiting = `select ${end}(pid) from pg_stat_activity where wait_event = 'SyncRep'`;
      while ((await asAdmin(server.url(), endWaiting)).rowCount === 0) await delay(10);
      const answer = await writing;
      assertError(answer, 500, 'DATABASE_ERROR', 'A database error occurred');
      assert.deepEqual(
        (await person.list()).filter(({ title }) => title === end).map(({ user_id }) => user_id),
        [person.sub],
      );
    });
  }
});
