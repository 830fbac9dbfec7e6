import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { generateKeyBetween } from 'fractional-indexing';
import { allPages, changesOf } from './support/changes.ts';
import { assertError } from './support/envelope.ts';
import { createList, type List, listsOf } from './support/lists.ts';
import { onEachDatabase, type Person, type Service, type Task } from './support/service.ts';
import { runAs, statement } from './support/statements.ts';

const tag = ({ version }: { readonly version: number }) => `"${version}"`;
const names = (lists: readonly List[]) => lists.map(({ name }) => name);

onEachDatabase('lists', (service) => {
  test('a list is created with its defaults, read, and listed by position', async () => {
    const person = await service().person();
    const answer = await person.send('POST', '/api/lists', { name: '  Work  ', user_id: 'other', version: 9 });
    const work = answer.json<List>();
    assert.equal(answer.statusCode, 201);
    assert.equal(answer.headers.location, `/api/lists/${work.id}`);
    assert.equal(answer.headers.etag, '"1"');
    const { id, created_at, updated_at, ...rest } = work;
    assert.match(id, /^[0-9a-f-]{36}$/);
    assert.equal(created_at, updated_at);
    assert.deepEqual(rest, {
      user_id: person.sub,
      name: 'Work',
      color: null,
      position: 'a0',
      is_archived: false,
      version: 1,
    });
    const home = await createList(person, 'Home', { color: '#AABBCC', is_archived: true });
    assert.deepEqual([home.color, home.is_archived, home.position, home.version], ['#aabbcc', true, 'a1', 2]);
    const first = await createList(person, 'First', { position: generateKeyBetween(null, 'a0') });
    const read = await person.send('GET', `/api/lists/${work.id.toUpperCase()}`);
    assert.deepEqual([read.json(), read.headers.etag], [work, '"1"']);
    assert.deepEqual(await listsOf(person), [first, work, home]);
    assert.equal((await person.create('a task takes the next number')).version, 4);
  });

  test('positions at the end are those of the library, and lists with the same one are told apart by their ids', async () => {
    const person = await service().person();
    const last = 'bzz';
    await createList(person, 'last', { position: last });
    assert.equal((await createList(person, 'after')).position, generateKeyBetween(last, null));
    const longest = `z${'z'.repeat(62)}V`;
    for (const name of ['longest', 'beside it']) {
      const made = await createList(person, name, name === 'longest' ? { position: longest } : {});
      assert.ok(made.position >= longest && made.position.length <= 64, made.position);
    }
    const one = await createList(person, 'x', { position: 'Zz' });
    const two = await createList(person, 'x', { position: 'Zz' });
    assert.deepEqual(
      (await listsOf(person)).slice(0, 2).map(({ id }) => id),
      [one.id, two.id].sort(),
    );
  });

  test('PUT and PATCH change the given fields alone, and one without a change changes nothing', async () => {
    const person = await service().person();
    const list = await createList(person, 'one', { color: '#123456' });
    const url = `/api/lists/${list.id}`;
    const renamed = await person.send('PATCH', url, { name: 'two' });
    assert.equal(renamed.headers.etag, '"2"');
    assert.deepEqual({ ...renamed.json<List>(), updated_at: '' }, { ...list, name: 'two', version: 2, updated_at: '' });
    assert.ok(renamed.json<List>().updated_at > list.updated_at);
    const cleared = (await person.send('PUT', url, { color: null, is_archived: true, position: 'a1' })).json<List>();
    assert.deepEqual(
      [cleared.name, cleared.color, cleared.is_archived, cleared.position, cleared.version],
      ['two', null, true, 'a1', 3],
    );
    const same = await person.send('PATCH', url, { name: ' two ', is_archived: true });
    assert.deepEqual(same.json(), cleared);
    assert.equal((await changesOf(person)).version, 3);
  });

  test('values that cannot be are 400 with the field named', async () => {
    const person = await service().person();
    const list = await createList(person, 'one');
    const cases: [Record<string, unknown>, string][] = [
      [{ name: '' }, 'name'],
      [{ name: '   ' }, 'name'],
      [{ name: null }, 'name'],
      [{ name: 5 }, 'name'],
      [{ name: 'x'.repeat(101) }, 'name'],
      [{ name: 'a\u0000b' }, 'name'],
      [{ name: 'x', color: 'red' }, 'color'],
      [{ name: 'x', color: '#12345' }, 'color'],
      [{ name: 'x', color: '#12345g' }, 'color'],
      [{ name: 'x', color: 7 }, 'color'],
      [{ name: 'x', position: '' }, 'position'],
      [{ name: 'x', position: null }, 'position'],
      [{ name: 'x', position: 'a' }, 'position'],
      [{ name: 'x', position: 'a00' }, 'position'],
      [{ name: 'x', position: 'a!' }, 'position'],
      [{ name: 'x', position: '0a' }, 'position'],
      [{ name: 'x', position: `A${'0'.repeat(26)}` }, 'position'],
      [{ name: 'x', position: `a0${'V'.repeat(63)}` }, 'position'],
      [{ name: 'x', is_archived: 'true' }, 'is_archived'],
      [{ name: 'x', is_archived: null }, 'is_archived'],
    ];
    for (const [body, field] of cases) {
      for (const [method, url] of [
        ['POST', '/api/lists'],
        ['PATCH', `/api/lists/${list.id}`],
        ['PUT', `/api/lists/${list.id}`],
      ] as const) {
        const answer = await person.send(method, url, body);
        const label = `${method} ${JSON.stringify(body)}: ${answer.body}`;
        assert.equal(answer.statusCode, 400, label);
        const { code, details } = answer.json<{ code: string; details: { field: string }[] }>();
        assert.deepEqual([code, details.map((one) => one.field)], ['VALIDATION_ERROR', [field]], label);
      }
    }
    for (const [method, url, body, field] of [
      ['POST', '/api/lists', {}, 'name'],
      ['PATCH', `/api/lists/${list.id}`, {}, 'body'],
      ['PATCH', `/api/lists/${list.id}`, { title: 'x' }, 'body'],
      ['GET', '/api/lists/1', undefined, 'list_id'],
      ['GET', '/api/lists?limit=1', undefined, 'limit'],
      ['DELETE', `/api/lists/${list.id}?tasks=keep`, undefined, 'tasks'],
    ] as const) {
      const { statusCode, body: text } = await person.send(method, url, body);
      assert.equal(statusCode, 400, text);
      assert.match(text, new RegExp(`"field":"${field}"`));
    }
    assert.deepEqual(await listsOf(person), [list]);
    assert.equal((await createList(person, '\u{1f4a1}'.repeat(100))).version, 2, 'code points are counted');
  });

  test('a deleted list is gone for every read, and its id is not used again', async () => {
    const person = await service().person();
    const [list, other] = [await createList(person, 'gone'), await createList(person, 'stays')];
    const url = `/api/lists/${list.id}`;
    const answer = await person.send('DELETE', url);
    assert.deepEqual(
      [answer.statusCode, answer.headers.etag, answer.json()],
      [200, '"3"', { message: 'List deleted successfully', id: list.id }],
    );
    for (const [method, body] of [
      ['GET', undefined],
      ['PATCH', { name: 'x' }],
      ['PUT', { name: 'x' }],
      ['DELETE', undefined],
    ] as const) {
      assertError(await person.send(method, url, body), 404, 'NOT_FOUND', 'List not found');
    }
    const again = await person.send('PUT', url, { name: 'again' }, { 'if-none-match': '*' });
    assertError(again, 409, 'CONFLICT', 'A deleted list has this id');
    assert.deepEqual(await listsOf(person), [other]);
    const [[name, color, position] = []] = await runAs(
      service().opened.database,
      person.sub,
      'select name, color, position from todo.lists where user_id = $1 and id = $2',
      [person.sub, list.id],
    );
    assert.deepEqual([name, color, position], [null, null, null]);
  });

  test('entity tags: 304 for what the client has, 412 with the present list for what is stale', async () => {
    const person = await service().person();
    const list = await createList(person, 'one');
    const url = `/api/lists/${list.id}`;
    assert.equal((await person.send('GET', url, undefined, { 'if-none-match': tag(list) })).statusCode, 304);
    const all = await person.send('GET', '/api/lists');
    const known = { 'if-none-match': String(all.headers.etag) };
    assert.equal((await person.send('GET', '/api/lists', undefined, known)).statusCode, 304);
    const current = (await person.send('PATCH', url, { name: 'two' }, { 'if-match': tag(list) })).json<List>();
    assert.equal((await person.send('GET', '/api/lists', undefined, known)).statusCode, 200);
    for (const [method, body] of [
      ['PATCH', { name: 'three' }],
      ['PUT', { name: 'three' }],
      ['DELETE', undefined],
    ] as const) {
      const stale = await person.send(method, url, body, { 'if-match': tag(list) });
      assert.deepEqual([stale.statusCode, stale.headers.etag], [412, tag(current)], method);
      const error = { error: 'The list has been changed since', code: 'PRECONDITION_FAILED', current };
      assert.deepEqual(stale.json(), error);
    }
    const repeated = await person.send('PATCH', url, { name: 'two' }, { 'if-match': tag(list) });
    assert.deepEqual([repeated.statusCode, repeated.json()], [200, current]);
    assert.equal((await person.send('DELETE', url, undefined, { 'if-match': tag(current) })).statusCode, 200);
  });

  test('PUT with If-None-Match creates under the client’s id, whatever others have under it', async () => {
    const [person, other] = [await service().person(), await service().person()];
    const id = randomUUID();
    const put = (who = person) => who.send('PUT', `/api/lists/${id}`, { name: 'mine' }, { 'if-none-match': '*' });
    const created = await put();
    assert.deepEqual([created.statusCode, created.headers.location], [201, `/api/lists/${id}`]);
    const exists = await put();
    assert.deepEqual([exists.statusCode, exists.json<{ current: List }>().current], [412, created.json()]);
    assert.equal((await put(other)).statusCode, 201);
    const noName = await person.send('PUT', `/api/lists/${randomUUID()}`, { color: null }, { 'if-none-match': '*' });
    assert.match(noName.body, /"field":"name"/);
    assert.equal((await person.send('PUT', `/api/lists/${randomUUID()}`, { name: 'x' })).statusCode, 404);
  });

  test('a request with an idempotency key is executed once, and answered to the byte', async () => {
    const person = await service().person();
    const key = () => ({ 'idempotency-key': randomUUID() });
    const once = async (method: string, url: string, body: object | undefined, headers: Record<string, string>) => {
      const first = await person.send(method, url, body, headers);
      const second = await person.send(method, url, body, headers);
      assert.equal(second.headers['idempotency-replayed'], 'true', url);
      for (const name of ['etag', 'location']) assert.equal(second.headers[name], first.headers[name]);
      assert.deepEqual([second.statusCode, second.body], [first.statusCode, first.body]);
      return first;
    };
    const list = (await once('POST', '/api/lists', { name: 'once' }, key())).json<List>();
    const url = `/api/lists/${list.id}`;
    await once('PATCH', url, { name: 'changed' }, key());
    assert.equal((await once('PATCH', url, { name: 'x' }, { ...key(), 'if-match': '"1"' })).statusCode, 412);
    assert.equal((await once('DELETE', `/api/lists/${randomUUID()}`, undefined, key())).statusCode, 404);
    assert.equal((await once('DELETE', url, undefined, key())).statusCode, 200);
    assert.deepEqual(await listsOf(person), []);
    const used = key();
    await person.send('POST', '/api/lists', { name: 'a' }, used);
    const mismatch = await person.send('POST', '/api/lists', { name: 'b' }, used);
    assertError(mismatch, 422, 'IDEMPOTENCY_MISMATCH', 'The key was used for another request');
  });

  test('what was kept of a list for retries goes with its content, and of a task with the same id nothing does', async () => {
    const person = await service().person();
    const id = randomUUID();
    const keys = [{ 'idempotency-key': randomUUID() }, { 'idempotency-key': randomUUID() }] as const;
    const createdList = () =>
      person.send('PUT', `/api/lists/${id}`, { name: 'secret' }, { ...keys[0], 'if-none-match': '*' });
    const createdTask = () =>
      person.send('PUT', `/api/tasks/${id}`, { title: 'kept' }, { ...keys[1], 'if-none-match': '*' });
    await createdList();
    const task = await createdTask();
    await person.send('DELETE', `/api/lists/${id}`);
    assertError(await createdList(), 404, 'NOT_FOUND', 'List not found');
    assert.equal((await createdTask()).body, task.body);
    const [[kept] = []] = await runAs(
      service().opened.database,
      person.sub,
      `select count(*) from todo.replies where user_id = $1 and task like '%secret%'`,
      [person.sub],
    );
    assert.equal(kept, '0');
  });

  test('a user has at most 500 lists; one that was deleted does not count', async () => {
    const person = await service().person();
    const list = await createList(person, 'first');
    const text = `insert into todo.lists (user_id, id, name, position)
      select '${person.sub}', gen_random_uuid(), 'many', 'a5' from generate_series(1, 498)`;
    await service().opened.database.transaction({ kind: 'admin' }, [statement(text)]);
    const creates = Array.from({ length: 3 }, () => person.send('POST', '/api/lists', { name: 'in parallel' }));
    const statuses = (await Promise.all(creates)).map(({ statusCode }) => statusCode);
    assert.deepEqual(statuses.sort(), [201, 409, 409]);
    const message = 'The limit of 500 lists is reached';
    assertError(await person.send('POST', '/api/lists', { name: 'more' }), 409, 'LIMIT_REACHED', message);
    const own = `/api/lists/${randomUUID()}`;
    const put = await person.send('PUT', own, { name: 'x' }, { 'if-none-match': '*' });
    assertError(put, 409, 'LIMIT_REACHED', message);
    assert.equal((await listsOf(person)).length, 500);
    await person.send('DELETE', `/api/lists/${list.id}`);
    await createList(person, 'in its place');
  });

  test('lists that are made at once get positions of their own, and each change a number of its own', async () => {
    const person = await service().person();
    await Promise.all(Array.from({ length: 12 }, (_, at) => createList(person, `list ${at}`)));
    const lists = await listsOf(person);
    assert.equal(new Set(lists.map(({ position }) => position)).size, 12);
    await Promise.all(
      lists.flatMap(({ id }) => [
        person.send('PATCH', `/api/lists/${id}`, { color: '#ffffff' }),
        person.create('a task meanwhile'),
      ]),
    );
    const { changes, version } = await changesOf(person);
    assert.deepEqual([changes.length, version, new Set(changes.map((one) => one.version)).size], [24, 36, 24]);
  });

  test('another user’s list is 404, and is not changed', async () => {
    const [owner, other] = [await service().person(), await service().person()];
    const list = await createList(owner, 'mine');
    const url = `/api/lists/${list.id}`;
    for (const headers of [{}, { 'if-match': '"1"' }, { 'idempotency-key': randomUUID() }] as Record<
      string,
      string
    >[]) {
      for (const [method, body] of [
        ['GET', undefined],
        ['PUT', { name: 'theirs' }],
        ['PATCH', { name: 'theirs' }],
        ['DELETE', undefined],
      ] as const) {
        if (method !== 'GET' && 'idempotency-key' in headers) headers['idempotency-key'] = randomUUID();
        assertError(await other.send(method, url, body, headers), 404, 'NOT_FOUND', 'List not found');
      }
    }
    assert.deepEqual([await listsOf(other), names(await listsOf(owner))], [[], ['mine']]);
    assert.equal((await service().stranger().send('GET', '/api/lists')).statusCode, 401);
  });
});

