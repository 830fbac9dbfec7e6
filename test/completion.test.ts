import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { v5 as uuidv5 } from 'uuid';
import type { BoundStatement } from '../dist/database/sql.js';
import { changesOf } from './support/changes.ts';
import { onEachDatabase, type Person, type Service, startService, type Task } from './support/service.ts';
import { baseName, runAs } from './support/statements.ts';

const DAILY = { due_date: '2026-11-22', recurrence: 'FREQ=DAILY' };
const ON = { completed_on: '2026-11-22' };

const patch = (person: Person, { id }: Pick<Task, 'id'>, body: object) =>
  person.send('PATCH', `/api/tasks/${id}`, body);
const toggle = (person: Person, { id }: Pick<Task, 'id'>, body?: object) =>
  person.send('POST', `/api/tasks/${id}/toggle`, body);
const complete = (person: Person, task: Pick<Task, 'id'>, on = '2026-11-22') =>
  patch(person, task, { is_completed: true, completed_on: on });
const open = async (person: Person) => (await person.list()).filter(({ is_completed }) => !is_completed);
const dates = async (person: Person) => (await open(person)).map(({ due_date }) => due_date).sort();
const find = async (person: Person, id: string) => (await person.list()).find((task) => task.id === id);

/** A second process on the database of `service`, which calls `before` with the statements of each transaction of a user. */
async function watched(service: Service, before: (names: readonly string[]) => Promise<void>): Promise<Service> {
  const { database } = service.opened;
  const transaction: typeof database.transaction = async (identity, statements: readonly BoundStatement[]) => {
    if (identity.kind === 'user') await before(statements.map(({ statement }) => baseName(statement)));
    return database.transaction(identity, statements);
  };
  return startService({ ...service.opened, database: Object.assign(Object.create(database), { transaction }) });
}

