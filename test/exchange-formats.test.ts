import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { READERS, WRITERS } from '../dist/exchange/format.js';
import { type Entry, idFromUid, SyntaxFault, type TaskEntry, type WrittenTask } from '../dist/exchange/record.js';

const fixture = (name: string) => readFileSync(new URL(`../test/fixtures/${name}`, import.meta.url));

/** `content` in pieces of `size` bytes, so that characters and records are cut. */
async function* pieces(content: string | Buffer, size: number): AsyncGenerator<Buffer> {
  const bytes = Buffer.from(content);
  for (let from = 0; from < bytes.length; from += size) yield bytes.subarray(from, from + size);
}

async function read(mediaType: string, content: string | Buffer, size = 7): Promise<Entry[]> {
  const reader = READERS.get(mediaType);
  if (reader === undefined) throw new Error(`No reader of ${mediaType}`);
  const entries: Entry[] = [];
  for await (const entry of reader(pieces(content, size))) entries.push(entry);
  return entries;
}

const tasksIn = (entries: readonly Entry[]): TaskEntry[] =>
  entries.flatMap((entry) => (entry.kind === 'task' ? entry : []));
const refusedIn = (entries: readonly Entry[]) =>
  entries.flatMap((entry) => (entry.kind === 'refused' ? [{ line: entry.line, message: entry.message }] : []));

/** Asserts that the file is refused as a whole, with the line and a message. */
async function assertFault(mediaType: string, content: string | Buffer, line: number, message: RegExp): Promise<void> {
  await assert.rejects(read(mediaType, content, 1_000), (error) => {
    assert.ok(error instanceof SyntaxFault, String(error));
    assert.match(error.message, message);
    assert.equal(error.line, line, error.message);
    return true;
  });
}

const at = (tasks: readonly TaskEntry[], title: string): TaskEntry => {
  const found = tasks.find(({ fields }) => fields.title === title);
  assert.ok(found, `${title} is among ${tasks.map(({ fields }) => fields.title).join('; ')}`);
  return found;
};

test('a file of Todoist: sections, subtasks, labels, notes, dates', async () => {
  const entries = await read('text/csv', fixture('todoist.csv'));
  const tasks = tasksIn(entries);
  assert.deepEqual(refusedIn(entries), []);
  assert.deepEqual(
    tasks.map(({ fields, list, line }) => [line, fields.title, list]),
    [
      [3, 'Renew the passport', null],
      [9, 'Plan the beds', { name: 'Garden' }],
      [10, 'Order seeds', { name: 'Garden' }],
      [11, 'Compare prices of tomato seeds', { name: 'Garden' }],
      [12, 'Turn the compost', { name: 'Garden' }],
      [13, 'Ask @Jo about the fence', { name: 'Garden' }],
      [15, 'Order seeds', { name: 'Kitchen' }],
      [16, 'Order seeds', { name: 'Kitchen' }],
    ],
  );
  assert.deepEqual(at(tasks, 'Renew the passport').fields, {
    title: 'Renew the passport',
    description: 'Photos: 35 × 45 mm, "biometric"\n\nThe office is closed on Fridays\n\nBring:\r\nold passport, photos',
    priority: 'high',
    tags: ['errand'],
    due_date: '2026-12-04',
    due_time: null,
    due_time_zone: null,
  });
  const { due_date, due_time, due_time_zone, tags } = at(tasks, 'Plan the beds').fields;
  assert.deepEqual(
    { due_date, due_time, due_time_zone, tags },
    { due_date: '2027-03-07', due_time: '10:30', due_time_zone: 'Europe/Berlin', tags: ['weekend', 'outdoors'] },
  );
  const [, plan, seeds, prices, compost, fence, evening] = tasks;
  assert.deepEqual([seeds?.parentId, prices?.parentId, compost?.parentId], [plan?.id, seeds?.id, null]);
  assert.equal(compost?.fields.description, 'Date: every 2 weeks');
  assert.deepEqual([fence?.fields.due_date, fence?.fields.tags], ['2027-04-01', ['Jo']]);
  assert.deepEqual(
    [evening?.fields.due_time, evening?.fields.due_time_zone, evening?.fields.description],
    ['18:05', null, 'Deadline: 2027-01-20'],
  );
  assert.equal(new Set(tasks.map(({ id }) => id)).size, tasks.length, 'equal tasks have ids of their own');
});