/** Puts the tasks into the list. */
async function fill(person: Person, list: List, tasks: readonly Task[]): Promise<void> {
  for (const { id } of tasks) {
    const answer = await person.send('PATCH', `/api/tasks/${id}`, { list_id: list.id });
    assert.equal(answer.statusCode, 200, answer.body);
  }
}

/** Of each task, its list and whether it is deleted. */
const placesOf = (service: Service, { sub }: Person) =>
  runAs(
    service.opened.database,
    sub,
    'select title, list_id, deleted_at is not null from todo.tasks where user_id = $1 order by title',
    [sub],
  );

onEachDatabase('the tasks of a list that is deleted', (service) => {
  const filled = async () => {
    const person = await service().person();
    const [list, other] = [await createList(person, 'to be deleted'), await createList(person, 'other')];
    const tasks = [await person.create('a'), await person.create('b'), await person.create('c')];
    const [elsewhere, inbox] = [await person.create('d, elsewhere'), await person.create('e, in the inbox')];
    await fill(person, list, tasks);
    await fill(person, other, [elsewhere]);
    const { cursor, version } = await changesOf(person);
    return { person, list, other, tasks, elsewhere, inbox, cursor, version };
  };

  test('go to the inbox if nothing else is said, each with a number of its own, before the list', async () => {
    const { person, list, other, tasks, cursor, version } = await filled();
    const answer = await person.send('DELETE', `/api/lists/${list.id}`);
    assert.deepEqual([answer.statusCode, answer.headers.etag], [200, `"${version + 4}"`]);
    const { changes } = await changesOf(person, { cursor });
    assert.deepEqual(
      changes.map((change) => [change.type, change.version, change.deleted]),
      [...tasks.map((_, at) => ['task', version + 1 + at, false]), ['list', version + 4, true]],
    );
    assert.deepEqual(new Set(changes.map(({ id }) => id)), new Set([...tasks, list].map(({ id }) => id)));
    assert.deepEqual(await placesOf(service(), person), [
      ['a', null, 'f'],
      ['b', null, 'f'],
      ['c', null, 'f'],
      ['d, elsewhere', other.id, 'f'],
      ['e, in the inbox', null, 'f'],
    ]);
    assert.equal((await person.list()).length, 5);
  });

  test('are deleted with tasks=delete, and come back to the inbox', async () => {
    const { person, list, tasks, elsewhere, inbox, cursor, version } = await filled();
    const deletion = { method: 'DELETE', url: `/api/lists/${list.id}?tasks=delete` };
    const key = { 'idempotency-key': randomUUID(), 'if-match': tag(list) };
    const answer = await person.send(deletion.method, deletion.url, undefined, key);
    assert.equal(answer.statusCode, 200);
    const again = await person.send(deletion.method, deletion.url, undefined, key);
    assert.deepEqual([again.headers['idempotency-replayed'], again.body], ['true', answer.body]);
    const { changes } = await changesOf(person, { cursor });
    assert.deepEqual(
      changes.map((change) => [change.type, change.version, change.deleted]),
      [...tasks, list].map((_, at) => [at < tasks.length ? 'task' : 'list', version + 1 + at, true]),
    );
    assert.deepEqual(new Set(changes.map(({ id }) => id)), new Set([...tasks, list].map(({ id }) => id)));
    assert.deepEqual(
      (await person.list()).map(({ id }) => id),
      [inbox.id, elsewhere.id],
    );
    const restored = await person.send('POST', `/api/tasks/${tasks[0]?.id}/restore`);
    assert.equal(restored.statusCode, 200);
    assert.deepEqual((await placesOf(service(), person))[0], ['a', null, 'f']);
    assert.equal((await person.send('GET', '/api/tasks?deleted=true')).json<{ tasks: Task[] }>().tasks.length, 2);
  });

  test('are none of its tasks any more, however many were moved into it meanwhile', async () => {
    const { person, list } = await filled();
    const tasks = await Promise.all(Array.from({ length: 10 }, (_, at) => person.create(`task ${at}`)));
    const move = ({ id }: Task) => person.send('PATCH', `/api/tasks/${id}`, { list_id: list.id });
    const answers = await Promise.all([
      ...tasks.slice(0, 5).map(move),
      person.send('DELETE', `/api/lists/${list.id}`),
      ...tasks.slice(5).map(move),
      person.send('POST', '/api/tasks', { title: 'created meanwhile', list_id: list.id }),
    ]);
    const refused = answers.filter(({ statusCode }) => statusCode === 400);
    assert.ok(refused.every(({ body }) => body.includes('"field":"list_id"')));
    assert.equal(answers[5]?.statusCode, 200);
    assert.deepEqual(
      (await placesOf(service(), person)).filter(([, place]) => place === list.id),
      [],
    );
    const { changes } = await changesOf(person);
    assert.equal(new Set(changes.map(({ version }) => version)).size, changes.length);
  });

  test('come back with their subtasks, to the inbox; each was deleted with the others', async () => {
    const person = await service().person();
    const list = await createList(person, 'of a tree');
    const parent = await person.create('a parent', { list_id: list.id });
    const child = await person.create('b child', { parent_id: parent.id });
    await person.create('c grandchild', { parent_id: child.id });
    await person.send('DELETE', `/api/lists/${list.id}?tasks=delete`);
    assert.deepEqual(await person.list(), []);
    assert.equal((await person.send('POST', `/api/tasks/${parent.id}/restore`)).statusCode, 200);
    assert.deepEqual(await placesOf(service(), person), [
      ['a parent', null, 'f'],
      ['b child', null, 'f'],
      ['c grandchild', null, 'f'],
    ]);
    const tree = (await person.list()).map(({ id, parent_id }) => [id, parent_id]);
    assert.deepEqual(tree.slice(1), [
      [child.id, parent.id],
      [parent.id, null],
    ]);
  });

  test('stay where they are if the list is not deleted, and those of another user with such an id always', async () => {
    const { person, list, cursor } = await filled();
    const other = await service().person();
    await other.send('PUT', `/api/lists/${list.id}`, { name: 'of another' }, { 'if-none-match': '*' });
    const theirs = await other.create('theirs');
    await fill(other, list, [theirs]);
    const stale = await person.send('DELETE', `/api/lists/${list.id}?tasks=delete`, undefined, { 'if-match': '"77"' });
    assert.equal(stale.statusCode, 412);
    assert.deepEqual((await changesOf(person, { cursor })).changes, []);
    for (const tasks of ['inbox', 'delete']) {
      await person.send('DELETE', `/api/lists/${list.id}?tasks=${tasks}`);
    }
    assert.deepEqual(await placesOf(service(), other), [['theirs', list.id, 'f']]);
  });

  test('in a batch too, and an atomic one that fails undoes it', async () => {
    const { person, list, other, cursor, version } = await filled();
    const remove = (id: string, tasks: string) => ({ op: 'delete', type: 'list', id, tasks });
    const undone = await person.send('POST', '/api/batch', {
      atomic: true,
      operations: [remove(list.id, 'delete'), { op: 'toggle', id: randomUUID() }],
    });
    assert.equal(undone.statusCode, 404);
    assert.deepEqual((await changesOf(person, { cursor })).changes, []);
    const operations = [remove(list.id, 'delete'), remove(other.id, 'inbox'), { op: 'create', title: 'f' }];
    const done = await person.send('POST', '/api/batch', { operations });
    assert.equal(done.json<{ version: number }>().version, version + 4 + 2 + 1);
    assert.deepEqual(
      (await person.list()).map(({ title }) => title),
      ['f', 'e, in the inbox', 'd, elsewhere'],
    );
    const { changes } = await changesOf(person, { cursor });
    assert.equal(new Set(changes.map((change) => change.version)).size, 7);
  });

  test('of two deletions at once one is made, while tasks are written, and the counts stay exact', async () => {
    const { person, list, tasks } = await filled();
    const answers = await Promise.all([
      person.send('DELETE', `/api/lists/${list.id}?tasks=delete`),
      ...tasks.map(({ id }) => person.send('POST', `/api/tasks/${id}/toggle`)),
      person.send('DELETE', `/api/lists/${list.id}`),
      person.create('meanwhile').then(() => ({ statusCode: 201 })),
    ]);
    const deletions = [answers[0]?.statusCode, answers[4]?.statusCode].sort();
    assert.deepEqual(deletions, [200, 404]);
    const [[counted, trashed] = []] = await runAs(
      service().opened.database,
      person.sub,
      `select tasks = (select count(*) from todo.tasks where user_id = $1 and deleted_at is null),
         trash = (select count(*) from todo.tasks where user_id = $1 and deleted_at is not null)
       from todo.users where id = $1`,
      [person.sub],
    );
    assert.deepEqual([counted, trashed], ['t', 't']);
  });
});

