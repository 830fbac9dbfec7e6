import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { onEachDatabase, type Person, type Service, type Task } from './support/service.ts';
import { runAs } from './support/statements.ts';

const MISSING = '0199d3a4-7c1e-7b52-9d0f-3a2b1c4d5e6f';

/** Every way to name one task of somebody's. */
const ONE_TASK = [
  { method: 'GET', path: '', body: undefined },
  { method: 'HEAD', path: '', body: undefined },
  { method: 'PUT', path: '', body: { title: 'mine now' } },
  { method: 'PATCH', path: '', body: { is_completed: true, description: 'mine now' } },
  { method: 'POST', path: '/toggle', body: undefined },
  { method: 'DELETE', path: '', body: undefined },
] as const;

/** All of an answer that a client can see, but for what differs between any two requests. */
async function seen(person: Person, method: string, url: string, body?: object) {
  const answer = await person.send(method, url, body);
  const { date: _date, 'x-request-id': _id, ...headers } = answer.headers;
  return { status: answer.statusCode, headers, body: answer.body };
}

onEachDatabase('isolation', (service) => {
  test('another user’s task is answered to the byte as if it did not exist', async () => {
    const owner = await service().person();
    const other = await service().person();
    await other.create('so that the other user is known too');
    const task = await owner.create('private', { description: 'very' });
    const gone = await owner.create('gone');
    await owner.send('DELETE', `/api/tasks/${gone.id}`);
    for (const { method, path, body } of ONE_TASK) {
      const missing = await seen(other, method, `/api/tasks/${MISSING}${path}`, body);
      assert.equal(missing.status, 404);
      for (const id of [task.id, task.id.toUpperCase(), gone.id]) {
        assert.deepEqual(await seen(other, method, `/api/tasks/${id}${path}`, body), missing);
      }
      assert.deepEqual(await seen(owner, method, `/api/tasks/${gone.id}${path}`, body), missing);
    }
    assert.deepEqual(await owner.list(), [task]);
    assert.deepEqual(
      (await other.list()).map(({ title }) => title),
      ['so that the other user is known too'],
    );
  });

  test('users whose names differ in case, in one byte or in a trailing space are different users', async () => {
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

  test('without the owner in the statement, the database itself still shows and changes nothing foreign', async () => {
    const owner = await service().person();
    const other = await service().person();
    const task = await owner.create('guarded');
    const mine = await other.create('my own');
    const { database } = service().opened;
    const as = (sub: string, text: string) => runAs(database, sub, text);
    assert.deepEqual(await as(other.sub, 'select id from todo.tasks'), [[mine.id]]);
    assert.deepEqual(await as(other.sub, 'select id from todo.users'), [[other.sub]]);
    assert.deepEqual(await as(other.sub, `update todo.tasks set title = 'x' where id = '${task.id}' returning id`), []);
    assert.deepEqual(await as(other.sub, `delete from todo.tasks where id = '${task.id}' returning id`), []);
    await assert.rejects(
      as(other.sub, `insert into todo.tasks (user_id, id, title) values ('${owner.sub}', '${MISSING}', 'x')`),
    );
    await assert.rejects(as(other.sub, `update todo.tasks set user_id = '${owner.sub}' where id = '${mine.id}'`));
    await assert.rejects(as(other.sub, 'alter table todo.tasks disable row level security'));
    await assert.rejects(as(other.sub, 'drop policy owner_only on todo.tasks'));
    assert.deepEqual(await as('nobody', 'select id from todo.tasks'), []);
    assert.deepEqual(await owner.list(), [task]);
  });

  test('a transaction that fails leaves nobody’s identity behind on its connection', async () => {
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

  test('50 users doing 200 random things each at once see and change their own tasks alone', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(action, { minLength: 200, maxLength: 200 }), { minLength: 50, maxLength: 50 }),
        (scripts) => everybodyAtOnce(service(), scripts),
      ),
      { numRuns: 1, endOnFailure: true },
    );
  });
});