test('a file of Tasks.org: parents, tags, zones, repetition, completion', async () => {
  const tasks = tasksIn(await read('text/calendar', fixture('tasks-org.ics')));
  const [plants, can, tax] = tasks;
  assert.equal(tasks.length, 3);
  assert.deepEqual(plants, {
    kind: 'task',
    line: 4,
    id: idFromUid('icalendar', '4290517349243274514'),
    parentId: null,
    list: null,
    fields: {
      title: 'Water the plants',
      description: 'Ferns twice, cacti never;\nthe key is with Mr. Öztürk in 4 B, second floor',
      is_completed: false,
      completed_at: null,
      created_at: '2026-11-02T06:04:51.000000Z',
      priority: 'high',
      tags: ['home', 'balcony, south'],
      due_date: '2026-12-01',
      due_time: '17:00',
      due_time_zone: 'Europe/Berlin',
      recurrence: 'FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,FR',
    },
  });
  assert.equal(can?.parentId, plants?.id);
  assert.deepEqual(
    [can?.fields.is_completed, can?.fields.completed_at, can?.fields.priority],
    [true, '2026-11-03T06:04:52.000000Z', 'low'],
  );
  assert.deepEqual(
    [tax?.fields.due_date, tax?.fields.due_time, tax?.fields.priority, tax?.fields.is_completed],
    ['2027-01-15', undefined, 'medium', false],
  );
});

test('a file of Nextcloud: the calendar is the list, UUIDs are the ids, UTC and floating times', async () => {
  const entries = await read('text/calendar', fixture('nextcloud.ics'));
  const [tax, scan, bicycle] = tasksIn(entries);
  assert.equal(tasksIn(entries).length, 3);
  assert.equal(tax?.id, '0b6d1e3c-53a5-4b4f-9e6c-6c1a2b3c4d5e');
  assert.deepEqual(tax.list, { name: 'Haushalt, privat' });
  assert.deepEqual(tax.fields.tags, ['Büro', 'Geld']);
  assert.deepEqual(
    [tax.fields.due_date, tax.fields.due_time, tax.fields.due_time_zone, tax.fields.is_completed],
    ['2027-05-31', '21:59', 'UTC', false],
  );
  assert.equal(scan?.parentId, tax.id);
  assert.deepEqual([scan.fields.due_time, scan.fields.due_time_zone], ['12:00', null]);
  assert.equal(bicycle?.fields.is_completed, true);
  assert.deepEqual(
    refusedIn(entries).map(({ line, message }) => [line, message.slice(0, 13)]),
    [[40, 'RECURRENCE-ID']],
  );
});

test('a todo.txt: priorities, projects, contexts, dates, repetition, completion', async () => {
  const tasks = tasksIn(await read('text/plain', fixture('todo.txt')));
  const fieldsOf = (title: string) => at(tasks, title).fields;
  assert.deepEqual(
    tasks.map(({ line, list, fields }) => [line, fields.title, list === null ? null : 'name' in list && list.name]),
    [
      [1, 'Thank Mom for the meatballs', null],
      [2, 'Schedule Goodwill pickup', 'GarageSale'],
      [3, 'Post signs around the neighborhood', 'GarageSale'],
      [4, 'Eskimo pies', null],
      [5, "Review Tim's pull request", 'TodoTxtTouch'],
      [6, 'Call Mom', null],
      [7, 'xylophone lesson', null],
      [8, 'X 2026-01-01 Make resolutions', null],
      [9, '(b) Get back to the boss', null],
      [10, 'Learn how to add 2+2, see http://example.com/a:b', null],
      [11, 'Email @bob about the +Report and the invoice', 'Report'],
      [13, 'Pay the rent', null],
      [14, 'Water the plants', null],
      [15, 'Stretch rec:1d', null],
      [16, 'Post signs around the neighborhood', 'GarageSale'],
    ],
  );
  assert.equal(fieldsOf('Thank Mom for the meatballs').priority, 'high');
  assert.deepEqual(fieldsOf('Schedule Goodwill pickup').tags, ['phone']);
  assert.equal(fieldsOf('Schedule Goodwill pickup').created_at, '2026-11-01T00:00:00.000000Z');
  const review = fieldsOf("Review Tim's pull request");
  assert.deepEqual(
    [review.is_completed, review.completed_at, review.created_at, review.priority],
    [true, '2026-11-03T00:00:00.000000Z', '2026-11-01T00:00:00.000000Z', 'low'],
  );
  assert.deepEqual([fieldsOf('Call Mom').is_completed, fieldsOf('xylophone lesson').is_completed], [true, false]);
  assert.deepEqual(fieldsOf('Email @bob about the +Report and the invoice').tags, ['bob']);
  const { due_date, recurrence, recurrence_from, tags } = fieldsOf('Pay the rent');
  assert.deepEqual(
    { due_date, recurrence, recurrence_from, tags },
    { due_date: '2026-12-01', recurrence: 'FREQ=MONTHLY', recurrence_from: 'due', tags: ['bank'] },
  );
  const plants = fieldsOf('Water the plants');
  assert.deepEqual([plants.recurrence, plants.recurrence_from], ['FREQ=DAILY;INTERVAL=3', 'completed']);
  assert.equal(new Set(tasks.map(({ id }) => id)).size, tasks.length, 'equal lines have ids of their own');
});

