import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { generateKeyBetween } from 'fractional-indexing';
import {
  createPostgresDatabase,
  onEachDatabase,
  onPostgres,
  openPostgresAt,
  type Person,
  POSTGRES_URL,
  startService,
  type Task,
} from './support/service.ts';
import { statement } from './support/statements.ts';

const GOOD: Readonly<Record<string, readonly unknown[]>> = {
  due_date: [null, '1970-01-01', '2024-02-29', '9999-12-31'],
  priority: ['none', 'low', 'medium', 'high'],
  position: ['a0', 'Zz', 'a1V', `a0${'V'.repeat(46)}`],
  tags: [
    [],
    ['home'],
    [' Home ', 'Büro', '買い物'],
    Array.from({ length: 20 }, (_, index) => `${index}`),
    ['😀'.repeat(50)],
  ],
};

/** Of each field, values that are refused, with the message. */
const BAD: Readonly<Record<string, readonly (readonly [unknown, RegExp])[]>> = {
  due_date: [
    ...[
      '2026-02-30',
      '2025-02-29',
      '2026-13-01',
      '2026-1-1',
      '1969-12-31',
      '10000-01-01',
      '',
      'today',
      1,
      true,
      [],
    ].map((value) => [value, /^Due date must be a date as in/] as const),
    ['2026-11-23T00:00:00Z', /^Due date/],
  ],
  due_time: ['24:00', '12:60', '9:30', '09:30:00', '', 930, null].flatMap((value) =>
    value === null ? [] : [[value, /^Due time must be a time as in/] as const],
  ),
  due_time_zone: ['Mars/Olympus', '+02:00', '', 'Europe/', 'x'.repeat(2_000), 7].map(
    (value) => [value, /^Due time zone must be an IANA time zone/] as const,
  ),
  priority: ['urgent', 'High', '', 1, null].map((value) => [value, /^Priority must be one of none, low, /] as const),
  position: ['', 'a', 'a00', '!0', 'a!', 'a 0', `a0${'V'.repeat(63)}`, `A${'0'.repeat(26)}`, 'é0', null, 1].map(
    (value) => [value, /^Position must be a key of/] as const,
  ),
  tags: [
    ['home', /^Tags must be an array/],
    [null, /^Tags must be an array/],
    [[''], /^Tag cannot be empty/],
    [[' \t'], /^Tag cannot be empty/],
    [['x'.repeat(51)], /^Tag cannot exceed 50/],
    [['a\0'], /cannot be stored/],
    [[1], /^A tag must be a string/],
    [['Home', 'HOME'], /must differ by more than/],
    [['Ä', 'a\u0308'], /must differ by more than/],
    [Array.from({ length: 21 }, (_, index) => `${index}`), /^At most 20 tags/],
  ],
};

const patch = (person: Person, task: Task, body: object) => person.send('PATCH', `/api/tasks/${task.id}`, body);