onEachDatabase(
  'with DELETED_TASKS_DAYS=0',
  (service) => {
    test('the content of the tasks that are deleted with their list goes at once', async () => {
      const person = await service().person();
      const list = await createList(person, 'x');
      const task = await person.create('gone', { list_id: list.id, tags: ['gone'], due_date: '2026-11-23' });
      assert.equal((await person.send('DELETE', `/api/lists/${list.id}?tasks=delete`)).statusCode, 200);
      assert.equal((await person.send('GET', '/api/tasks?deleted=true')).body, '{"tasks":[]}');
      assert.equal((await person.send('POST', `/api/tasks/${task.id}/restore`)).statusCode, 404);
      assert.deepEqual(await placesOf(service(), person), [[null, null, 't']]);
    });
  },
  { config: { deletedTasksDays: 0 } },
);

onEachDatabase('lists in changes', (service) => {
  test('lists and tasks come by version, each at its newest state; a deleted list has no content', async () => {
    const person = await service().person();
    const list = await createList(person, 'one');
    const task = await person.create('task');
    const other = await createList(person, 'two');
    const changed = (await person.send('PATCH', `/api/lists/${list.id}`, { name: 'changed' })).json<List>();
    const { changes, cursor } = await changesOf(person);
    assert.deepEqual(changes, [
      { type: 'task', id: task.id, version: 2, deleted: false, task },
      { type: 'list', id: other.id, version: 3, deleted: false, list: other },
      { type: 'list', id: list.id, version: 4, deleted: false, list: changed },
    ]);
    await person.send('DELETE', `/api/lists/${list.id}`);
    const after = await changesOf(person, { cursor });
    assert.deepEqual(after.changes, [{ type: 'list', id: list.id, version: 5, deleted: true, list: null }]);
    const copy = await changesOf(person);
    assert.deepEqual(
      copy.changes.map(({ id }) => id),
      [task.id, other.id],
      'a first copy has no old deletions',
    );
  });

  test('pages of any size show everything once, and the same as one page', async () => {
    const person = await service().person();
    for (let at = 0; at < 6; at += 1) {
      await createList(person, `list ${at}`);
      if (at % 2 === 0) await person.create(`task ${at}`);
    }
    const [whole] = await allPages(person, 1000);
    for (const limit of [1, 2, 3, 4, 8, 9]) {
      const pages = await allPages(person, limit);
      assert.deepEqual(
        pages.flatMap(({ changes }) => changes),
        whole?.changes,
        `limit ${limit}`,
      );
      assert.ok(pages.slice(0, -1).every(({ changes }) => changes.length === limit));
    }
    assert.equal(whole?.changes.length, 9);
  });

  test('a position below a list whose row is gone is 410', async () => {
    const person = await service().person();
    const list = await createList(person, 'gone');
    const { cursor } = await changesOf(person);
    await person.send('DELETE', `/api/lists/${list.id}`);
    const old = `update todo.lists set deleted_at = now() - interval '366 days' where user_id = '${person.sub}'`;
    const gone = `delete from todo.lists where user_id = '${person.sub}'`;
    await service().opened.database.transaction({ kind: 'admin' }, [statement(old), statement(gone)]);
    assert.equal((await person.send('GET', `/api/changes?cursor=${cursor}`)).statusCode, 410);
    assert.deepEqual((await changesOf(person)).changes, []);
  });

  test('a list that is deleted or changed in SQL takes a number', async () => {
    const person = await service().person();
    const list = await createList(person, 'one');
    const { database } = service().opened;
    const admin = (text: string) => database.transaction({ kind: 'admin' }, [statement(text)]);
    await admin(`update todo.lists set name = 'in SQL' where user_id = '${person.sub}'`);
    assert.deepEqual(
      (await listsOf(person)).map(({ name, version }) => [name, version]),
      [['in SQL', 2]],
    );
    const { cursor } = await changesOf(person);
    await admin(`delete from todo.lists where user_id = '${person.sub}' and id = '${list.id}'`);
    assert.equal((await person.send('GET', `/api/changes?cursor=${cursor}`)).statusCode, 410);
    assert.equal((await changesOf(person)).version, 3);
  });
});