test('the ids of lines stay when lines are added, moved or completed', async () => {
  const idsOf = async (text: string) =>
    new Map(tasksIn(await read('text/plain', text)).map(({ id, fields }) => [fields.title, id]));
  const before = await idsOf('one\ntwo @home\nthree\n');
  const after = await idsOf('zero\nx 2026-11-01 2026-10-01 three\n(A) one\r\ntwo @home');
  assert.deepEqual([after.get('one'), after.get('two'), after.get('three')], [...before.values()]);
});

test('files that break off say where, and so do other faults', async () => {
  const cut = (name: string, marker: string) => {
    const content = fixture(name);
    return content.subarray(0, content.indexOf(marker) + marker.length);
  };
  await assertFault('text/calendar', cut('tasks-org.ics', 'SUMMARY:Fill'), 24, /before END:VTODO/);
  await assertFault('text/calendar', cut('nextcloud.ics', 'END:VEVENT\r\n'), 1, /before END:VCALENDAR/);
  await assertFault('text/calendar', 'hello\r\n', 1, /BEGIN:VCALENDAR/);
  await assertFault('text/calendar', '', 1, /BEGIN:VCALENDAR/);
  await assertFault('text/calendar', 'BEGIN:VCALENDAR\r\nBEGIN:VTODO\r\nEND:VCALENDAR\r\n', 3, /END:VTODO is expected/);
  await assertFault('text/csv', cut('todoist.csv', '"Bring:'), 5, /never closed/);
  await assertFault('text/csv', 'name,done\nx,y\n', 1, /"title"/);
  await assertFault('text/csv', '', 1, /"title"/);
  await assertFault('text/csv', 'title\nfine\nbad"quote\n', 3, /doubled/);
  await assertFault('text/csv', `title\nfine\n${'x'.repeat(10_000_000)}\n`, 3, /longer than 64 KiB/);
  const document = '{"format":"todo-api",\n"tasks":[\n{"id":"0199d3a4-7c1e-7b52-9d0f-3a2b1c4d5e6f","title":"one"}';
  await assertFault('application/json', document, 3, /JSON/);
  await assertFault('application/json', `${document},\n{]`, 4, /JSON/);
  await assertFault('application/json', `${document}]}\n}`, 4, /JSON/);
  await assertFault('application/json', '{"tasks":[]}', 1, /"format"/);
  await assertFault('application/json', '[]', 1, /"format"/);
  await assertFault('application/json', `${document},\n{"title":"${'x'.repeat(10_000_000)}"}]}`, 4, /128 KiB/);
  for (const [mediaType, start] of [
    ['text/csv', 'title\nfine\n'],
    ['text/plain', 'fine\nfine\n'],
    ['text/calendar', 'BEGIN:VCALENDAR\nBEGIN:VTODO\n'],
    ['application/json', '{\n"format":"todo-api",\n'],
  ] as const) {
    const latin1 = Buffer.from(`${start}SUMMARY:${mediaType === 'application/json' ? '"' : ''}Gr\xfc\xdfe\n`, 'latin1');
    await assertFault(mediaType, latin1, 3, /UTF-8/);
    await assertFault(mediaType, Buffer.from(`\ufeff${start}`, 'utf16le'), 1, /UTF-8/);
  }
});