onEachDatabase('fields of a task', (service) => {
  test('dates, priorities, positions and tags are kept as they are given, by create, update and batch', async () => {
    const person = await service().person();
    const task = await person.create('x');
    for (const [field, values] of Object.entries(GOOD)) {
      for (const value of values) {
        const expected = field === 'tags' && Array.isArray(value) ? value.map((tag) => tag.trim()) : value;
        const created = await person.create('x', { [field]: value });
        assert.deepEqual(Reflect.get(created, field), expected);
        const fetched = await person.send('GET', `/api/tasks/${created.id}`);
        assert.deepEqual(fetched.json(), created);
        const updated = await patch(person, task, { [field]: value });
        assert.deepEqual([updated.statusCode, updated.json()[field]], [200, expected]);
        const operations = [{ op: 'create', title: 'x', [field]: value }];
        const batch = await person.send('POST', '/api/batch', { operations });
        assert.deepEqual(batch.json().results[0].task[field], expected);
      }
    }
  });

  test('a bad value is refused with its field named, in create, update and batch, and changes nothing', async () => {
    const person = await service().person();
    const task = await person.create('x');
    for (const [field, values] of Object.entries(BAD)) {
      for (const [value, message] of values) {
        const body = { title: 'x', due_date: '2026-11-23', due_time: '18:30', [field]: value };
        const batch = await person.send('POST', '/api/batch', { operations: [{ op: 'create', ...body }] });
        const answers = [await person.send('POST', '/api/tasks', body), await patch(person, task, body)].map((answer) =>
          answer.json(),
        );
        for (const { code, details } of [...answers, batch.json().results[0]]) {
          assert.equal(code, 'VALIDATION_ERROR', JSON.stringify([field, value]));
          assert.match(details[0].field, new RegExp(`^${field}(\\.\\d+)?$`));
          assert.match(details[0].message, message);
        }
      }
    }
    assert.deepEqual(
      (await person.list()).map(({ id, version }) => [id, version]),
      [[task.id, task.version]],
    );
  });

  test('a time needs a date, and a zone a time, whatever the task has already', async () => {
    const person = await service().person();
    const due = { due_date: '2026-11-23', due_time: '18:30', due_time_zone: 'Europe/Berlin' };
    const without = await person.send('POST', '/api/tasks', { title: 'x', due_time: '18:30', due_time_zone: 'UTC' });
    assert.deepEqual(without.json().details, [{ field: 'due_time', message: 'Due time needs a due date' }]);
    const zone = await person.send('POST', '/api/tasks', { title: 'x', due_date: '2026-11-23', due_time_zone: 'UTC' });
    assert.deepEqual(zone.json().details, [{ field: 'due_time_zone', message: 'Due time zone needs a due time' }]);
    for (const body of [
      { due_time: '18:30' },
      { due_date: '2026-11-23', due_time_zone: 'UTC' },
      { recurrence: 'FREQ=DAILY' },
    ]) {
      const path = `/api/tasks/${randomUUID()}`;
      const put = await person.send('PUT', path, { title: 'x', ...body }, { 'if-none-match': '*' });
      const operations = ['create', 'put'].map((op) => ({ op, id: randomUUID(), title: 'x', ...body }));
      const batch = (await person.send('POST', '/api/batch', { operations })).json();
      const field = Object.keys(body).at(-1);
      for (const { code, details } of [put.json(), ...batch.results]) {
        assert.deepEqual([code, details[0].field], ['VALIDATION_ERROR', field]);
      }
    }
    const bare = await person.create('x');
    const task = await person.create('x', due);
    const faults = async (of: Task, body: object) => {
      const answer = await patch(person, of, body);
      assert.deepEqual([answer.statusCode, answer.json().code], [400, 'VALIDATION_ERROR']);
      return answer.json().details.map(({ field }: { readonly field: string }) => field);
    };
    assert.deepEqual(await faults(bare, { due_time: '18:30' }), ['due_time']);
    assert.deepEqual(await faults(task, { due_date: null }), ['due_date']);
    assert.deepEqual(await faults(task, { due_time: null }), ['due_time']);
    assert.deepEqual(await faults(task, { due_date: null, due_time: null }), ['due_time']);
    const operations = [{ op: 'update', id: task.id, due_date: null }];
    const atomic = await person.send('POST', '/api/batch', { operations, atomic: true });
    assert.deepEqual([atomic.statusCode, atomic.json().index, atomic.json().details[0].field], [400, 0, 'due_date']);
    const cleared = await patch(person, task, { due_date: null, due_time: null, due_time_zone: null });
    assert.deepEqual([cleared.statusCode, cleared.json<Task>().due_date], [200, null]);
    assert.equal((await patch(person, bare, { due_date: '2026-11-23', due_time: '18:30' })).statusCode, 200);
  });

  test('a stale update is 412 before it is 400', async () => {
    const person = await service().person();
    const task = await person.create('x');
    const stale = await person.send('PATCH', `/api/tasks/${task.id}`, { due_time: '18:30' }, { 'if-match': '"999"' });
    assert.equal(stale.statusCode, 412);
  });

  test('completed_at is set exactly while a task is completed', async () => {
    const person = await service().person();
    const task = await person.create('x');
    const completed = (await patch(person, task, { is_completed: true })).json<Task>();
    assert.equal(typeof completed.completed_at, 'string');
    const retitled = (await patch(person, task, { title: 'y', is_completed: true })).json<Task>();
    assert.equal(retitled.completed_at, completed.completed_at);
    assert.equal((await patch(person, task, { is_completed: false })).json<Task>().completed_at, null);
    const toggled = async () => (await person.send('POST', `/api/tasks/${task.id}/toggle`)).json<Task>();
    assert.equal(typeof (await toggled()).completed_at, 'string');
    assert.equal((await toggled()).completed_at, null);
    assert.equal(typeof (await person.create('x', { is_completed: true })).completed_at, 'string');
  });

  test('two devices that add and remove tags keep what both did', async () => {
    const person = await service().person();
    const task = await person.create('x', { tags: ['Home', 'later'] });
    await Promise.all([
      patch(person, task, { add_tags: ['Büro', 'HOME'] }),
      patch(person, task, { add_tags: ['car'], remove_tags: ['LATER', 'none'] }),
    ]);
    const tags = (await person.list())[0]?.tags ?? [];
    assert.deepEqual([tags[0], [...tags].sort()], ['Home', ['Büro', 'Home', 'car']]);
    const same = await patch(person, task, { add_tags: ['car'] });
    assert.equal(
      same.json<Task>().version,
      (await patch(person, task, { remove_tags: ['none'] })).json<Task>().version,
    );
    const both = await patch(person, task, { tags: [], add_tags: ['a'] });
    assert.deepEqual(both.json().details[0].field, 'tags');
    const many = Array.from({ length: 18 }, (_, index) => `${index}`);
    const full = await patch(person, task, { add_tags: many });
    assert.deepEqual([full.statusCode, full.json().details[0].field], [400, 'add_tags']);
    const operations = [{ op: 'update', id: task.id, remove_tags: ['car'], add_tags: many }];
    const batch = await person.send('POST', '/api/batch', { operations });
    assert.equal(batch.json().results[0].task.tags.length, 20);
  });

  test('an update in a batch changes the fields of the contract alone, whatever else it names', async () => {
    const person = await service().person();
    const task = await person.create('x', { tags: ['Home', 'later'] });
    const foreign = { tag_keys: ['a', 'b'], completed_at: '2020-01-01T00:00:00Z', version: 99, user_id: 'other' };
    for (const others of [foreign, { tag_keys: 'x' }, { tag_keys: ['a'] }, { changes_tags: true, added_keys: ['a'] }]) {
      const operations = [{ op: 'update', id: task.id, priority: 'low', ...others }];
      const { results } = (await person.send('POST', '/api/batch', { operations })).json();
      const { updated_at, version } = results[0].task;
      assert.deepEqual(results[0].task, { ...task, priority: 'low', updated_at, version });
    }
    const again = await patch(person, task, { add_tags: ['HOME', 'b'], remove_tags: ['LATER'] });
    assert.deepEqual(again.json<Task>().tags, ['Home', 'b']);
    const list = (await person.send('POST', '/api/lists', { name: 'Home' })).json();
    const ofList = { op: 'update', type: 'list', id: list.id };
    const operations = [
      { ...ofList, color: '#112233', ...foreign },
      { ...ofList, colour: 'red' },
      { op: 'update', id: task.id, prio: 'low' },
    ];
    const { results } = (await person.send('POST', '/api/batch', { operations })).json();
    const { updated_at, version } = results[0].list;
    assert.deepEqual(results[0].list, { ...list, color: '#112233', updated_at, version });
    const messages = results.slice(1).map((result: { details: { message: string }[] }) => result.details[0]?.message);
    assert.match(messages[0], /: name, color, position, is_archived\. Ignored: colour$/);
    assert.match(messages[1], /: title, .*\. Ignored: prio$/);
  });

  test('an atomic batch that a rule refuses says which, also after a change of the same task, and to a retry', async () => {
    const person = await service().person();
    const { id } = await person.create('x');
    const body = {
      atomic: true,
      operations: [{ title: 'y' }, { due_time: '18:30' }].map((to) => ({ op: 'update', id, ...to })),
    };
    const key = { 'idempotency-key': 'atomic' };
    const plain = await person.send('POST', '/api/batch', body);
    const first = await person.send('POST', '/api/batch', body, key);
    const again = await person.send('POST', '/api/batch', body, key);
    for (const { statusCode, body: text } of [first, again]) assert.deepEqual([statusCode, text], [400, plain.body]);
    assert.deepEqual(plain.json().details, [{ field: 'due_time', message: 'Due time needs a due date' }]);
    assert.deepEqual([plain.json().index, again.headers['idempotency-replayed']], [1, 'true']);
    assert.equal((await person.list())[0]?.title, 'x');
  });

  test('new tasks come at the end, also of one batch, and after what clients have placed', async () => {
    const person = await service().person();
    const positions: string[] = [];
    for (let index = 0; index < 3; index += 1) positions.push((await person.create('x')).position);
    const operations = Array.from({ length: 70 }, () => ({ op: 'create', title: 'x' }));
    const batch = await person.send('POST', '/api/batch', { operations });
    positions.push(...batch.json().results.map(({ task }: { readonly task: Task }) => task.position));
    const last = await person.create('x', { position: generateKeyBetween('b0Z', null) });
    positions.push(last.position, (await person.create('x')).position);
    let expected: string | null = null;
    for (const position of positions.slice(0, 73)) {
      expected = generateKeyBetween(expected, null);
      assert.equal(position, expected);
    }
    assert.equal(positions.at(-1), generateKeyBetween(last.position, null));
    const parallel = await Promise.all(Array.from({ length: 20 }, () => person.create('x')));
    assert.equal(new Set(parallel.map(({ position }) => position)).size, 20);
  });

  test('the database makes the positions that the npm package makes', async () => {
    const keys: (string | null)[] = [null, 'a0', 'Zz', `z${'z'.repeat(26)}`, `A${'0'.repeat(25)}1`];
    keys.push(`A${'0'.repeat(26)}1`, `z${'z'.repeat(26)}V`, 'b00', 'Z0', 'Yzz', 'a00001', 'a0zzzz', 'a1');
    for (let index = 0; index < 300; index += 1) {
      const [low = null, high = null] = [keys[(index * 7) % keys.length], keys[(index * 13 + 5) % keys.length]];
      const isOrdered = low === null || high === null || low < high;
      if (low === high && low !== null) continue;
      keys.push(isOrdered ? generateKeyBetween(low, high) : generateKeyBetween(high, low));
    }
    const pairs = keys.flatMap((low) =>
      keys
        .filter((high, at) => (low === null || high === null || low < high) && at % 5 === 0)
        .map((high) => ({ low, high })),
    );
    const text = `select todo.position_between(low, high)
      from json_to_recordset('${JSON.stringify(pairs)}') as pairs (low text, high text)`;
    const [rows = []] = await service().opened.database.transaction({ kind: 'admin' }, [statement(text)]);
    assert.deepEqual(
      rows.map(([key]) => key),
      pairs.map(({ low, high }) => generateKeyBetween(low, high)),
    );
    assert.ok(rows.length > 5_000);
  });
});

onPostgres('several processes', () => {
  test('make no position twice for tasks that one user creates at once', async () => {
    const { url, remove } = await createPostgresDatabase(POSTGRES_URL ?? '');
    const services = [await startService(await openPostgresAt(url)), await startService(await openPostgresAt(url))];
    const people = await Promise.all(services.map((service) => service.person('ann')));
    const positions: string[] = [];
    for (let round = 0; round < 40; round += 1) {
      const creates = [...people, ...people].map((person, at) => person.create('x', at < 2 ? {} : { priority: 'low' }));
      positions.push(...(await Promise.all(creates)).map(({ position }) => position));
    }
    assert.equal(new Set(positions).size, positions.length);
    for (const service of services) await service.close();
    await remove();
  });
});
