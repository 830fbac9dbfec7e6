import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { generateKeyBetween } from 'fractional-indexing';
import { createList } from './support/lists.ts';
import { onEachDatabase, type Person, type Task } from './support/service.ts';

const patch = (person: Person, id: string, body: object) => person.send('PATCH', `/api/tasks/${id}`, body);

/** Asserts that the answer is 400 with a fault of `field`. */
async function refused(sent: ReturnType<Person['send']>, field: string, message: RegExp): Promise<void> {
  const answer = await sent;
  assert.deepEqual([answer.statusCode, answer.json().code], [400, 'VALIDATION_ERROR']);
  assert.deepEqual(
    answer.json().details.map((fault: { readonly field: string }) => fault.field),
    [field],
  );
  assert.match(answer.json().details[0].message, message);
}

/** A chain of subtasks, the first on the top level. */
async function chain(person: Person, length: number, fields: object = {}): Promise<Task[]> {
  const tasks: Task[] = [];
  for (let level = 0; level < length; level += 1) {
    const parent = tasks.at(-1);
    const place = parent === undefined ? fields : { parent_id: parent.id };
    tasks.push(await person.create(`level ${level + 1}`, place));
  }
  return tasks;
}

const idsOf = (tasks: readonly Task[]) => tasks.map(({ id }) => id).sort();

async function byId(person: Person, id: string): Promise<Task> {
  return (await person.send('GET', `/api/tasks/${id}`)).json<Task>();
}

/** The titles of the tasks with this parent, in their order. */
const order = async (person: Person, parent: string | null = null) =>
  (await person.list())
    .filter(({ parent_id }) => parent_id === parent)
    .sort((a, b) => (a.position === b.position ? (a.id < b.id ? -1 : 1) : a.position < b.position ? -1 : 1))
    .map(({ title }) => title)
    .join('');

/** The number of the last change of the user's. */
const counter = async (person: Person) =>
  (await person.send('POST', '/api/batch', { operations: [] })).json<{ version: number }>().version;

/** Asserts that the versions of all tasks, deleted ones too, differ, and that the changes bring them in order. */
async function assertVersions(person: Person): Promise<void> {
  const { changes, version } = (await person.send('GET', '/api/changes?limit=1000')).json();
  const versions = changes.map((change: { readonly version: number }) => change.version);
  assert.deepEqual(
    [...new Set(versions)].sort((a, b) => Number(a) - Number(b)),
    versions,
  );
  assert.equal(version, await counter(person));
}