type Action =
  | { readonly kind: 'create'; readonly title: string; readonly description: string | null; readonly done: boolean }
  | { readonly kind: 'update'; readonly at: number; readonly title: string }
  | { readonly kind: 'get' | 'toggle' | 'delete'; readonly at: number }
  /** Tries to reach a task of another user's. */
  | { readonly kind: 'trespass'; readonly how: number; readonly at: number }
  | { readonly kind: 'list' };

const at = fc.nat(1_000);
const title = fc
  .string({ minLength: 1, maxLength: 20, unit: 'grapheme' })
  .map((text) => `t${text.replaceAll('\0', '')}.`);
const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('create' as const),
      title,
      description: fc.option(title),
      done: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('update' as const), at, title }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constantFrom('get' as const, 'toggle' as const, 'delete' as const), at }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('trespass' as const), how: fc.nat(ONE_TASK.length - 1), at }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'list' as const }) },
);

/** Each person acts in their own order, all people at once; each compares every answer with a model in memory. */
async function everybodyAtOnce(service: Service, scripts: readonly (readonly Action[])[]): Promise<void> {
  const everyId: string[] = [MISSING];
  const people = await Promise.all(scripts.map(() => service.person()));
  await Promise.all(
    people.map(async (person, index) => {
      const model = new Map<string, Omit<Task, 'updated_at'>>();
      for (const step of scripts[index] ?? []) await act(person, step, model, everyId);
      assert.deepEqual(newestFirst(await person.list()), newestFirst([...model.values()]));
    }),
  );
}

const newestFirst = (tasks: readonly Omit<Task, 'updated_at'>[]) =>
  tasks
    .map(({ id, user_id, title, description, is_completed, created_at }) => ({
      id,
      user_id,
      title,
      description,
      is_completed,
      created_at,
    }))
    .sort((a, b) => (`${a.created_at}${a.id}` < `${b.created_at}${b.id}` ? 1 : -1));

async function act(
  person: Person,
  step: Action,
  model: Map<string, Omit<Task, 'updated_at'>>,
  everyId: string[],
): Promise<void> {
  const own = [...model.keys()];
  const pick = (place: number) => own[place % own.length] ?? MISSING;
  if (step.kind === 'create') {
    const task = await person.create(step.title, { description: step.description, is_completed: step.done });
    assert.equal(task.user_id, person.sub);
    assert.equal(task.title, step.title.trim());
    model.set(task.id, task);
    everyId.push(task.id);
    return;
  }
  if (step.kind === 'list') {
    for (const task of await person.list()) assert.equal(task.user_id, person.sub);
    return;
  }
  if (step.kind === 'trespass') {
    const id = everyId[step.at % everyId.length] ?? MISSING;
    const how = ONE_TASK[step.how];
    if (model.has(id) || how === undefined) return;
    const answer = await person.send(how.method, `/api/tasks/${id}${how.path}`, how.body);
    assert.equal(answer.statusCode, 404);
    return;
  }
  const id = pick(step.at);
  const known = model.get(id);
  const url = `/api/tasks/${id}${step.kind === 'toggle' ? '/toggle' : ''}`;
  const methods = { get: 'GET', toggle: 'POST', delete: 'DELETE', update: 'PUT' } as const;
  const answer = await person.send(methods[step.kind], url, step.kind === 'update' ? { title: step.title } : undefined);
  assert.equal(answer.statusCode, known === undefined ? 404 : 200);
  if (known === undefined) return;
  if (step.kind === 'delete') {
    model.delete(id);
    return;
  }
  const expected = {
    ...known,
    ...(step.kind === 'toggle' ? { is_completed: !known.is_completed } : {}),
    ...(step.kind === 'update' ? { title: step.title.trim() } : {}),
  };
  const task = answer.json<Task>();
  assert.deepEqual(newestFirst([task]), newestFirst([expected]));
  model.set(id, task);
}
