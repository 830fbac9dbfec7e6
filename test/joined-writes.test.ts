import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import type { LightMyRequestResponse } from 'fastify';
import pg from 'pg';
import { onPostgres, type Person, type Service, startService, type Task } from './support/service.ts';

const IN_PROGRESS = 8;
const keyed = (key: string) => ({ 'idempotency-key': key });
const statusesOf = (answers: readonly LightMyRequestResponse[]) => answers.map(({ statusCode }) => statusCode);

onPostgres('writes of one user at the same time', () => {
  let service: Service;
  let admin: pg.Client;
  before(async () => {
    service = await startService('postgres');
    admin = new pg.Client(service.opened.place);
    await admin.connect();
  });
  after(async () => {
    await admin.end();
    await service.close();
  });

  const inProgress = async () => {
    const { body } = await service.app.inject({ url: '/metrics' });
    return Number(/^http_user_requests_in_progress (\d+)$/m.exec(body)?.[1]);
  };

  /** Runs `send` while the user's row is locked, until all requests wait: the first in the database, the others here. */
  async function behindALock<Result>({ sub }: Person, send: () => readonly Promise<Result>[]): Promise<Result[]> {
    await admin.query('begin');
    await admin.query('select from todo.users where id = $1 for update', [sub]);
    const sent = send();
    const isBlocked = async () => {
      const { rows } = await admin.query(
        `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
      );
      return rows.length > 0;
    };
    while ((await inProgress()) < sent.length || !(await isBlocked()));
    await admin.query('commit');
    return Promise.all(sent);
  }

  const transactionsOf = async ({ sub }: Person) => {
    const sql = 'select count(distinct xmin::text)::int as count from todo.tasks where user_id = $1 and title like $2';
    const { rows } = await admin.query<{ count: number }>(sql, [sub, 'at once%']);
    return rows[0]?.count;
  };

  test('those that wait for the first are committed together, in order and each with its own answer', async () => {
    const person = await service.person();
    await person.create('before');
    const titles = Array.from({ length: IN_PROGRESS }, (_, index) => `at once ${index}`);
    const answers = await behindALock(person, () =>
      titles.map((title) => person.send('POST', '/api/tasks', { title })),
    );
    assert.deepEqual([...new Set(statusesOf(answers))], [201]);
    const tasks = answers.map((answer) => answer.json<Task>());
    assert.deepEqual(
      tasks.map(({ title, version }) => [title, version]),
      titles.map((title, index) => [title, index + 2]),
    );
    assert.equal(await transactionsOf(person), 2);
  });

  test('one that fails leaves the others alone', async () => {
    const person = await service.person();
    const task = await person.create('task');
    const key = keyed(randomUUID());
    const kept = await person.send('POST', '/api/tasks', { title: 'kept' }, key);
    const answers = await behindALock(person, () => [
      person.send('POST', '/api/tasks', { title: 'at once' }),
      person.send('PATCH', `/api/tasks/${task.id}`, { title: 'stale' }, { 'if-match': '"99"' }),
      person.send('POST', '/api/tasks', { title: 'kept' }, key),
      person.send('DELETE', `/api/tasks/${randomUUID()}`),
      person.send('POST', '/api/tasks', { title: 'another' }, key),
      person.send('POST', `/api/tasks/${task.id}/toggle`),
    ]);
    assert.deepEqual(statusesOf(answers), [201, 412, 201, 404, 422, 200]);
    assert.equal(answers[2]?.body, kept.body);
    assert.equal(answers[2]?.headers['idempotency-replayed'], 'true');
    assert.deepEqual((await person.list()).map(({ title }) => title).sort(), ['at once', 'kept', 'task']);
  });
});