interface Result {
  readonly status: number;
  readonly id?: string;
  readonly task?: { readonly id: string; readonly version: number };
  readonly list?: List;
  readonly current?: object;
  readonly error?: string;
  readonly code?: string;
  readonly details?: readonly { readonly field: string; readonly message: string }[];
}

onEachDatabase('lists in batches', (service) => {
  test('operations on lists and tasks are executed in order, each answered as its own route would', async () => {
    const person = await service().person();
    const [id, fresh] = [randomUUID(), randomUUID()];
    const answer = await person.send('POST', '/api/batch', {
      operations: [
        { op: 'create', type: 'list', name: ' made ' },
        { op: 'create', type: 'list', id, name: 'mine', color: '#ABCDEF' },
        { op: 'create', title: 'a task between' },
        { op: 'create', type: 'task', title: 'named as one' },
        { op: 'update', type: 'list', id, is_archived: true, if_version: 2 },
        { op: 'put', type: 'list', id, name: 'replaced' },
        { op: 'put', type: 'list', id: fresh, name: 'put', if_version: 0 },
        { op: 'delete', type: 'list', id, tasks: 'inbox' },
        { op: 'delete', type: 'list', id, tasks: 'delete' },
      ],
    });
    assert.equal(answer.statusCode, 200, answer.body);
    const { results, version } = answer.json<{ results: Result[]; version: number }>();
    assert.deepEqual(
      results.map(({ status }) => status),
      [201, 201, 201, 201, 200, 200, 201, 200, 200],
    );
    assert.deepEqual(
      results.map(({ list }) => list?.version),
      [1, 2, undefined, undefined, 5, 6, 7, undefined, undefined],
    );
    assert.deepEqual([results[2]?.task?.version, results[3]?.task?.version], [3, 4]);
    const { name, color, is_archived, position } = results[5]?.list ?? {};
    assert.deepEqual([name, color, is_archived, position], ['replaced', null, false, 'a1']);
    assert.equal(results[7]?.id, id);
    assert.equal(version, 8);
    assert.deepEqual(names(await listsOf(person)), ['made', 'put']);
  });

  test('an operation that fails says why, and leaves its neighbours alone', async () => {
    const [person, other] = [await service().person(), await service().person()];
    const [list, foreign] = [await createList(person, 'mine'), await createList(other, 'foreign')];
    const gone = await createList(person, 'gone');
    await person.send('DELETE', `/api/lists/${gone.id}`);
    const answer = await person.send('POST', '/api/batch', {
      operations: [
        { op: 'update', type: 'list', id: foreign.id, name: 'taken' },
        { op: 'update', type: 'list', id: list.id, name: 'x', if_version: 77 },
        { op: 'create', type: 'list', id: list.id, name: 'x' },
        { op: 'create', type: 'list', id: gone.id, name: 'x' },
        { op: 'put', type: 'list', id: gone.id, name: 'x', if_version: 0 },
        { op: 'toggle', type: 'list', id: list.id },
        { op: 'create', type: 'folder', name: 'x' },
        { op: 'create', type: 'list', title: 'x' },
        { op: 'update', type: 'list', id: list.id },
        { op: 'delete', type: 'list', id: list.id, tasks: 'keep' },
        { op: 'delete', type: 'list', id: 'x' },
        5,
        { op: 'update', type: 'list', id: list.id, name: 'changed' },
      ],
    });
    const { results } = answer.json<{ results: Result[] }>();
    assert.deepEqual(
      results.map(({ status, code, error, details }) => [
        status,
        code === 'VALIDATION_ERROR' ? details?.map(({ field }) => field).join() : error,
      ]),
      [
        [404, 'List not found'],
        [412, 'The list has been changed since'],
        [412, 'The list has been changed since'],
        [409, 'A deleted list has this id'],
        [409, 'A deleted list has this id'],
        [400, 'op'],
        [400, 'type'],
        [400, 'name'],
        [400, 'body'],
        [400, 'tasks'],
        [400, 'id'],
        [400, 'body'],
        [200, undefined],
      ],
    );
    assert.deepEqual(results[1]?.current, list);
    assert.deepEqual(names(await listsOf(other)), ['foreign']);
  });

  test('an atomic batch is undone by a list’s operation that fails, and its key gives the same answer again', async () => {
    const person = await service().person();
    const list = await createList(person, 'mine');
    const headers = { 'idempotency-key': randomUUID() };
    const body = {
      atomic: true,
      operations: [
        { op: 'create', title: 'undone' },
        { op: 'update', type: 'list', id: list.id, name: 'x', if_version: 9 },
      ],
    };
    const first = await person.send('POST', '/api/batch', body, headers);
    const error = { error: 'The list has been changed since', code: 'PRECONDITION_FAILED', index: 1, current: list };
    assert.deepEqual([first.statusCode, first.headers.etag, first.json()], [412, '"1"', error]);
    const again = await person.send('POST', '/api/batch', body, headers);
    assert.deepEqual([again.headers['idempotency-replayed'], again.body], ['true', first.body]);
    assert.deepEqual(await person.list(), []);
    const replayed = { 'idempotency-key': randomUUID() };
    const mixed = {
      operations: [
        { op: 'create', type: 'list', name: 'kept' },
        { op: 'create', title: 'kept' },
      ],
    };
    const executed = await person.send('POST', '/api/batch', mixed, replayed);
    assert.equal((await person.send('POST', '/api/batch', mixed, replayed)).body, executed.body);
  });

  test('if_unchanged_since counts the lists that are named, and not the tasks with the same id', async () => {
    const person = await service().person();
    const id = randomUUID();
    await person.send('PUT', `/api/lists/${id}`, { name: 'one' }, { 'if-none-match': '*' });
    await person.send('PUT', `/api/tasks/${id}`, { title: 'one' }, { 'if-none-match': '*' });
    const update = { op: 'update', type: 'list', id, name: 'two' };
    const send = (since: number) =>
      person.send('POST', '/api/batch', {
        operations: [{ op: 'create', title: 'x' }, update],
        if_unchanged_since: since,
      });
    assert.equal((await send(1)).statusCode, 200);
    const refused = await send(1);
    assert.deepEqual([refused.statusCode, refused.json<{ index: number }>().index], [412, 1]);
    assert.match(refused.body, /The list has been changed since/);
  });
});
