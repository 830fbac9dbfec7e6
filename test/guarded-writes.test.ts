import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { onEachDatabase, type Task } from './support/service.ts';

const tag = ({ version }: Task) => `"${version}"`;

onEachDatabase('guarded writes', (service) => {
  test('versions are the numbers of the user’s changes, and every answer about one task carries its own as ETag', async () => {
    const person = await service().person();
    const created = await person.send('POST', '/api/tasks', { title: 'one' });
    const first = created.json<Task>();
    assert.equal(created.headers.etag, '"1"');
    const second = await person.create('two');
    assert.deepEqual([first.version, second.version], [1, 2]);
    for (const [method, path, body] of [
      ['PATCH', '', { title: 'changed' }],
      ['POST', '/toggle', undefined],
      ['GET', '', undefined],
      ['DELETE', '', undefined],
      ['POST', '/restore', undefined],
    ] as const) {
      const answer = await person.send(method, `/api/tasks/${first.id}${path}`, body);
      assert.equal(answer.statusCode, 200, method);
      const expected = { PATCH: 3, POST: path === '/toggle' ? 4 : 6, GET: 4, DELETE: 5 }[method];
      assert.equal(answer.headers.etag, `"${expected}"`, `${method} ${path}`);
    }
    assert.equal((await person.list()).find(({ id }) => id === second.id)?.version, 2);
  });

  test('a write that changes nothing takes no number and leaves updated_at', async () => {
    const person = await service().person();
    const task = await person.create('same', { description: 'same' });
    const answer = await person.send('PUT', `/api/tasks/${task.id}`, { title: ' same ', is_completed: false });
    assert.deepEqual(answer.json(), task);
    assert.equal((await person.create('next')).version, 2);
  });

  test('a stale If-Match is 412 with the present task and its ETag, and changes nothing', async () => {
    const person = await service().person();
    const task = await person.create('first');
    const url = `/api/tasks/${task.id}`;
    const current = (await person.send('PATCH', url, { title: 'second' })).json<Task>();
    for (const [method, path, body] of [
      ['PUT', '', { title: 'third' }],
      ['PATCH', '', { title: 'third' }],
      ['POST', '/toggle', undefined],
      ['DELETE', '', undefined],
    ] as const) {
      const answer = await person.send(method, url + path, body, { 'if-match': tag(task) });
      assert.equal(answer.statusCode, 412, method);
      assert.equal(answer.headers.etag, tag(current));
      const error = { error: 'The task has been changed since', code: 'PRECONDITION_FAILED', current };
      assert.deepEqual(answer.json(), error);
    }
    assert.deepEqual(await person.list(), [current]);
  });

  test('If-Match accepts its tag, a weak one, one of several, and *', async () => {
    const person = await service().person();
    let task = await person.create('0');
    for (const header of [
      (t: Task) => tag(t),
      (t: Task) => `W/${tag(t)}`,
      (t: Task) => `"0", ${tag(t)}`,
      (t: Task) => `"a,b",W/"" ,${tag(t)}`,
      () => '*',
    ]) {
      const sent = { 'if-match': header(task) };
      const answer = await person.send('PATCH', `/api/tasks/${task.id}`, { title: `${task.version}` }, sent);
      assert.equal(answer.statusCode, 200, header(task));
      task = answer.json<Task>();
    }
    assert.equal(task.version, 6);
  });

  test('an If-Match that is no list of tags is 400', async () => {
    const person = await service().person();
    const task = await person.create('x');
    for (const header of ['7', '"7', 'W/7', '"7" "8"', '"7",,', '']) {
      const answer = await person.send('PATCH', `/api/tasks/${task.id}`, { title: 'y' }, { 'if-match': header });
      assert.equal(answer.statusCode, 400, header);
      assert.equal(answer.json<{ code: string }>().code, 'INVALID_REQUEST');
    }
    assert.deepEqual(await person.list(), [task]);
  });

  test('a stale update whose values the task has already is 200: the retry of one whose answer was lost', async () => {
    const person = await service().person();
    const task = await person.create('first');
    const url = `/api/tasks/${task.id}`;
    const written = await person.send('PATCH', url, { title: 'second' }, { 'if-match': tag(task) });
    const again = await person.send('PATCH', url, { title: 'second' }, { 'if-match': tag(task) });
    assert.equal(again.statusCode, 200);
    assert.equal(again.body, written.body);
  });

  test('a task that is gone or foreign is 404 whatever If-Match says', async () => {
    const [person, other] = [await service().person(), await service().person()];
    const gone = await person.create('gone');
    await person.send('DELETE', `/api/tasks/${gone.id}`);
    for (const [who, id] of [
      [person, gone.id],
      [other, (await person.create('mine')).id],
      [person, randomUUID()],
    ] as const) {
      for (const header of ['"1"', '*']) {
        const answer = await who.send('PATCH', `/api/tasks/${id}`, { title: 'x' }, { 'if-match': header });
        assert.equal(answer.statusCode, 404);
        assert.equal(answer.body, '{"error":"Task not found","code":"NOT_FOUND"}');
      }
    }
  });

  test('of concurrent guarded writes one succeeds, and the others are told the present state', async () => {
    const person = await service().person();
    const task = await person.create('contended');
    const all = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        person.send('PATCH', `/api/tasks/${task.id}`, { title: `${index}` }, { 'if-match': tag(task) }),
      ),
    );
    const written = all.filter(({ statusCode }) => statusCode === 200);
    assert.equal(written.length, 1);
    assert.equal(all.filter(({ statusCode }) => statusCode === 412).length, 19);
    assert.deepEqual(await person.list(), [written[0]?.json()]);
  });

  test('PUT with If-None-Match: * creates under the client’s id, which is each user’s own', async () => {
    const [person, other] = [await service().person(), await service().person()];
    const url = `/api/tasks/${randomUUID()}`;
    const create = { 'if-none-match': '*' };
    for (const who of [person, other]) {
      const answer = await who.send('PUT', url, { title: who.sub }, create);
      assert.equal(answer.statusCode, 201);
      assert.equal(answer.headers.location, url);
      assert.equal(answer.headers.etag, '"1"');
      assert.equal(answer.json<Task>().user_id, who.sub);
    }
    const exists = await person.send('PUT', url, { title: 'again' }, create);
    assert.equal(exists.statusCode, 412);
    assert.equal(exists.json<{ current: Task }>().current.title, person.sub);
    await person.send('DELETE', url);
    const deleted = await person.send('PUT', url, { title: 'again' }, create);
    assert.equal(deleted.statusCode, 409);
    assert.deepEqual(deleted.json(), { error: 'A deleted task has this id', code: 'CONFLICT' });
    const untitled = await person.send('PUT', `/api/tasks/${randomUUID()}`, { description: 'x' }, create);
    assert.equal(untitled.statusCode, 400);
    assert.match(untitled.body, /"field":"title"/);
  });

  test('If-None-Match on GET is 304 without a body while nothing has changed', async () => {
    const person = await service().person();
    const task = await person.create('cached');
    const list = await person.send('GET', '/api/tasks');
    const known = { 'if-none-match': String(list.headers.etag) };
    const same = await person.send('GET', '/api/tasks', undefined, known);
    assert.deepEqual([same.statusCode, same.body, same.headers.etag], [304, '', list.headers.etag]);
    const weak = { 'if-none-match': `"other", W/"${task.version}"` };
    const one = await person.send('GET', `/api/tasks/${task.id}`, undefined, weak);
    assert.deepEqual([one.statusCode, one.body, one.headers.etag], [304, '', '"1"']);
    await person.send('POST', `/api/tasks/${task.id}/toggle`);
    assert.equal((await person.send('GET', '/api/tasks', undefined, known)).statusCode, 200);
    assert.equal((await person.send('GET', `/api/tasks/${task.id}`, undefined, weak)).statusCode, 200);
    assert.equal((await person.send('GET', '/api/tasks', undefined, { 'if-none-match': '*' })).statusCode, 304);
    const other = await service().person();
    assert.equal((await other.send('GET', '/api/tasks', undefined, known)).statusCode, 200);
  });

  test('the ETag of a list of long texts changes with it as well', async () => {
    const person = await service().person();
    await person.createLongTasks();
    for (const _known of ['of unknown length', 'long']) {
      const list = await person.send('GET', '/api/tasks');
      const known = { 'if-none-match': String(list.headers.etag) };
      assert.equal((await person.send('GET', '/api/tasks', undefined, known)).statusCode, 304);
      await person.create('one more');
      assert.equal((await person.send('GET', '/api/tasks', undefined, known)).statusCode, 200);
    }
  });

  test('a task changed in SQL, past the service, has a new version too', async () => {
    const person = await service().person();
    const task = await person.create('before');
    const identity = { kind: 'admin' } as const;
    const text = `update todo.tasks set title = 'after' where user_id = '${person.sub}'`;
    await service().opened.database.transaction(identity, [
      { statement: { name: '', text, access: 'write' }, values: [] },
    ]);
    const [changed] = await person.list();
    assert.deepEqual([changed?.title, changed?.version], ['after', 2]);
    const answer = await person.send('PATCH', `/api/tasks/${task.id}`, { title: 'x' }, { 'if-match': tag(task) });
    assert.equal(answer.statusCode, 412);
  });
});