test('faulty records are refused with their line, and those around them are read', async () => {
  const csv = await read('text/csv', '\ufefftitle,tags\r\n"one\r\nmore",a\r\nshort\n"two",b\r\nx,"a"" ""b, c"\r\n');
  assert.deepEqual(
    tasksIn(csv).map(({ line, fields }) => [line, fields.title]),
    [
      [2, 'one\r\nmore'],
      [5, 'two'],
    ],
  );
  assert.deepEqual(
    refusedIn(csv).map(({ line, message }) => [line, message.split(' ', 1)[0]]),
    [
      [4, 'The'],
      [6, 'tags:'],
    ],
  );
  const lines = await read('text/plain', `one\n${'x'.repeat(10_000_000)}\ntwo`, 65_536);
  assert.deepEqual(
    lines.map(({ kind, line }) => [kind, line]),
    [
      ['task', 1],
      ['refused', 2],
      ['task', 3],
    ],
  );
  const calendar = await read(
    'text/calendar',
    [
      'BEGIN:VCALENDAR',
      'BEGIN:VTODO',
      'SUMMARY:without uid',
      'END:VTODO',
      'BEGIN:VTODO',
      'UID:no-colon',
      'DUE',
      'END:VTODO',
      'BEGIN:VTODO',
      'UID:long-attachment',
      'SUMMARY:fine',
      `ATTACH:${'x'.repeat(10_000_000)}`,
      `COMMENT:${`${'y'.repeat(70)}\r\n `.repeat(3_000)}`,
      'END:VTODO',
      'END:VCALENDAR',
    ].join('\r\n'),
    65_536,
  );
  assert.deepEqual(
    calendar.map(({ kind, line }) => [kind, line]),
    [
      ['refused', 2],
      ['refused', 5],
      ['task', 9],
    ],
  );
  const json = await read(
    'application/json',
    '{"lists":[{"name":"no id"}],\n"tasks":[7,\n{"id":"x"},\n{"id":"0199d3a4-7c1e-7b52-9d0f-3a2b1c4d5e6f",\n"title":"\\u0000"}],"format":"todo-api"}',
  );
  assert.deepEqual(
    json.map(({ kind, line }) => [kind, line]),
    [
      ['refused', 1],
      ['refused', 2],
      ['refused', 3],
      ['task', 5],
    ],
  );
});

test('a line that is folded within a character is read', async () => {
  const [summary, rest] = [Buffer.from('SUMMARY:Gr'), Buffer.from('üße')];
  const content = Buffer.concat([
    Buffer.from('BEGIN:VCALENDAR\nBEGIN:VTODO\nUID:1\n'),
    summary,
    rest.subarray(0, 1),
    Buffer.from('\n\t'),
    rest.subarray(1),
    Buffer.from('\nEND:VTODO\nEND:VCALENDAR\n'),
  ]);
  assert.equal(tasksIn(await read('text/calendar', content))[0]?.fields.title, 'Grüße');
});

const uuid = fc.uuid({ version: 7 });
const text = (maxLength: number) =>
  fc
    .string({ unit: 'grapheme', minLength: 1, maxLength })
    .map((value) => value.trim())
    .filter((value) => value !== '' && !value.includes('\0'));
const tricky = fc.constantFrom(
  '=1+2',
  "'=x",
  '@cmd',
  '-2',
  '+3',
  '"',
  'a,b;c\\',
  'line\nbreak',
  'x marks',
  '\u{1f600}',
  '＝1',
);
const dayOf = (moment: Date) => moment.toISOString().slice(0, 10);
const moment = fc
  .date({ min: new Date('1970-01-01'), max: new Date('2100-01-01'), noInvalidDate: true })
  .map((date) => `${date.toISOString().slice(0, 19)}.000000Z`);

const task: fc.Arbitrary<WrittenTask> = fc
  .record({
    id: uuid,
    parent_id: fc.option(uuid),
    list: fc.option(fc.oneof(text(20), tricky)),
    title: fc.oneof(text(200), tricky),
    description: fc.option(fc.oneof(text(300), tricky)),
    is_completed: fc.boolean(),
    completed_at: moment,
    due: fc.date({ min: new Date('1970-01-01'), max: new Date('2100-01-01'), noInvalidDate: true }).map(dayOf),
    precision: fc.constantFrom('none', 'date', 'time', 'zone'),
    time: fc.constantFrom('00:00', '09:30', '23:59'),
    due_time_zone: fc.constantFrom('UTC', 'Europe/Berlin', 'America/Argentina/Buenos_Aires', 'Asia/Kolkata'),
    priority: fc.constantFrom('none', 'low', 'medium', 'high'),
    tags: fc.uniqueArray(fc.oneof(text(20), tricky), { maxLength: 4, selector: (tag) => tag.toLowerCase() }),
    recurrence: fc.constantFrom(null, 'FREQ=DAILY', 'FREQ=MONTHLY;INTERVAL=2;BYMONTHDAY=28,29,30;BYSETPOS=-1'),
    recurrence_from: fc.constantFrom('due', 'completed'),
    position: fc.constantFrom('a0', 'Zz', 'a0V'),
    created_at: moment,
  })
  .map(({ due, precision, time, ...rest }) => ({
    ...rest,
    completed_at: rest.is_completed ? rest.completed_at : null,
    due_date: precision === 'none' ? null : due,
    due_time: precision === 'time' || precision === 'zone' ? time : null,
    due_time_zone: precision === 'zone' ? rest.due_time_zone : null,
    recurrence: precision === 'none' ? null : rest.recurrence,
    recurrence_from: precision === 'none' ? 'due' : rest.recurrence_from,
    updated_at: rest.created_at,
  }));

