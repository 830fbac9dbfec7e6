import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { changesOf } from './support/changes.ts';
import { assertError } from './support/envelope.ts';
import { onAnyDatabase, onEachDatabase, type Person, type Task } from './support/service.ts';
import { exchange, listen, open, wire } from './support/socket.ts';

const fixture = (name: string) => readFileSync(new URL(`../test/fixtures/${name}`, import.meta.url));

interface List {
  readonly id: string;
  readonly name: string;
}

const createList = async (person: Person, name: string) =>
  (await person.send('POST', '/api/lists', { name, color: '#2f9e44' })).json<List>();
const listsOf = async (person: Person) => (await person.send('GET', '/api/lists')).json<{ lists: List[] }>().lists;

interface Report {
  readonly created: number;
  readonly restored: number;
  readonly unchanged: number;
  readonly refused_count: number;
  readonly refused: readonly { readonly line: number; readonly message: string }[];
}

interface Document {
  readonly format: string;
  readonly user_id: string;
  readonly epoch: string | null;
  readonly version: number;
  readonly lists: readonly List[];
  readonly tasks: readonly Task[];
}

const send = (person: Person, type: string, content: string | Buffer, query = '', headers = {}) =>
  person.send('POST', `/api/import${query}`, content, { 'content-type': type, ...headers });

async function importFile(person: Person, type: string, content: string | Buffer, query = ''): Promise<Report> {
  const answer = await send(person, type, content, query);
  assert.equal(answer.statusCode, 200, answer.body);
  return answer.json<Report>();
}

async function exportFile(person: Person, format = 'json'): Promise<string> {
  const answer = await person.send('GET', `/api/export?format=${format}`);
  assert.equal(answer.statusCode, 200, answer.body);
  return answer.body;
}

const documentOf = async (person: Person) => JSON.parse(await exportFile(person)) as Document;

const NOTHING = { created: 0, restored: 0, unchanged: 0, refused_count: 0, refused: [] };

/** What a person sees of a task that comes from elsewhere. */
const content = ({ user_id, updated_at, version, ...rest }: Task) => rest;

const FORMATS = [
  ['json', 'application/json'],
  ['csv', 'text/csv'],
  ['ics', 'text/calendar'],
  ['todotxt', 'text/plain'],
] as const;

