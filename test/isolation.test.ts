import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createList, listsOf } from './support/lists.ts';
import { onEachDatabase, type Person } from './support/service.ts';
import { runAs } from './support/statements.ts';

const MISSING = '0199d3a4-7c1e-7b52-9d0f-3a2b1c4d5e6f';

/** A request of each kind for one task. */
const ONE_TASK = [
  { method: 'GET', path: '', body: undefined },
  { method: 'HEAD', path: '', body: undefined },
  { method: 'PUT', path: '', body: { title: 'mine now' } },
  { method: 'PATCH', path: '', body: { is_completed: true, description: 'mine now' } },
  { method: 'POST', path: '/toggle', body: undefined },
  { method: 'POST', path: '/restore', body: undefined },
  { method: 'DELETE', path: '', body: undefined },
  { method: 'DELETE', path: '?permanent=true', body: undefined },
] as const;

/** The response, without the headers that differ between any two requests. */
async function respond(person: Person, method: string, url: string, body?: object) {
  const answer = await person.send(method, url, body);
  const { date: _date, 'x-request-id': _id, ...headers } = answer.headers;
  return { status: answer.statusCode, headers, body: answer.body };
}

onEachDatabase('isolation', (service) => {
  test('the response for another user’s task is byte for byte the one for a task that does not exist', async () => {
    const owner = await service().person();
    const other = await service().person();
    await other.create('of the other user');
    const task = await owner.create('private', { description: 'very' });
    const gone = await owner.create('gone');
    await owner.send('DELETE', `/api/tasks/${gone.id}?permanent=true`);
    const deleted = await owner.create('deleted');
    await owner.send('DELETE', `/api/tasks/${deleted.id}`);
    for (const { method, path, body } of ONE_TASK) {
      const missing = await respond(other, method, `/api/tasks/${MISSING}${path}`, body);
      assert.equal(missing.status, 404);
      for (const id of [task.id, task.id.toUpperCase(), gone.id, deleted.id]) {
        assert.deepEqual(await respond(other, method, `/api/tasks/${id}${path}`, body), missing);
      }
      assert.deepEqual(await respond(owner, method, `/api/tasks/${gone.id}${path}`, body), missing);
    }
    assert.deepEqual(await owner.list(), [task]);
    assert.deepEqual(
      (await other.list()).map(({ title }) => title),
      ['of the other user'],
    );
    assert.equal((await other.send('GET', '/api/tasks?deleted=true')).body, '{"tasks":[]}');
    assert.equal((await owner.send('POST', `/api/tasks/${deleted.id}/restore`)).statusCode, 200);
  });

  test('subs that differ in case, in one byte or in a space are different users', async () => {
    const names = ['Ann', 'ann', 'ANN', 'ann ', ' ann', 'änn', 'a\u0308nn', "ann' or '1'='1", 'ann;--', '%', '_'];
    const unique = `${Date.now()}-${Math.random()}`;
    const people = await Promise.all(
      names.map((name) => service().person(`${name}${unique}`, { email: 'same@example.com' })),
    );
    for (const person of people) await person.create(person.sub.slice(0, 100).trim());
    for (const person of people) {
      const tasks = await person.list();
      assert.deepEqual(
        tasks.map((task) => task.user_id),
        [person.sub],
      );
    }
  });

  test('without the owner in the statement, row-level security still hides and protects foreign rows', async () => {
    const owner = await service().person();
    const other = await service().person();
    const task = await owner.create('guarded');
    const mine = await other.create('own');
    for (const person of [owner, other]) {
      await person.send('POST', `/api/tasks/${MISSING}/toggle`, undefined, { 'idempotency-key': 'one' });
    }
    const { database } = service().opened;
    const as = (sub: string, text: string) => runAs(database, sub, text);
    assert.deepEqual(await as(other.sub, 'select id from todo.tasks'), [[mine.id]]);
    assert.deepEqual(await as(other.sub, 'select id from todo.users'), [[other.sub]]);
    assert.deepEqual(await as(other.sub, `update todo.tasks set title = 'x' where id = '${task.id}' returning id`), []);
    assert.deepEqual(await as(other.sub, 'select user_id from todo.replies'), [[other.sub]]);
    assert.deepEqual(
      await as(other.sub, `update todo.replies set kind = 'x' where user_id = '${owner.sub}' returning key`),
      [],
    );
    await assert.rejects(
      as(
        other.sub,
        `insert into todo.replies (user_id, key, part, request, kind) values ('${owner.sub}', 'two', 0, 'x', 'missing')`,
      ),
    );
    for (const table of ['tasks', 'lists', 'replies']) {
      const deleted = await as(
        other.sub,
        `delete from todo.${table} where user_id <> '${other.sub}' returning user_id`,
      );
      assert.deepEqual(deleted, []);
    }
    await assert.rejects(as(other.sub, 'delete from todo.users'));
    await assert.rejects(
      as(other.sub, `insert into todo.tasks (user_id, id, title) values ('${owner.sub}', '${MISSING}', 'x')`),
    );
    await assert.rejects(as(other.sub, `update todo.tasks set user_id = '${owner.sub}' where id = '${mine.id}'`));
    const list = await createList(owner, 'guarded');
    const own = await createList(other, 'own');
    assert.deepEqual(await as(other.sub, 'select id from todo.lists'), [[own.id]]);
    assert.deepEqual(await as(other.sub, `update todo.lists set name = 'x' where id = '${list.id}' returning id`), []);
    await assert.rejects(
      as(
        other.sub,
        `insert into todo.lists (user_id, id, name, position) values ('${owner.sub}', '${MISSING}', 'x', 'a0')`,
      ),
    );
    await assert.rejects(as(other.sub, `update todo.lists set user_id = '${owner.sub}' where id = '${own.id}'`));
    assert.deepEqual(await listsOf(owner), [list]);
    await assert.rejects(as(other.sub, 'alter table todo.tasks disable row level security'));
    await assert.rejects(as(other.sub, 'drop policy owner_only on todo.tasks'));
    assert.deepEqual(await as('stranger', 'select id from todo.tasks'), []);
    assert.deepEqual(await owner.list(), [task]);
  });

  test('a failed transaction leaves no identity on its connection', async () => {
    const owner = await service().person();
    await owner.create('guarded');
    const { database } = service().opened;
    const probe = "select current_user, current_setting('app.user_id', true), 1/$1::int";
    const sum = (sub: string, divisor: string) => runAs(database, sub, probe, [divisor]);
    const outcomes = await Promise.allSettled(
      Array.from({ length: 60 }, (_, index) => sum(`user-${index}`, index % 3 === 0 ? '0' : '1')),
    );
    for (const [index, outcome] of outcomes.entries()) {
      if (index % 3 === 0) assert.equal(outcome.status, 'rejected');
      else assert.deepEqual(outcome.status === 'fulfilled' && outcome.value, [['todo_app', `user-${index}`, '1']]);
    }
  });
});