onEachDatabase('subtasks and lists of tasks', (service) => {
  test('a subtask is in the list of its parent, by create, update, PUT under an own id and batch', async () => {
    const person = await service().person();
    const list = await createList(person, 'Work');
    const parent = await person.create('parent', { list_id: list.id });
    assert.deepEqual([parent.list_id, parent.parent_id], [list.id, null]);
    const child = await person.create('child', { parent_id: parent.id.toUpperCase() });
    assert.deepEqual([child.list_id, child.parent_id], [list.id, parent.id]);
    const other = await person.create('other');
    const moved = (await patch(person, other.id, { parent_id: parent.id })).json<Task>();
    assert.deepEqual([moved.list_id, moved.parent_id], [list.id, parent.id]);
    const id = randomUUID();
    const body = { title: 'own', parent_id: parent.id, list_id: list.id };
    const own = await person.send('PUT', `/api/tasks/${id}`, body, { 'if-none-match': '*' });
    assert.deepEqual([own.statusCode, own.json<Task>().list_id], [201, list.id]);
    const operations = [
      { op: 'create', title: 'a', parent_id: parent.id },
      { op: 'create', id: randomUUID(), title: 'b', parent_id: id },
      { op: 'put', id: randomUUID(), title: 'c', list_id: list.id },
      { op: 'put', id: child.id, title: 'kept where it is' },
    ];
    const results = (await person.send('POST', '/api/batch', { operations })).json().results;
    assert.deepEqual(
      results.map(({ status, task }: { status: number; task: Task }) => [status, task.list_id, task.parent_id]),
      [
        [201, list.id, parent.id],
        [201, list.id, id],
        [201, list.id, null],
        [200, list.id, parent.id],
      ],
    );
    const out = (await patch(person, other.id, { parent_id: null, list_id: null })).json<Task>();
    assert.deepEqual([out.list_id, out.parent_id], [null, null]);
  });

  test('lists and parents that are not there, not the user’s own or deleted are refused with the field named', async () => {
    const [person, stranger] = [await service().person(), await service().person()];
    const [list, foreignList] = [await createList(person, 'mine'), await createList(stranger, 'foreign')];
    const [task, foreign, gone] = [await person.create('x'), await stranger.create('x'), await person.create('gone')];
    await person.send('DELETE', `/api/tasks/${gone.id}`);
    await person.send('DELETE', `/api/lists/${list.id}`);
    for (const id of [randomUUID(), foreignList.id, list.id, foreign.id]) {
      await refused(patch(person, task.id, { list_id: id }), 'list_id', /^List not found$/);
      await refused(person.send('POST', '/api/tasks', { title: 'x', list_id: id }), 'list_id', /^List not found$/);
    }
    for (const id of [randomUUID(), foreign.id, gone.id]) {
      await refused(patch(person, task.id, { parent_id: id }), 'parent_id', /^Parent task not found$/);
      await refused(person.send('POST', '/api/tasks', { title: 'x', parent_id: id }), 'parent_id', /^Parent task/);
      await refused(patch(person, task.id, { after: id }), 'after', /^No task with this id/);
      await refused(person.send('POST', '/api/tasks', { title: 'x', before: id }), 'before', /^No task with this id/);
    }
    for (const field of ['list_id', 'parent_id', 'before', 'after']) {
      for (const value of ['inbox', '', 7, [task.id]]) {
        await refused(patch(person, task.id, { [field]: value }), field, /must be/);
      }
    }
    assert.equal((await byId(person, task.id)).version, task.version);
  });

  test('what is below a task follows it to another list; a subtask does not leave its parent by its list alone', async () => {
    const person = await service().person();
    const [from, to] = [await createList(person, 'from'), await createList(person, 'to')];
    const [top, middle, leaf] = await chain(person, 3, { list_id: from.id });
    assert.ok(top && middle && leaf);
    await refused(patch(person, middle.id, { list_id: to.id }), 'list_id', /^A subtask is in the list of its parent/);
    await refused(
      person.send('POST', '/api/tasks', { title: 'x', parent_id: middle.id, list_id: to.id }),
      'list_id',
      /^A subtask is in the list/,
    );
    const moved = await patch(person, top.id, { list_id: to.id });
    assert.deepEqual([moved.statusCode, moved.json<Task>().list_id], [200, to.id]);
    for (const { id } of [top, middle, leaf]) assert.equal((await byId(person, id)).list_id, to.id);
    const out = await patch(person, middle.id, { parent_id: null, list_id: null });
    assert.deepEqual([out.json<Task>().list_id, (await byId(person, leaf.id)).list_id], [null, null]);
    assert.equal((await byId(person, leaf.id)).parent_id, middle.id);
    assert.equal(moved.headers.etag, `"${moved.json<Task>().version}"`);
    await assertVersions(person);
  });

  test('a task is not below itself, and there are five levels', async () => {
    const person = await service().person();
    const tasks = await chain(person, 5);
    const [top, second, , , last] = tasks;
    assert.ok(top && second && last);
    for (const parent of tasks) {
      await refused(patch(person, top.id, { parent_id: parent.id }), 'parent_id', /^A task cannot be below itself$/);
    }
    await refused(
      person.send('POST', '/api/tasks', { title: 'x', parent_id: last.id }),
      'parent_id',
      /^At most 5 levels/,
    );
    const pair = await chain(person, 2);
    await refused(patch(person, pair[0]?.id ?? '', { parent_id: tasks[3]?.id }), 'parent_id', /^At most 5 levels/);
    assert.equal((await patch(person, pair[0]?.id ?? '', { parent_id: tasks[2]?.id })).statusCode, 200);
  });

  test('of two moves that would make a cycle together, one is refused', async () => {
    const person = await service().person();
    for (let round = 0; round < 5; round += 1) {
      const [a, b] = [await person.create('a'), await person.create('b')];
      const answers = await Promise.all([
        patch(person, a.id, { parent_id: b.id }),
        patch(person, b.id, { parent_id: a.id }),
      ]);
      assert.deepEqual(answers.map(({ statusCode }) => statusCode).sort(), [200, 400]);
    }
  });

  test('a parent goes with what is below it, and comes back with what went with it', async () => {
    const person = await service().person();
    const [top, middle, leaf] = await chain(person, 3);
    assert.ok(top && middle && leaf);
    const early = await person.create('deleted before', { parent_id: top.id });
    await person.send('DELETE', `/api/tasks/${early.id}`);
    const deleted = await person.send('DELETE', `/api/tasks/${top.id}`);
    assert.equal(deleted.statusCode, 200);
    assert.deepEqual(await person.list(), []);
    const trash = (await person.send('GET', '/api/tasks?deleted=true')).json<{ tasks: Task[] }>().tasks;
    assert.deepEqual(idsOf(trash), idsOf([top, middle, leaf, early]));
    const restored = await person.send('POST', `/api/tasks/${top.id}/restore`);
    assert.equal(restored.statusCode, 200);
    assert.deepEqual(idsOf(await person.list()), idsOf([top, middle, leaf]));
    assert.equal((await byId(person, leaf.id)).parent_id, middle.id);
    assert.equal((await person.send('POST', `/api/tasks/${early.id}/restore`)).json<Task>().parent_id, top.id);
    await assertVersions(person);
  });

  test('a subtask that is restored under a deleted parent is on the top level, in the inbox where its list is deleted', async () => {
    const person = await service().person();
    const list = await createList(person, 'Work');
    const [top, middle, leaf] = await chain(person, 3, { list_id: list.id });
    assert.ok(top && middle && leaf);
    await person.send('DELETE', `/api/tasks/${top.id}`);
    const restored = (await person.send('POST', `/api/tasks/${middle.id}/restore`)).json<Task>();
    assert.deepEqual([restored.parent_id, restored.list_id], [null, list.id]);
    assert.deepEqual(idsOf(await person.list()), idsOf([middle, leaf]));
    await person.send('DELETE', `/api/tasks/${middle.id}`);
    await person.send('DELETE', `/api/lists/${list.id}`);
    const again = (await person.send('POST', `/api/tasks/${middle.id}/restore`)).json<Task>();
    assert.deepEqual([again.parent_id, again.list_id], [null, null]);
    assert.equal((await byId(person, leaf.id)).list_id, null);
    await assertVersions(person);
  });

  test('permanent deletion of a parent takes the content of what is below it, deleted with it or not', async () => {
    const person = await service().person();
    const [live] = await chain(person, 3);
    const [trashed] = await chain(person, 3);
    assert.ok(live && trashed);
    await person.send('DELETE', `/api/tasks/${trashed.id}`);
    for (const { id } of [live, trashed]) {
      assert.equal((await person.send('DELETE', `/api/tasks/${id}?permanent=true`)).statusCode, 200);
    }
    assert.deepEqual(await person.list(), []);
    assert.deepEqual((await person.send('GET', '/api/tasks?deleted=true')).json().tasks, []);
    await assertVersions(person);
  });

  test('before and after place a task among those with the same list and parent, and change that task alone', async () => {
    const person = await service().person();
    const parent = await person.create('parent');
    const titles: Record<string, Task> = {};
    for (const title of 'abcd') titles[title] = await person.create(title, { parent_id: parent.id });
    const id = (title: string) => titles[title]?.id ?? '';
    const before = await counter(person);
    assert.equal((await patch(person, id('d'), { before: id('a') })).statusCode, 200);
    assert.equal(await order(person, parent.id), 'dabc');
    await patch(person, id('a'), { after: id('c') });
    assert.equal(await order(person, parent.id), 'dbca');
    const created = await person.create('e', { parent_id: parent.id, after: id('d') });
    assert.equal(await order(person, parent.id), 'debca');
    assert.equal(created.position, generateKeyBetween(...(await neighbours(person, parent.id, 'e'))));
    assert.equal(await counter(person), before + 3);
    const same = await patch(person, id('b'), { after: created.id });
    assert.equal(await order(person, parent.id), 'debca');
    assert.equal(same.statusCode, 200);
    await refused(patch(person, id('b'), { before: id('b') }), 'before', /^No task with this id/);
    await refused(patch(person, id('b'), { before: parent.id }), 'before', /^No task with this id/);
    for (const both of [
      { before: id('a'), after: id('c') },
      { before: id('a'), position: 'a0' },
    ]) {
      await refused(patch(person, id('b'), both), 'before', /cannot be given together$/);
    }
    const out = await patch(person, id('b'), { parent_id: null, before: parent.id });
    assert.deepEqual([out.statusCode, await order(person)], [200, 'bparent']);
  });

  test('between equal keys the fewest neighbours move', async () => {
    const person = await service().person();
    const make = async (titles: string, position: string) => {
      const tasks = Array.from({ length: titles.length }, () => randomUUID()).sort();
      const operations = tasks.map((id, index) => ({ op: 'create', id, title: titles[index], position }));
      await person.send('POST', '/api/batch', { operations });
      return tasks;
    };
    await make('x', 'Zz');
    const ids = await make('abcde', 'a0');
    await make('y', 'a1');
    const [moved] = await make('m', 'b00');
    for (const [place, expected, changes] of [
      [{ after: ids[3] }, 'xabcdmey', 2],
      [{ before: ids[1] }, 'xambcdey', 2],
    ] as const) {
      const before = await counter(person);
      assert.equal((await patch(person, moved ?? '', place)).statusCode, 200);
      assert.equal(await order(person), expected);
      assert.equal(await counter(person), before + changes);
    }
    await assertVersions(person);
  });

  test('keys that grow past 48 characters are made short again, in their order', async () => {
    const person = await service().person();
    const [low, high] = [await person.create('a'), await person.create('z')];
    let [above, grown] = [high.position, high];
    const operations: object[] = [];
    while (above.length <= 48) {
      above = generateKeyBetween(low.position, above);
      if (above.length > 30) operations.push({ op: 'create', title: 'm', position: above });
    }
    for (let from = 0; from < operations.length; from += 100) {
      const part = operations.slice(from, from + 100);
      const { results } = (await person.send('POST', '/api/batch', { operations: part })).json();
      grown = results.at(-1).task;
    }
    assert.ok(grown.position.length <= 48, grown.position);
    const expected = `a${'m'.repeat(operations.length)}z`;
    assert.equal(await order(person), expected);
    let next = grown;
    for (let count = 0; count < 60; count += 1) {
      next = await person.create('n', { before: next.id });
      assert.ok(next.position.length <= 48, next.position);
    }
    assert.equal(await order(person), `a${'n'.repeat(60)}${'m'.repeat(operations.length)}z`);
    await assertVersions(person);
  });

  test('two devices that append and move at once lose nothing, and every task has a place', async () => {
    const person = await service().person();
    const anchors = await Promise.all(Array.from({ length: 4 }, (_, index) => person.create(`${index}`)));
    const moves = Array.from({ length: 40 }, (_, index) => {
      const [task, sibling] = [anchors[index % 4], anchors[(index + 1) % 4]];
      return index % 2 === 0
        ? person.create('new', { after: sibling?.id })
        : patch(person, task?.id ?? '', { before: sibling?.id });
    });
    await Promise.all(moves);
    const tasks = await person.list();
    assert.deepEqual([tasks.length, new Set(tasks.map(({ position }) => position)).size], [24, 24]);
    await assertVersions(person);
  });
});