onEachDatabase('import and export', (service) => {
  test('the document has everything, deleted tasks and versions too, and another account takes it back', async () => {
    const owner = await service().person();
    const plain = await owner.create('plain');
    const full = await owner.create('=full', {
      description: 'two\nlines, "quoted"',
      is_completed: true,
      due_date: '2026-12-31',
      due_time: '10:30',
      due_time_zone: 'Europe/Berlin',
      priority: 'high',
      tags: ['a, b', 'c'],
    });
    const deleted = await owner.create('deleted');
    await owner.send('DELETE', `/api/tasks/${deleted.id}`);
    const answer = await owner.send('GET', '/api/export');
    assert.equal(answer.headers['content-type'], 'application/json; charset=utf-8');
    assert.match(String(answer.headers['content-disposition']), /^attachment; filename="todo-api-[\d-]{10}\.json"$/);
    const document = answer.json<Document>();
    assert.deepEqual([document.format, document.user_id], ['todo-api', owner.sub]);
    const { epoch, version } = await changesOf(owner);
    assert.deepEqual([document.epoch, document.version], [epoch, version]);
    assert.deepEqual(
      document.tasks.map(({ title, deleted_at }) => [title, deleted_at === null]),
      [
        ['plain', true],
        ['=full', true],
        ['deleted', false],
      ],
    );
    assert.deepEqual(document.tasks.slice(0, 2), [plain, full]);

    const other = await service().person();
    assert.deepEqual(await importFile(other, 'application/json', answer.body), { ...NOTHING, created: 2 });
    assert.deepEqual((await other.list()).map(content), [full, plain].map(content));
    assert.deepEqual(await importFile(other, 'application/json', answer.body), { ...NOTHING, unchanged: 2 });
    assert.deepEqual(await owner.list(), [full, plain], 'nothing of the other account has changed');
  });

  for (const [format, type] of FORMATS) {
    test(`what was exported as ${format} changes nothing here, brings back what was deleted, and is made elsewhere`, async () => {
      const owner = await service().person();
      const titles = ['one', 'two', 'three'];
      for (const title of titles) await owner.create(title, { tags: ['home'], due_date: '2026-12-31' });
      const file = await exportFile(owner, format);
      const before = await owner.list();
      assert.deepEqual(await importFile(owner, type, file), { ...NOTHING, unchanged: 3 });
      assert.deepEqual(await owner.list(), before);
      const [first, second] = before;
      await owner.send('DELETE', `/api/tasks/${first?.id}`);
      await owner.send('DELETE', `/api/tasks/${second?.id}?permanent=true`);
      const expected = { ...NOTHING, created: 2, restored: 1, unchanged: 1 };
      assert.deepEqual(await importFile(owner, type, file, '?dry_run=true'), expected);
      assert.equal((await owner.list()).length, 1, 'a dry run changes nothing');
      assert.deepEqual(await importFile(owner, type, file), expected);
      assert.deepEqual((await owner.list()).map(({ title }) => title).sort(), titles.toSorted());
      const { changes } = await changesOf(owner);
      assert.equal(changes.length, 3);

      const other = await service().person();
      assert.deepEqual(await importFile(other, type, file), { ...NOTHING, created: 3 });
      const made = await other.list();
      assert.deepEqual(made.map(({ id, title, tags, due_date }) => [id, title, tags, due_date]).sort(), [
        ...before.map(({ id, title }) => [id, title, ['home'], '2026-12-31']).sort(),
      ]);
    });
  }

  test('lists and subtasks come along in every format', async () => {
    const owner = await service().person();
    const list = await createList(owner, 'Home');
    const parent = await owner.create('parent', { list_id: list.id });
    const child = await owner.create('child', { parent_id: parent.id });
    await owner.create('alone');
    for (const [format, type] of FORMATS) {
      const file = await exportFile(owner, format);
      assert.deepEqual(await importFile(owner, type, file), { ...NOTHING, unchanged: 3 }, format);
      const other = await service().person();
      const own = format === 'ics' ? await createList(other, 'Home') : null;
      assert.deepEqual(await importFile(other, type, file), { ...NOTHING, created: 3 }, format);
      const [made, ...more] = await listsOf(other);
      assert.deepEqual([made?.name, more], ['Home', []], format);
      if (own !== null) assert.equal(made?.id, own.id, 'a list of the name is not made again');
      if (format === 'json') assert.deepEqual([made?.id, (await documentOf(owner)).lists], [list.id, [list]]);
      const tasks = new Map((await other.list()).map((task) => [task.title, task]));
      assert.deepEqual(
        ['parent', 'child', 'alone'].map((title) => [tasks.get(title)?.list_id, tasks.get(title)?.parent_id]),
        [
          [made?.id, null],
          [made?.id, parent.id],
          [null, null],
        ],
        format,
      );
      // What was deleted with its parent comes back with it; what is gone is made again.
      await other.send('DELETE', `/api/tasks/${parent.id}`);
      const report = await importFile(other, type, file);
      assert.deepEqual([report.created + report.unchanged, report.refused_count], [3, 0], format);
      await other.send('DELETE', `/api/tasks/${child.id}?permanent=true`);
      await other.send('DELETE', `/api/lists/${made?.id}?tasks=delete`);
      assert.equal((await other.list()).length, 1, format);
      assert.equal((await importFile(other, type, file)).refused_count, 0, format);
      assert.deepEqual((await other.list()).map(({ title }) => title).sort(), ['alone', 'child', 'parent'], format);
      assert.deepEqual(
        (await listsOf(other)).map(({ name }) => name),
        ['Home'],
        format,
      );
    }
  });

  test('repetitions come along, and a completed task that recurred has no successor', async () => {
    const owner = await service().person();
    const repeated = { due_date: '2026-12-31', recurrence: 'FREQ=WEEKLY;INTERVAL=2', recurrence_from: 'completed' };
    const open = await owner.create('open', repeated);
    const done = await owner.create('done', repeated);
    await owner.send('PATCH', `/api/tasks/${done.id}`, { is_completed: true, completed_on: '2026-12-31' });
    const before = (await owner.list()).map(({ title, is_completed }) => `${title} ${is_completed}`).sort();
    assert.deepEqual(before, ['done false', 'done true', 'open false']);
    for (const [format, type] of FORMATS) {
      const other = await service().person();
      assert.deepEqual(
        await importFile(other, type, await exportFile(owner, format)),
        { ...NOTHING, created: 3 },
        format,
      );
      const made = await other.list();
      assert.deepEqual(made.map(({ title, is_completed }) => `${title} ${is_completed}`).sort(), before, format);
      const copy = made.find(({ id }) => id === open.id);
      assert.ok(copy);
      assert.deepEqual({ ...copy, ...repeated }, copy, format);
    }
    const odd =
      'BEGIN:VCALENDAR\nBEGIN:VTODO\nUID:1\nSUMMARY:x\nDUE;VALUE=DATE:20261231\nRRULE:FREQ=HOURLY\nEND:VTODO\nEND:VCALENDAR\n';
    const { created, refused } = await importFile(owner, 'text/calendar', odd);
    assert.deepEqual(
      [created, refused.map(({ line, message }) => [line, message.slice(0, 11)])],
      [0, [[2, 'recurrence:']]],
    );
  });

  test('what other programs keep in projects, sections and calendars is in lists', async () => {
    const person = await service().person();
    await importFile(person, 'text/csv', fixture('todoist.csv'));
    await importFile(person, 'text/calendar', fixture('nextcloud.ics'));
    await importFile(person, 'text/plain', fixture('todo.txt'));
    const lists = new Map((await listsOf(person)).map(({ id, name }) => [id, name]));
    assert.deepEqual(
      [...lists.values()].sort(),
      ['Garden', 'GarageSale', 'Haushalt, privat', 'Kitchen', 'Report', 'TodoTxtTouch'].sort(),
    );
    const tasks = await person.list();
    const of = (title: string) => tasks.find((task) => task.title === title);
    assert.equal(of('Compare prices of tomato seeds')?.list_id, of('Plan the beds')?.list_id);
    assert.equal(lists.get(of('Belege scannen')?.list_id ?? ''), 'Haushalt, privat');
    assert.equal(of('Belege scannen')?.parent_id, of('Steuererklärung')?.id);
  });

  test('a parent or list that is nobody’s, or another’s, is refused', async () => {
    const [person, other] = [await service().person(), await service().person()];
    const [foreign, list] = [await other.create('of another'), await createList(other, 'of another')];
    const id = (index: number) => `0199d3a4-7c1e-7b52-9d0f-3a2b1c4d5e0${index}`;
    const tasks = [
      { id: id(1), title: 'below another’s', parent_id: foreign.id },
      { id: id(2), title: 'in another’s', list_id: list.id },
      { id: id(3), title: 'fine' },
    ];
    const file = JSON.stringify({ format: 'todo-api', tasks });
    assert.deepEqual(await importFile(person, 'application/json', file), {
      ...NOTHING,
      created: 1,
      refused_count: 2,
      refused: [
        { line: 1, message: 'list_id: List not found' },
        { line: 1, message: 'parent_id: Parent task not found' },
      ],
    });
  });

  test('files of other programs become tasks', async () => {
    for (const [name, type, created, refused] of [
      ['todoist.csv', 'text/csv', 8, []],
      ['tasks-org.ics', 'text/calendar', 3, []],
      ['nextcloud.ics', 'text/calendar', 3, [40]],
      ['todo.txt', 'text/plain', 15, []],
    ] as const) {
      const person = await service().person();
      const planned = await importFile(person, type, fixture(name), '?dry_run=true');
      assert.deepEqual(await person.list(), []);
      const report = await importFile(person, type, fixture(name));
      assert.deepEqual(planned, report, name);
      assert.deepEqual([report.created, report.refused.map(({ line }) => line)], [created, refused], name);
      const again = await importFile(person, type, fixture(name));
      assert.deepEqual([again.created, again.unchanged], [0, created], name);
    }
  });

  test('completed tasks were completed when they were', async () => {
    const person = await service().person();
    await importFile(person, 'text/plain', 'x 2020-03-04 2020-03-01 long ago\nx 2999-01-01 2020-02-01 in the future\n');
    const [past, future] = await person.list();
    assert.deepEqual(
      [past?.is_completed, past?.completed_at, past?.created_at],
      [true, '2020-03-04T00:00:00.000000Z', '2020-03-01T00:00:00.000000Z'],
    );
    assert.deepEqual([future?.is_completed, future?.completed_at], [true, '2999-01-01T00:00:00.000000Z']);
    const odd = ['0001-01-01', '0000-00-00', '9999-12-31'].map((day) => `x ${day} ${day} of ${day}`);
    assert.equal((await importFile(person, 'text/plain', odd.join('\n'))).created, 3);
    const made = (await person.list()).find(({ title }) => title === 'of 9999-12-31');
    assert.equal(made?.completed_at?.slice(0, 2), '20', 'what is no time is left out');
  });

  test('faulty records are refused by their lines, the others are made, and the limit holds', async () => {
    const person = await service().person();
    await person.create('there already');
    const lines = ['fine', 'x'.repeat(201), 'due:2026-02-30 also fine', 'nul \0 here', 'third', 'fourth', 'fifth'];
    const expected = {
      created: 4,
      restored: 0,
      unchanged: 0,
      refused_count: 3,
      refused: [
        { line: 2, message: 'title: Title cannot exceed 200 characters' },
        { line: 3, message: 'due_date: Due date must be a date as in 2026-11-23, of the years 1970 to 9999' },
        { line: 4, message: 'title: Title contains characters that cannot be stored' },
      ],
    };
    for (const query of ['?dry_run=true', '']) {
      assert.deepEqual(await importFile(person, 'text/plain', lines.join('\r\n'), query), expected);
    }
    const many = Array.from({ length: 1_500 }, () => 'y'.repeat(201)).join('\n');
    const report = await importFile(person, 'text/plain', many);
    assert.deepEqual([report.refused_count, report.refused.length], [1_500, 1_000]);
  });

  test('progress comes as events, and then the report', async () => {
    const person = await service().person();
    const lines = Array.from({ length: 300 }, (_, index) => `task ${index}`).join('\n');
    const answer = await send(person, 'text/plain', lines, '', { accept: 'text/event-stream' });
    assert.equal(answer.headers['content-type'], 'text/event-stream');
    const events = [...answer.body.matchAll(/^event: (\w+)\ndata: (.*)$/gm)].map(([, name, data = '']) => ({
      name,
      data: JSON.parse(data) as Report,
    }));
    assert.deepEqual(events.at(-1), { name: 'report', data: { ...NOTHING, created: 300 } });
    assert.ok(events.length > 1 && events.slice(0, -1).every(({ name }) => name === 'progress'), answer.body);
    const broken = await send(person, 'text/csv', 'nonsense', '', { accept: 'text/event-stream' });
    assert.equal(broken.statusCode, 400);
  });

  test('erasing removes everything of the caller and nothing else; the counter goes on in another epoch', async () => {
    const [owner, other] = [await service().person(), await service().person()];
    const lines = Array.from({ length: 450 }, (_, index) => `task ${index}`).join('\n');
    await importFile(owner, 'text/plain', lines);
    const [first] = await owner.list();
    await owner.send('DELETE', `/api/tasks/${first?.id}`);
    const key = { 'idempotency-key': 'a-key' };
    await owner.send('POST', '/api/tasks', { title: 'kept' }, key);
    await other.create('of another');
    const [, gone1] = [await createList(owner, 'kept'), await createList(owner, 'gone')];
    await owner.send('DELETE', `/api/lists/${gone1.id}`);
    const before = await changesOf(owner);

    const refused = await owner.send('DELETE', '/api/account/data', { confirm: other.sub });
    assertError(refused, 400, 'VALIDATION_ERROR', 'Validation failed', [
      { field: 'confirm', message: 'Confirm must be your user id' },
    ]);
    assert.equal((await owner.send('DELETE', '/api/account/data')).statusCode, 400);
    assert.equal((await owner.list()).length, 450);

    const answer = await owner.send('DELETE', '/api/account/data', { confirm: owner.sub });
    assert.deepEqual(answer.json(), { tasks: 451, lists: 2, replies: 1 });
    assert.deepEqual(await owner.list(), []);
    assert.equal((await owner.send('GET', '/api/tasks?deleted=true')).body, '{"tasks":[]}');
    const gone = await owner.send('GET', `/api/changes?cursor=${before.cursor}`);
    assertError(gone, 410, 'CURSOR_EXPIRED', 'Start again without a cursor');
    const after = await changesOf(owner);
    assert.deepEqual(after.changes, []);
    assert.ok(after.version > before.version && after.epoch !== before.epoch);
    const again = await owner.send('POST', '/api/tasks', { title: 'kept' }, key);
    assert.equal(again.headers['idempotency-replayed'], undefined);
    assert.equal((await other.list()).length, 1);
    assert.deepEqual((await documentOf(owner)).tasks.length, 1);
    const nobody = await service().person();
    assert.deepEqual((await nobody.send('DELETE', '/api/account/data', { confirm: nobody.sub })).json(), {
      tasks: 0,
      lists: 0,
      replies: 0,
    });
    const { epoch, version, tasks } = await documentOf(await service().person());
    assert.deepEqual([epoch, version, tasks], [null, 0, []], 'of a user without anything');
  });
});