onEachDatabase('completing a recurring task', (service) => {
  test('by PATCH, PUT, toggle and batch it stays completed, and one successor has the next date', async () => {
    const ways: readonly ((person: Person, task: Task) => Promise<{ statusCode: number; json: () => Task }>)[] = [
      (person, task) => complete(person, task),
      (person, task) => person.send('PUT', `/api/tasks/${task.id}`, { is_completed: true, ...ON }),
      (person, task) => toggle(person, task, ON),
      ...[{ op: 'toggle' }, { op: 'update', is_completed: true }, { op: 'put', is_completed: true }].map(
        (operation) => async (person: Person, task: Task) => {
          const { title, description, due_date, recurrence, recurrence_from, tags, priority } = task;
          const fields = { title, description, due_date, recurrence, recurrence_from, tags, priority };
          const given = { ...(operation.op === 'put' ? fields : {}), ...operation, ...ON, id: task.id };
          const answer = await person.send('POST', '/api/batch', { operations: [given] });
          return { statusCode: answer.statusCode, json: () => answer.json().results[0].task };
        },
      ),
    ];
    for (const way of ways) {
      const person = await service().person();
      const task = await person.create('water', {
        description: 'the plants',
        ...DAILY,
        recurrence: 'FREQ=DAILY;COUNT=5',
        recurrence_from: 'completed',
        due_time: '18:30',
        due_time_zone: 'Europe/Berlin',
        priority: 'high',
        tags: ['Home'],
      });
      const answer = await way(person, task);
      assert.equal(answer.statusCode, 200);
      const completed = answer.json();
      assert.equal(completed.id, task.id);
      assert.equal(completed.is_completed, true);
      assert.equal(typeof completed.completed_at, 'string');
      assert.equal(completed.series_id, task.id);
      const [successor, ...others] = await open(person);
      assert.ok(successor);
      assert.deepEqual(others, []);
      assert.ok(successor.position > completed.position);
      const { id, position, created_at, updated_at, version } = successor;
      assert.deepEqual(successor, {
        ...completed,
        ...{ id, position, created_at, updated_at, version },
        due_date: '2026-11-23',
        recurrence: 'FREQ=DAILY;COUNT=4',
        is_completed: false,
        completed_at: null,
      });
      assert.equal(id, uuidv5('2026-11-23', task.id));
      assert.deepEqual(await find(person, task.id), completed);
      const { changes } = await changesOf(person);
      assert.deepEqual(
        changes.slice(-2).map((change) => change.id),
        [task.id, id],
      );
    }
  });

  test('without a day it is completed today, in its time zone, else in UTC', async () => {
    const at = async (now: string, zone: string | null) => {
      const other = await startService(service().opened, { clock: () => Date.parse(now) });
      const person = await other.person(undefined, { iat: 1, exp: 4_000_000_000 });
      const due = zone === null ? {} : { due_time: '09:00', due_time_zone: zone };
      const task = await person.create('x', { ...DAILY, ...due });
      assert.equal((await toggle(person, task)).statusCode, 200);
      const found = await dates(person);
      await other.app.close();
      return found;
    };
    assert.deepEqual(await at('2026-11-30T23:30:00Z', null), ['2026-12-01']);
    assert.deepEqual(await at('2026-11-30T23:30:00Z', 'Europe/Berlin'), ['2026-12-02']);
    assert.deepEqual(await at('2026-11-30T01:30:00Z', 'America/New_York'), ['2026-11-30']);
  });

  test('the next date is after the due date and the day, or an interval after the day', async () => {
    const cases = [
      [{ recurrence: 'FREQ=DAILY' }, '2026-11-20', '2026-11-23'],
      [{ recurrence: 'FREQ=DAILY;INTERVAL=3' }, '2026-12-01', '2026-12-04'],
      [{ recurrence: 'FREQ=DAILY;INTERVAL=3', recurrence_from: 'completed' }, '2026-12-02', '2026-12-05'],
      [{ recurrence: 'FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,TH', due_date: '2026-11-23' }, '2026-11-23', '2026-11-26'],
      [{ recurrence: 'FREQ=MONTHLY', due_date: '2026-01-31' }, '2026-01-31', '2026-02-28'],
      [{ recurrence: 'FREQ=MONTHLY;BYMONTHDAY=31', due_date: '2026-01-31' }, '2026-01-31', '2026-03-31'],
      [{ recurrence: 'FREQ=YEARLY', due_date: '2028-02-29' }, '2028-02-29', '2029-02-28'],
    ] as const;
    for (const [fields, day, expected] of cases) {
      const person = await service().person();
      const task = await person.create('x', { ...DAILY, ...fields });
      await complete(person, task, day);
      assert.deepEqual(await dates(person), [expected], JSON.stringify(fields));
    }
  });

  test('at the end of COUNT and UNTIL there is none', async () => {
    for (const end of ['COUNT=2', 'UNTIL=20261123']) {
      const person = await service().person();
      let task: Task | undefined = await person.create('x', { ...DAILY, recurrence: `FREQ=DAILY;${end}` });
      for (let times = 0; times < 2; times += 1) {
        assert.ok(task);
        assert.equal((await complete(person, task)).statusCode, 200);
        [task] = await open(person);
      }
      assert.equal(task, undefined);
      assert.deepEqual((await person.list()).map(({ due_date }) => due_date).sort(), ['2026-11-22', '2026-11-23']);
    }
  });

  test('a task that is created completed, or whose rule goes with its completion, has none', async () => {
    const person = await service().person();
    await person.create('x', { ...DAILY, is_completed: true });
    const task = await person.create('x', DAILY);
    assert.equal((await patch(person, task, { is_completed: true, recurrence: null, ...ON })).statusCode, 200);
    const plain = await person.create('x', { due_date: '2026-11-22' });
    assert.equal((await complete(person, plain)).statusCode, 200);
    assert.deepEqual(await open(person), []);
  });

  test('the fields of the same request are those of the successor', async () => {
    const person = await service().person();
    const task = await person.create('x');
    const fields = { title: 'y', due_date: '2026-01-31', recurrence: 'FREQ=MONTHLY', is_completed: true };
    await patch(person, task, { ...fields, completed_on: '2026-01-31' });
    const [successor] = await open(person);
    assert.deepEqual(
      [successor?.title, successor?.due_date, successor?.recurrence],
      ['y', '2026-02-28', 'FREQ=MONTHLY;BYMONTHDAY=28,29,30,31;BYSETPOS=-1'],
    );
  });

  test('reopening takes away a successor that nobody has touched, and completing brings that one back', async () => {
    const person = await service().person();
    const task = await person.create('x', DAILY);
    const successor = uuidv5('2026-11-23', task.id);
    for (let times = 0; times < 3; times += 1) {
      await complete(person, task);
      assert.deepEqual(
        (await open(person)).map(({ id }) => id),
        [successor],
      );
      const reopened = await (times === 1 ? toggle(person, task) : patch(person, task, { is_completed: false }));
      assert.deepEqual([reopened.statusCode, reopened.json<Task>().completed_at], [200, null]);
      assert.deepEqual(
        (await open(person)).map(({ id }) => id),
        [task.id],
      );
    }
    const gone = await person.send('POST', `/api/tasks/${successor}/restore`);
    assert.equal(gone.statusCode, 404);
    assert.deepEqual((await person.send('GET', '/api/tasks?deleted=true')).json(), { tasks: [] });
    await complete(person, task, '2026-11-30');
    assert.deepEqual(await dates(person), ['2026-12-01']);
  });

  test('a successor that a person has changed or deleted stays as it is', async () => {
    const person = await service().person();
    const task = await person.create('x', DAILY);
    await complete(person, task);
    const [successor] = await open(person);
    assert.ok(successor);
    await patch(person, successor, { title: 'changed' });
    await patch(person, task, { is_completed: false });
    assert.deepEqual((await open(person)).map(({ title }) => title).sort(), ['changed', 'x']);
    await complete(person, task);
    assert.deepEqual(
      (await open(person)).map(({ id, title }) => [id, title]),
      [[successor.id, 'changed']],
    );
    for (const permanent of ['', '?permanent=true']) {
      await person.send('DELETE', `/api/tasks/${successor.id}${permanent}`);
      await patch(person, task, { is_completed: false });
      await complete(person, task);
      assert.deepEqual(await open(person), []);
    }
  });

  test('toggles in parallel flip it as often, and one successor is left or none', async () => {
    for (const times of [8, 9]) {
      const person = await service().person();
      const task = await person.create('x', DAILY);
      const answers = await Promise.all(Array.from({ length: times }, () => toggle(person, task, ON)));
      assert.deepEqual(new Set(answers.map(({ statusCode }) => statusCode)), new Set([200]));
      const states = answers.map((answer) => answer.json<Task>().is_completed);
      assert.equal(states.filter((state) => state).length, Math.ceil(times / 2));
      assert.deepEqual(await dates(person), times % 2 === 0 ? ['2026-11-22'] : ['2026-11-23']);
    }
  });

  test('toggles by two processes flip it as often', async () => {
    const other = await startService(service().opened);
    const person = await service().person();
    const twin = await other.person(person.sub);
    const task = await person.create('x', DAILY);
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, turn) => toggle(turn % 2 ? twin : person, task, ON)),
    );
    assert.deepEqual(new Set(answers.map(({ statusCode }) => statusCode)), new Set([200]));
    assert.deepEqual(await dates(person), ['2026-11-22']);
    await other.app.close();
  });

  test('guards, keys and failures hold as for any write', async () => {
    const person = await service().person();
    const task = await person.create('x', DAILY);
    const stale = await person.send('PATCH', `/api/tasks/${task.id}`, { is_completed: true }, { 'if-match': '"99"' });
    assert.deepEqual([stale.statusCode, stale.json().current.version], [412, task.version]);
    const key = { 'idempotency-key': randomUUID() };
    const once = await person.send('POST', `/api/tasks/${task.id}/toggle`, ON, key);
    const again = await person.send('POST', `/api/tasks/${task.id}/toggle`, ON, key);
    assert.deepEqual([again.statusCode, again.body], [200, once.body]);
    assert.equal(again.headers['idempotency-replayed'], 'true');
    assert.equal(once.headers.etag, `"${once.json<Task>().version}"`);
    assert.deepEqual(await dates(person), ['2026-11-23']);
    const missing = await complete(person, { id: randomUUID() });
    assert.equal(missing.statusCode, 404);
  });

  test('a rule that another process changes meanwhile is computed again, three times, and then it is 503', async () => {
    for (const times of [3, 4]) {
      const person = await service().person();
      const task = await person.create('x', DAILY);
      let moved = 0;
      const other = await watched(service(), async (names) => {
        if (!names.includes('task_toggle_series') || moved === times) return;
        moved += 1;
        await patch(person, task, { due_date: `2026-12-0${moved}` });
      });
      const answer = await toggle(await other.person(person.sub), task, ON);
      await other.app.close();
      if (times < 4) {
        assert.equal(answer.statusCode, 200);
        assert.deepEqual(await dates(person), ['2026-12-04']);
      } else {
        assert.deepEqual([answer.statusCode, answer.json().code], [503, 'SERVICE_UNAVAILABLE']);
        assert.ok(Number(answer.headers['retry-after']) > 0);
        assert.deepEqual(await dates(person), ['2026-12-04']);
        assert.equal((await person.list()).length, 1);
      }
    }
  });

  test('a task without a rule is changed in one transaction', async () => {
    const names: string[][] = [];
    const other = await watched(service(), async (transaction) => void names.push([...transaction]));
    const person = await other.person();
    const task = await person.create('x', { due_date: '2026-11-22' });
    const recurring = await person.create('x', DAILY);
    names.length = 0;
    await toggle(person, task);
    await complete(person, task);
    await patch(person, task, { is_completed: false });
    await patch(person, recurring, { title: 'y', due_date: '2026-11-23' });
    assert.equal(names.length, 4);
    assert.ok(names.flat().every((name) => !name.endsWith('_series')));
    await toggle(person, recurring, ON);
    assert.equal(names.length, 7);
    await other.app.close();
  });

  test('where there is no room for a successor, the completion is 409 and nothing is changed', async () => {
    const limited = await startService(service().opened, { config: { maxTasksPerUser: 2 } });
    const person = await limited.person();
    const task = await person.create('x', DAILY);
    await person.create('y');
    const refused = [await complete(person, task), await toggle(person, task)];
    const operations = [{ op: 'toggle', id: task.id }];
    for (const atomic of [false, true]) {
      const answer = await person.send('POST', '/api/batch', { operations, atomic });
      const { code } = atomic ? answer.json() : answer.json().results[0];
      assert.equal(code, 'LIMIT_REACHED');
    }
    for (const answer of refused) {
      assert.deepEqual([answer.statusCode, answer.json().code], [409, 'LIMIT_REACHED']);
    }
    assert.deepEqual(await find(person, task.id), task);
    await limited.app.close();
  });

  test('in a batch, operations before it may have created the task or changed its rule', async () => {
    for (const atomic of [false, true]) {
      const person = await service().person();
      const [id, other] = [randomUUID(), await person.create('other', DAILY)];
      const operations = [
        { op: 'create', id, title: 'new', ...DAILY },
        { op: 'toggle', id, ...ON },
        { op: 'update', id: other.id, recurrence: 'FREQ=WEEKLY', due_date: '2026-11-24' },
        { op: 'update', id: other.id, is_completed: true, ...ON },
        { op: 'toggle', id },
        { op: 'toggle', id, completed_on: '2026-11-25' },
      ];
      const answer = await person.send('POST', '/api/batch', { operations, atomic });
      assert.equal(answer.statusCode, 200, answer.body);
      const kinds = answer.json().results.map(({ status }: { status: number }) => status);
      assert.deepEqual(kinds, [201, 200, 200, 200, 200, 200]);
      assert.deepEqual(await dates(person), ['2026-11-26', '2026-12-01']);
    }
  });

  test('a batch of many recurring tasks completes each', async () => {
    const person = await service().person();
    const created = await person.send('POST', '/api/batch', {
      operations: Array.from({ length: 50 }, () => ({ op: 'create', title: 'x', ...DAILY })),
    });
    const ids: string[] = created.json().results.map(({ task }: { task: Task }) => task.id);
    const operations = ids.map((id) => ({ op: 'toggle', id, ...ON }));
    const answer = await person.send('POST', '/api/batch', { operations, atomic: true });
    assert.equal(answer.statusCode, 200, answer.body);
    assert.deepEqual(
      await dates(person),
      Array.from({ length: 50 }, () => '2026-11-23'),
    );
  });

  test('a series whose date comes again goes on', async () => {
    const person = await service().person();
    const task = await person.create('x', {
      ...DAILY,
      recurrence: 'FREQ=DAILY;INTERVAL=3',
      recurrence_from: 'completed',
    });
    await complete(person, task, '2026-11-22');
    for (const _again of [1, 2, 3]) {
      const [now] = await open(person);
      assert.ok(now);
      assert.equal(now.due_date, '2026-11-25');
      await complete(person, now, '2026-11-22');
      await patch(person, now, { is_completed: false });
      assert.deepEqual(
        (await open(person)).map(({ id }) => id),
        [now.id],
      );
      await complete(person, now, '2026-11-22');
    }
    assert.equal((await person.list()).length, 5);
  });

  test('one that is completed late again has no second successor', async () => {
    const person = await service().person();
    const first = await person.create('x', DAILY);
    await complete(person, first);
    const [second] = await open(person);
    assert.ok(second);
    await complete(person, second);
    await patch(person, first, { is_completed: false });
    await complete(person, first);
    assert.deepEqual(await dates(person), ['2026-11-24']);
  });

  test('what is below it is copied open, under ids that follow from its own, and goes with it', async () => {
    const person = await service().person();
    const list = (await person.send('POST', '/api/lists', { name: 'Plants' })).json<{ id: string }>();
    const task = await person.create('x', { ...DAILY, list_id: list.id });
    const child = await person.create('child', { parent_id: task.id, is_completed: true });
    const grandchild = await person.create('grandchild', { parent_id: child.id });
    await person.create('done', { ...DAILY, parent_id: task.id }).then((done) => complete(person, done));
    const isOpen = async () =>
      new Set((await open(person)).filter(({ title }) => title !== 'done').map(({ id }) => id));
    await complete(person, task);
    const copy = uuidv5('2026-11-23', task.id);
    const [childCopy, grandchildCopy] = [uuidv5(child.id, copy), uuidv5(grandchild.id, uuidv5(child.id, copy))];
    assert.deepEqual(await isOpen(), new Set([copy, childCopy, grandchild.id, grandchildCopy]));
    const places = (await person.list()).map(({ id, list_id, parent_id }) => [id, [list_id, parent_id]] as const);
    assert.deepEqual(new Map(places).get(childCopy), [list.id, copy]);
    assert.deepEqual(new Map(places).get(grandchildCopy), [list.id, childCopy]);
    assert.equal((await person.list()).filter(({ title }) => title === 'done').length, 3);
    await patch(person, task, { is_completed: false });
    assert.deepEqual(await isOpen(), new Set([task.id, grandchild.id]));
    await complete(person, task);
    assert.ok(await find(person, grandchildCopy));
    await patch(person, { id: grandchildCopy }, { title: 'touched' });
    await patch(person, task, { is_completed: false });
    assert.ok(await find(person, copy));
  });

  test('a task that is moved in the same request is completed where it goes, and a bad place refuses both', async () => {
    const person = await service().person();
    const list = (await person.send('POST', '/api/lists', { name: 'Plants' })).json<{ id: string }>();
    const task = await person.create('x', DAILY);
    const child = await person.create('child', { parent_id: task.id });
    const done = { is_completed: true, ...ON };
    const refused = await patch(person, task, { ...done, list_id: randomUUID() });
    assert.deepEqual([refused.statusCode, refused.json().details[0].field], [400, 'list_id']);
    assert.deepEqual((await find(person, task.id))?.is_completed, false);
    assert.equal((await patch(person, task, { ...done, list_id: list.id })).statusCode, 200);
    const lists = (await person.list()).map(({ list_id }) => list_id);
    assert.deepEqual(lists, [list.id, list.id, list.id, list.id]);
    assert.equal((await find(person, uuidv5(child.id, uuidv5('2026-11-23', task.id))))?.is_completed, false);
    await patch(person, task, { is_completed: false, list_id: null });
    assert.deepEqual(
      new Set((await person.list()).map(({ id, list_id }) => `${id} ${list_id}`)),
      new Set([`${task.id} null`, `${child.id} null`]),
    );
  });

  test('counters and versions are right after all that', async () => {
    const person = await service().person();
    const task = await person.create('x', DAILY);
    for (let times = 0; times < 5; times += 1) await toggle(person, task, ON);
    const [[version, tasks, trash] = []] = await runAs(
      service().opened.database,
      person.sub,
      'select version, tasks, trash from todo.users where id = $1',
      [person.sub],
    );
    assert.deepEqual([version, tasks, trash], ['11', '2', '0']);
    assert.deepEqual(new Set((await person.list()).map((each) => each.version)), new Set([10, 11]));
  });
});