onEachDatabase(
  'a limit of ten tasks',
  (service) => {
    test('a restore of several tasks is held to the limit as a whole', async () => {
      const person = await service().person();
      const tasks = await chain(person, 2);
      await person.send('DELETE', `/api/tasks/${tasks[0]?.id}`);
      const others = Array.from({ length: 9 }, () => ({ op: 'create', title: 'x' }));
      await person.send('POST', '/api/batch', { operations: others });
      const refusal = await person.send('POST', `/api/tasks/${tasks[0]?.id}/restore`);
      assert.deepEqual([refusal.statusCode, refusal.json().code], [409, 'LIMIT_REACHED']);
      assert.equal((await person.list()).length, 9);
      await person.send('DELETE', `/api/tasks/${(await person.list())[0]?.id}`);
      assert.equal((await person.send('POST', `/api/tasks/${tasks[0]?.id}/restore`)).statusCode, 200);
      assert.equal((await person.list()).length, 10);
    });
  },
  { config: { maxTasksPerUser: 10 } },
);

/** The positions before and after the task with this title. */
async function neighbours(person: Person, parent: string, title: string): Promise<[string | null, string | null]> {
  const tasks = (await person.list()).filter(({ parent_id }) => parent_id === parent);
  const sorted = tasks.sort((a, b) => (a.position < b.position ? -1 : 1));
  const at = sorted.findIndex((task) => task.title === title);
  return [sorted[at - 1]?.position ?? null, sorted[at + 1]?.position ?? null];
}