onEachDatabase(
  'import at the limit of tasks',
  (service) => {
    test('what has no room is refused', async () => {
      const person = await service().person();
      await person.create('there already');
      for (const query of ['?dry_run=true', '']) {
        const { created, refused } = await importFile(person, 'text/plain', 'one\ntwo\nthree\nfour\n', query);
        assert.equal(created, 2);
        assert.deepEqual(refused, [
          { line: 3, message: 'The limit of 3 tasks is reached' },
          { line: 4, message: 'The limit of 3 tasks is reached' },
        ]);
      }
      assert.equal((await person.list()).length, 3);
    });
  },
  { config: { maxTasksPerUser: 3 } },
);

onAnyDatabase('files that cannot be imported', (service) => {
  test('a file that cannot be read is 400 with its line, and changes nothing', async () => {
    const person = await service().person();
    for (const [type, file, line] of [
      [
        'application/json',
        '{"format":"todo-api","tasks":[\n{"id":"0199d3a4-7c1e-7b52-9d0f-3a2b1c4d5e6f","title":"x"},\n',
        3,
      ],
      ['text/csv', 'title\nfine\n"open\n', 3],
      ['text/calendar', 'BEGIN:VCALENDAR\nBEGIN:VTODO\nUID:1\nSUMMARY:x\nEND:VTODO\n', 1],
      ['text/plain', Buffer.from('fine\nGr\xfc\xdfe\n', 'latin1'), 2],
    ] as const) {
      const answer = await send(person, type, file);
      const { error } = answer.json<{ error: string }>();
      assertError(answer, 400, 'INVALID_REQUEST', error);
      assert.match(error, new RegExp(`^The file cannot be read at line ${line}: `), type);
    }
    assert.deepEqual(await person.list(), []);
  });

  test('other types, encodings and sizes are refused', async () => {
    const person = await service().person();
    for (const type of ['text/html', 'text/csv; charset=latin1', 'application/x-www-form-urlencoded']) {
      const answer = await send(person, type, 'title\nx\n');
      assert.equal(answer.statusCode, 400, type);
      assert.match(answer.body, /Content-Type must be one of application\/json, text\/csv/);
    }
    assert.equal((await send(person, 'text/csv', 'x', '', { 'content-encoding': 'gzip' })).statusCode, 400);
    assert.equal((await person.send('POST', '/api/import')).statusCode, 400);
    assert.equal((await send(person, 'text/plain', Buffer.alloc(67_108_865, 'x\n'))).statusCode, 413);
    assert.equal((await send(await service().stranger(), 'text/plain', 'x')).statusCode, 401);
    assert.equal((await person.send('GET', '/api/export?format=xml')).statusCode, 400);
    assert.equal((await person.send('HEAD', '/api/export')).statusCode, 200);
    assert.deepEqual(await person.list(), []);
  });

  test('parents come before their children, wherever they stand, and a cycle is refused', async () => {
    const person = await service().person();
    const calendar = (tasks: readonly (readonly [uid: string, parent: string | null])[]) =>
      [
        'BEGIN:VCALENDAR',
        ...tasks.flatMap(([uid, parent]) => [
          'BEGIN:VTODO',
          `UID:${uid}`,
          `SUMMARY:${uid}`,
          ...(parent === null ? [] : [`RELATED-TO:${parent}`]),
          'END:VTODO',
        ]),
        'END:VCALENDAR',
      ].join('\r\n');
    const levels = calendar([
      ['5', '4'],
      ['4', '3'],
      ['3', '2'],
      ['2', '1'],
      ['1', null],
      ['6', '5'],
    ]);
    const { created, refused } = await importFile(person, 'text/calendar', levels);
    assert.deepEqual([created, refused.map(({ line }) => line)], [5, [26]]);
    const cycle = await importFile(
      person,
      'text/calendar',
      calendar([
        ['a', 'b'],
        ['b', 'a'],
        ['c', 'c'],
        ['d', null],
      ]),
    );
    assert.deepEqual([cycle.created, cycle.refused_count], [1, 3]);
  });

  test('an upload that breaks off changes nothing, and makes room for others', async () => {
    const person = await service().person();
    const port = await listen(service().app);
    for (const id of ['broken-1', 'broken-2', 'broken-3']) {
      const headers = { Authorization: `Bearer ${person.token}`, 'Content-Type': 'text/plain', 'X-Request-Id': id };
      const socket = await open(port);
      socket.write(wire('POST', '/api/import', { ...headers, 'Content-Length': '1000' }, 'one\ntwo\n'));
      await exchange(port, wire('GET', '/health', { Connection: 'close' })); // by now the service has the beginning
      socket.destroy();
      await service().log.until(({ request_id }) => request_id === id);
    }
    assert.deepEqual(await person.list(), []);
    assert.equal((await importFile(person, 'text/plain', 'one')).created, 1);
  });

  test('a third import at a time is refused, and may come again', async () => {
    const people = await Promise.all(Array.from({ length: 3 }, () => service().person()));
    const lines = Array.from({ length: 2_000 }, (_, index) => `task ${index}`).join('\n');
    const answers = await Promise.all(people.map((person) => send(person, 'text/plain', lines)));
    assert.deepEqual(answers.map(({ statusCode }) => statusCode).sort(), [200, 200, 503]);
    const refused = answers.find(({ statusCode }) => statusCode === 503);
    assert.ok(refused);
    assertError(refused, 503, 'SERVICE_UNAVAILABLE', 'Service temporarily unavailable');
    assert.ok(Number(refused.headers['retry-after']) > 0);
    const index = answers.indexOf(refused);
    const person = people[index];
    assert.ok(person);
    assert.equal((await importFile(person, 'text/plain', lines)).created, 2_000);
  });
});