onEachDatabase('a recurrence', (service) => {
  test('is refused with its field named where it is none, or never occurs, or has no date', async () => {
    const person = await service().person();
    const task = await person.create('x', DAILY);
    const bare = await person.create('y');
    const of = async (method: string, url: string, body: object) => {
      const answer = await person.send(method, url, body);
      return [answer.statusCode, answer.json().details?.[0].field, answer.json().details?.[0].message];
    };
    const url = `/api/tasks/${task.id}`;
    const bad = { ...DAILY, recurrence: 'FREQ=DAILY;BYHOUR=9' };
    assert.match(String((await of('POST', '/api/tasks', { title: 'x', ...bad }))[2]), /^recurrence: BYHOUR is not /);
    assert.deepEqual((await of('PATCH', url, { recurrence: 7 })).slice(0, 2), [400, 'recurrence']);
    assert.deepEqual((await of('PATCH', url, { recurrence_from: 'x' })).slice(0, 2), [400, 'recurrence_from']);
    const never = { recurrence: 'FREQ=DAILY;INTERVAL=7;BYDAY=MO', due_date: '2026-11-24' };
    assert.deepEqual((await of('PATCH', url, never)).slice(0, 2), [400, 'recurrence']);
    assert.deepEqual((await of('POST', '/api/tasks', { title: 'x', ...never })).slice(0, 2), [400, 'recurrence']);
    assert.deepEqual(await of('PATCH', `/api/tasks/${bare.id}`, { recurrence: 'FREQ=DAILY' }), [
      400,
      'recurrence',
      'Recurrence needs a due date',
    ]);
    assert.deepEqual(await of('PATCH', url, { due_date: null }), [400, 'due_date', 'Recurrence needs a due date']);
    assert.deepEqual(await of('POST', '/api/tasks', { title: 'x', recurrence: 'FREQ=DAILY' }), [
      400,
      'recurrence',
      'Recurrence needs a due date',
    ]);
    for (const completed_on of ['2026-02-30', 'today', 7, null]) {
      assert.deepEqual((await of('PATCH', url, { is_completed: true, completed_on })).slice(0, 2), [
        400,
        'completed_on',
      ]);
      assert.deepEqual((await of('POST', `${url}/toggle`, { completed_on })).slice(0, 2), [400, 'completed_on']);
    }
    assert.deepEqual((await of('PATCH', url, { ...ON })).slice(0, 2), [400, 'completed_on']);
    assert.deepEqual((await of('PATCH', url, { is_completed: false, ...ON })).slice(0, 2), [400, 'completed_on']);
    assert.deepEqual(await find(person, task.id), task);
    assert.equal((await person.send('PUT', url, task)).statusCode, 200);
  });

  test('is stored as one that has a date in each month, whether the rule or the date comes first', async () => {
    const person = await service().person();
    const expected = 'FREQ=MONTHLY;BYMONTHDAY=28,29,30,31;BYSETPOS=-1';
    const created = await person.create('x', { due_date: '2026-01-31', recurrence: 'freq=monthly' });
    assert.equal(created.recurrence, expected);
    const batch = await person.send('POST', '/api/batch', {
      operations: [{ op: 'create', title: 'x', due_date: '2026-01-31', recurrence: 'freq=monthly' }],
    });
    assert.equal(batch.json().results[0].task.recurrence, expected);
    const task = await person.create('x', { due_date: '2026-01-31' });
    assert.equal((await patch(person, task, { recurrence: 'FREQ=MONTHLY' })).json<Task>().recurrence, expected);
    const other = await person.create('x', { due_date: '2026-01-15', recurrence: 'FREQ=MONTHLY' });
    assert.equal(other.recurrence, 'FREQ=MONTHLY');
    assert.equal((await patch(person, other, { due_date: '2026-01-31' })).json<Task>().recurrence, expected);
    assert.equal((await patch(person, other, { due_date: '2026-02-15' })).json<Task>().recurrence, expected);
    assert.equal((await patch(person, other, { recurrence: null })).json<Task>().recurrence, null);
  });

  test('a toggle needs no body, and takes one that is empty', async () => {
    const person = await service().person();
    const task = await person.create('x');
    assert.equal((await toggle(person, task)).statusCode, 200);
    assert.equal((await toggle(person, task, {})).statusCode, 200);
    const malformed = await person.send('POST', `/api/tasks/${task.id}/toggle`, '{', {
      'content-type': 'application/json',
    });
    assert.equal(malformed.statusCode, 400);
  });
});