/** What is read of `written`, in its terms; what is absent has the value that a new task has. */
const toWritten = ({ id, parentId, list, fields }: TaskEntry, { updated_at }: WrittenTask) => ({
  id,
  parent_id: parentId,
  list: list !== null && 'name' in list ? list.name : null,
  description: null,
  completed_at: null,
  due_date: null,
  due_time: null,
  due_time_zone: null,
  recurrence: null,
  recurrence_from: 'due',
  ...fields,
  updated_at,
});

const lineBreaks = (value: string | null) => value?.replace(/\r\n?/g, '\n').replace(/(?![\t\n])\p{Cc}/gu, '') ?? null;

/** What iCalendar cannot hold: line breaks other than LF, and control characters. */
const asICalendar = (written: WrittenTask): WrittenTask => ({
  ...written,
  title: lineBreaks(written.title) ?? '',
  description: lineBreaks(written.description),
  list: lineBreaks(written.list),
});

for (const [name, format, holds] of [
  ['CSV', WRITERS.csv, (written: WrittenTask) => written],
  ['iCalendar', WRITERS.ics, asICalendar],
] as const) {
  test(`what is written as ${name} is read as it was`, async () => {
    const property = fc.asyncProperty(
      fc.array(task, { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 1, max: 99 }),
      async (tasks, size) => {
        const writer = format.writer();
        const file = writer.begin() + writer.write(tasks) + writer.end();
        const entries = await read(format.mediaType, file, size);
        assert.deepEqual(refusedIn(entries), []);
        const found = tasksIn(entries).map((entry, index) => toWritten(entry, tasks[index] ?? assert.fail()));
        assert.deepEqual(found, tasks.map(holds));
      },
    );
    await fc.assert(property, { numRuns: 150 });
  });
}

test('what todo.txt can hold is read as it was', async () => {
  const word = fc.string({ unit: fc.constantFrom('a', 'Z', 'ü', '7', '-'), minLength: 1, maxLength: 8 });
  const plain = task.chain((written) =>
    fc
      .record({
        title: fc.array(word, { minLength: 1, maxLength: 4 }).map((words) => words.join(' ')),
        tags: fc.uniqueArray(word, { maxLength: 3, selector: (tag) => tag.toLowerCase() }),
        list: fc.option(word),
        recurrence: fc.constantFrom(null, 'FREQ=DAILY', 'FREQ=WEEKLY;INTERVAL=2', 'FREQ=YEARLY'),
        recurrence_from: fc.constantFrom('due', 'completed'),
      })
      .map(
        (given): WrittenTask => ({
          ...written,
          ...given,
          description: null,
          due_time: null,
          due_time_zone: null,
          recurrence: written.due_date === null ? null : given.recurrence,
          recurrence_from: written.due_date === null || given.recurrence === null ? 'due' : given.recurrence_from,
          completed_at: written.completed_at && `${written.completed_at.slice(0, 10)}T00:00:00.000000Z`,
          created_at: `${written.created_at.slice(0, 10)}T00:00:00.000000Z`,
        }),
      ),
  );
  const property = fc.asyncProperty(fc.array(plain, { minLength: 1, maxLength: 4 }), async (tasks) => {
    const writer = WRITERS.todotxt.writer();
    const entries = await read('text/plain', writer.begin() + writer.write(tasks) + writer.end());
    const found = tasksIn(entries).map((entry, index) => ({
      ...toWritten(entry, tasks[index] ?? assert.fail()),
      position: tasks[index]?.position,
    }));
    assert.deepEqual(found, tasks);
  });
  await fc.assert(property, { numRuns: 150 });
});

test('cells that a spreadsheet would run as formulas are written as text', () => {
  const writer = WRITERS.csv.writer();
  const [sample] = fc.sample(task, { numRuns: 1, seed: 1 });
  assert.ok(sample);
  const titles = ['=HYPERLINK("http://x")', '+1', '-1', '@SUM(1)', "'=1", "'fine"];
  const file = writer.write(titles.map((title) => ({ ...sample, title, list: null })));
  const cells = file.match(/(?<=,,[^,]*,)(?:"(?:[^"]|"")*"|[^,]*)(?=,)/g) ?? [];
  for (const expected of [`"'=HYPERLINK(""http://x"")"`, "'+1", "'-1", "'@SUM(1)", "''=1", "'fine"]) {
    assert.ok(
      cells.some((cell) => cell === expected),
      expected,
    );
  }
});
