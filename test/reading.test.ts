import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import type { LightMyRequestResponse } from 'fastify';
import { onEachDatabase, type Person, type Service, type Task } from './support/service.ts';
import { statement } from './support/statements.ts';

type Page = { readonly tasks: readonly Task[]; readonly next_cursor?: string };
type Values = Readonly<Record<string, string | readonly string[]>>;

function queryOf(values: Values): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    for (const one of Array.isArray(value) ? value : [value]) query.append(name, one);
  }
  return query.toString();
}

const ask = (person: Person, values: Values) => person.send('GET', `/api/tasks?${queryOf(values)}`);

async function pageOf(person: Person, values: Values): Promise<Page> {
  const answer = await ask(person, values);
  assert.equal(answer.statusCode, 200, `${queryOf(values)}: ${answer.body}`);
  return answer.json<Page>();
}

/** All pages of a list, by the cursors in the answers. */
async function pagesOf(person: Person, values: Values): Promise<Task[]> {
  const tasks: Task[] = [];
  for (let cursor: string | undefined; ; ) {
    const page = await pageOf(person, { ...values, ...(cursor === undefined ? {} : { cursor }) });
    tasks.push(...page.tasks);
    cursor = page.next_cursor;
    if (cursor === undefined) return tasks;
    assert.equal(page.tasks.length, Number(values.limit), 'a page with another behind it is full');
  }
}

const titles = (tasks: readonly Task[]) => tasks.map(({ title }) => title);

function assertRefused(answer: LightMyRequestResponse, field: string): void {
  assert.equal(answer.statusCode, 400, answer.body);
  const { code, details } = answer.json<{ code: string; details: { field: string }[] }>();
  assert.equal(code, 'VALIDATION_ERROR');
  assert.ok(
    details.some((detail) => detail.field === field),
    answer.body,
  );
}

const pick = <Value>(values: readonly Value[], index: number): Value => {
  const value = values[index % values.length];
  if (value === undefined) throw new Error('nothing to pick');
  return value;
};

const DAYS = [null, '2026-11-20', '2026-11-22', '2026-11-22', '2026-11-23', '2026-11-29', '2026-11-30'];
const WORDS = ['Äpfel', 'milk', 'Milch', 'bread', '牛奶', 'Call', 'e-mail', 'ZOO', 'apple pie', '10 eggs'];

/** Tasks with all sorts of fields, some completed, some deleted. */
async function createMany(person: Person): Promise<void> {
  const operations = Array.from({ length: 50 }, (_, at) => {
    const due_date = pick(DAYS, at);
    return {
      op: 'create',
      title: `${pick(WORDS, at * 7)} ${at % 9}`,
      ...(at % 4 === 0 ? { description: `About ${pick(WORDS, at * 3)}` } : {}),
      is_completed: at % 3 === 0,
      due_date,
      due_time: due_date !== null && at % 2 === 0 ? `0${at % 8}:30` : null,
      priority: pick(['none', 'low', 'medium', 'high'], at * 5),
      tags: [
        ...(at % 5 === 0 ? ['Home'] : []),
        ...(at % 7 === 0 ? ['next week'] : []),
        ...(at % 10 === 0 ? ['x'] : []),
      ],
    };
  });
  const answer = await person.send('POST', '/api/batch', { operations });
  assert.ok(
    answer.json<{ results: { status: number }[] }>().results.every(({ status }) => status === 201),
    answer.body,
  );
  const some = (await person.list()).slice(0, 10);
  for (const { id } of some.slice(0, 4)) await person.send('POST', `/api/tasks/${id}/toggle`);
  for (const { id } of some.slice(4, 8)) await person.send('DELETE', `/api/tasks/${id}`);
}

const PRIORITIES = ['none', 'low', 'medium', 'high'];
const folded = (text: string) =>
  text
    .normalize('NFKD')
    .replace(/\p{Mn}/gu, '')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, ' ');

/** What each order compares; null where a task has no value. */
const KEYS: Readonly<Record<string, (task: Task) => readonly (string | number)[] | null>> = {
  created_at: ({ created_at }) => [created_at],
  updated_at: ({ updated_at }) => [updated_at],
  completed_at: ({ completed_at }) => (completed_at === null ? null : [completed_at]),
  due: ({ due_date, due_time }) => (due_date === null ? null : [due_date, due_time ?? '24:00']),
  priority: ({ priority }) => [PRIORITIES.indexOf(priority)],
  title: ({ title }) => [folded(title)],
  position: ({ position }) => [position],
};

function compare(a: readonly (string | number)[], b: readonly (string | number)[]): number {
  for (const [index, value] of a.entries()) {
    const other = b[index];
    if (other === undefined || value === other) continue;
    return value < other ? -1 : 1;
  }
  return 0;
}

function sorted(tasks: readonly Task[], order: string): Task[] {
  const key = KEYS[order.replace('-', '')];
  assert.ok(key !== undefined);
  const sign = order.startsWith('-') ? -1 : 1;
  return [...tasks].sort((a, b) => {
    const [of, other] = [key(a), key(b)];
    if (of === null || other === null) {
      if (of !== other) return of === null ? 1 : -1;
      return sign * (a.id < b.id ? -1 : 1);
    }
    return sign * compare([...of, a.id], [...other, b.id]);
  });
}

const ORDERS = Object.keys(KEYS).flatMap((name) => [name, `-${name}`]);

/** A query, and which tasks it shows. */
const FILTERS: readonly (readonly [Values, (task: Task) => boolean])[] = [
  [{ is_completed: 'false' }, ({ is_completed }) => !is_completed],
  [{ is_completed: 'true' }, ({ is_completed }) => is_completed],
  [{ list_id: 'inbox' }, () => true],
  [{ list_id: randomUUID() }, () => false],
  [{ parent_id: 'none' }, () => true],
  [{ parent_id: randomUUID() }, () => false],
  [{ priority: 'high' }, ({ priority }) => priority === 'high'],
  [{ priority: 'none' }, ({ priority }) => priority === 'none'],
  [{ tag: 'home' }, ({ tags }) => tags.includes('Home')],
  [{ tag: ' HOME ' }, ({ tags }) => tags.includes('Home')],
  [{ tag: ['NEXT WEEK', 'home'] }, ({ tags }) => tags.includes('Home') && tags.includes('next week')],
  [{ tag: 'week' }, () => false],
  [
    { tag: 'home', q: 'milk' },
    ({ tags, title, description }) => tags.includes('Home') && /milk/i.test(`${title} ${description}`),
  ],
  [{ tag: 'home', is_completed: 'false' }, ({ tags, is_completed }) => tags.includes('Home') && !is_completed],
  [{ due_from: '2026-11-23' }, ({ due_date }) => due_date !== null && due_date >= '2026-11-23'],
  [{ due_to: '2026-11-22' }, ({ due_date }) => due_date !== null && due_date <= '2026-11-22'],
  [{ due_from: '2026-11-22', due_to: '2026-11-22' }, ({ due_date }) => due_date === '2026-11-22'],
  [
    { due_from: '2026-11-22', is_completed: 'false' },
    ({ due_date, is_completed }) => due_date !== null && due_date >= '2026-11-22' && !is_completed,
  ],
  [{ has_due: 'true' }, ({ due_date }) => due_date !== null],
  [{ has_due: 'false' }, ({ due_date }) => due_date === null],
  [{ has_due: 'false', is_completed: 'false' }, ({ due_date, is_completed }) => due_date === null && !is_completed],
  [{ completed_from: '2000-01-01T00:00:00Z' }, ({ is_completed }) => is_completed],
  [{ completed_to: '2000-01-01T00:00:00+02:00' }, () => false],
  [{ updated_from: '2000-01-01T00:00Z', priority: 'low' }, ({ priority }) => priority === 'low'],
  [{ updated_from: '2999-01-01T00:00:00.123456Z' }, () => false],
  [{ view: 'today' }, ({ due_date, is_completed }) => due_date === '2026-11-22' && !is_completed],
  [
    { view: 'upcoming' },
    ({ due_date, is_completed }) =>
      due_date !== null && due_date > '2026-11-22' && due_date <= '2026-11-29' && !is_completed,
  ],
  [{ view: 'overdue' }, ({ due_date, is_completed }) => due_date !== null && due_date < '2026-11-22' && !is_completed],
  [{ q: 'milk' }, ({ title, description }) => /milk/i.test(`${title} ${description}`)],
  [{ q: 'apfel' }, ({ title, description }) => /Äpfel/.test(`${title} ${description}`)],
  [{ q: 'ap' }, ({ title, description }) => /Äpfel|apple/.test(`${title} ${description}`)],
  [{ q: '奶' }, ({ title, description }) => /牛奶/.test(`${title} ${description}`)],
  [
    { q: 'home MIL' },
    ({ title, description, tags }) => tags.includes('Home') && /mil/i.test(`${title} ${description}`),
  ],
  [{ q: 'week next', is_completed: 'true' }, ({ tags, is_completed }) => tags.includes('next week') && is_completed],
  [{ q: '%' }, () => false],
  [{ q: 'milk nothing' }, () => false],
];

/** Noon of 22 November 2026 in UTC. */
const NOON = Date.UTC(2026, 10, 22, 12);
const clock = () => NOON;

async function onSunday(service: Service): Promise<Person> {
  const now = Math.floor(NOON / 1000);
  return service.person(undefined, { iat: now - 60, exp: now + 3600 });
}

onEachDatabase(
  'reading lists',
  (service) => {
    test('every order, both ways, with every filter, whole and page by page', async () => {
      const person = await onSunday(service());
      await createMany(person);
      const all = await person.list();
      for (const order of ORDERS) {
        const expected = titles(sorted(all, order));
        assert.deepEqual(titles((await pageOf(person, { sort: order })).tasks), expected, order);
        assert.deepEqual(titles(await pagesOf(person, { sort: order, limit: '7' })), expected, order);
      }
      for (const [index, [filter, holds]] of FILTERS.entries()) {
        const expected = all.filter(holds);
        const what = queryOf(filter);
        assert.deepEqual((await pageOf(person, filter)).tasks, sorted(expected, '-created_at'), what);
        for (const order of [pick(ORDERS, index), pick(ORDERS, index * 3 + 1)]) {
          const pages = await pagesOf(person, { ...filter, sort: order, limit: pick(['3', '5', '9'], index) });
          assert.deepEqual(titles(pages), titles(sorted(expected, order)), `${what} by ${order}`);
        }
      }
    });

    test('the last page has no cursor, also where it is full, and Link leads to the next', async () => {
      const person = await onSunday(service());
      for (const title of ['a', 'b', 'c', 'd']) await person.create(title);
      let url = '/api/tasks/?limit=2&sort=title&q=';
      assertRefused(await person.send('GET', url), 'q');
      url = '/api/tasks/?limit=2&sort=title&is_completed=false';
      const first = await person.send('GET', url);
      const [, next = '', rel] = /^<(.*)>; rel="(\w+)"$/.exec(String(first.headers.link)) ?? [];
      assert.equal(rel, 'next');
      assert.deepEqual(titles(first.json<Page>().tasks), ['a', 'b']);
      assert.ok(next.includes(`cursor=${first.json<Page>().next_cursor}`));
      const second = await person.send('GET', next);
      assert.deepEqual(titles(second.json<Page>().tasks), ['c', 'd']);
      assert.equal(second.headers.link, undefined);
      assert.deepEqual(Object.keys(second.json<object>()), ['tasks']);
      assert.deepEqual(await pageOf(person, { limit: '4', sort: 'due' }), {
        tasks: sorted(await person.list(), 'due'),
      });
      assert.deepEqual((await pageOf(person, { sort: 'due', limit: '1000' })).next_cursor, undefined);
    });

    test('a cursor stays right while tasks come, go and are changed', async () => {
      const person = await onSunday(service());
      for (const title of ['b', 'd', 'f', 'h', 'j']) await person.create(title);
      const first = await pageOf(person, { sort: 'title', limit: '2' });
      const [, d] = first.tasks;
      await person.send('DELETE', `/api/tasks/${d?.id}`);
      await person.create('a');
      await person.create('e');
      await person.create('i');
      const cursor = first.next_cursor ?? '';
      const rest = await pagesOf(person, { sort: 'title', limit: '2', cursor }).catch(async () => [
        ...(await pageOf(person, { sort: 'title', limit: '100', cursor })).tasks,
      ]);
      assert.deepEqual(titles(rest).slice(0, 2), ['e', 'f']);
      assert.deepEqual(titles((await pageOf(person, { sort: 'title', limit: '100', cursor })).tasks), [
        'e',
        'f',
        'h',
        'i',
        'j',
      ]);
    });

    test('a cursor is good for its query alone, and nothing else is a cursor', async () => {
      const person = await onSunday(service());
      for (const title of ['one', 'two', 'three']) await person.create(title, { due_date: '2026-11-22', tags: ['t'] });
      const { next_cursor: cursor = '' } = await pageOf(person, { limit: '1', sort: 'due', tag: 't' });
      assert.equal((await ask(person, { limit: '2', sort: 'due', tag: 't', cursor })).statusCode, 200);
      for (const other of [{ sort: '-due', tag: 't' }, { sort: 'due' }, { sort: 'due', tag: 't', q: 'one' }, {}]) {
        assertRefused(await ask(person, { limit: '1', ...other, cursor }), 'cursor');
      }
      const parts: unknown[] = JSON.parse(Buffer.from(cursor, 'base64url').toString());
      const made = (values: unknown) => Buffer.from(JSON.stringify(values)).toString('base64url');
      for (const bad of [
        '',
        'x',
        made([]),
        made({}),
        made([parts[0], '2026-11-22', parts[2], parts[3]]),
        made([parts[0], null, ["2026-11-22'", '24:00'], parts[3]]),
        made([parts[0], null, ['2026-13-45', '24:00'], parts[3]]),
        made([parts[0], null, ['2026-11-22'], parts[3]]),
        made([parts[0], null, ['2026-11-22', 'a\0'], parts[3]]),
        made([parts[0], null, parts[2], 'no']),
        made([parts[0], null, parts[2], null]),
        cursor.slice(0, -8),
      ]) {
        assertRefused(await ask(person, { limit: '1', sort: 'due', tag: 't', cursor: bad }), 'cursor');
      }
    });

    test('parameters that are unknown, wrong, repeated or contradict each other are refused with the field named', async () => {
      const person = await onSunday(service());
      const refused: [string, string][] = [
        ['limit=0', 'limit'],
        ['limit=1001', 'limit'],
        ['limit=1.5', 'limit'],
        ['limit=', 'limit'],
        ['limit=01', 'limit'],
        ['limit=5&limit=5', 'limit'],
        ['sort=name', 'sort'],
        ['sort=--due', 'sort'],
        ['sort=due,title', 'sort'],
        ['is_completed=1', 'is_completed'],
        ['list_id=none', 'list_id'],
        ['list_id=', 'list_id'],
        ['parent_id=inbox', 'parent_id'],
        ['priority=urgent', 'priority'],
        ['priority=low&priority=high', 'priority'],
        ['tag=', 'tag'],
        [`tag=${'x'.repeat(51)}`, 'tag'],
        [`${'tag=x&'.repeat(21)}`, 'tag'],
        ['due_from=2026-02-30', 'due_from'],
        ['due_to=1969-12-31', 'due_to'],
        ['due_from=2026-11-23&due_to=2026-11-22', 'due_to'],
        ['has_due=yes', 'has_due'],
        ['has_due=false&due_from=2026-11-22', 'has_due'],
        ['has_due=false&view=today', 'has_due'],
        ['completed_from=2026-11-22', 'completed_from'],
        ['completed_to=2026-02-30T00:00:00Z', 'completed_to'],
        ['completed_from=2026-11-22T25:00:00Z', 'completed_from'],
        ['completed_from=2026-11-22T10:00:00Z&completed_to=2026-11-22T11:00:00%2B02:00', 'completed_to'],
        ['is_completed=false&completed_from=2026-11-22T00:00:00Z', 'is_completed'],
        ['updated_from=yesterday', 'updated_from'],
        ['view=tomorrow', 'view'],
        ['view=today&is_completed=true', 'view'],
        ['view=today&due_to=2026-11-22', 'view'],
        ['view=today&time_zone=Mars/Olympus', 'time_zone'],
        ['view=today&time_zone=%2B02:00', 'time_zone'],
        ['view=today&time_zone=PST', 'time_zone'],
        ['time_zone=UTC', 'time_zone'],
        ['q=', 'q'],
        ['q=%20', 'q'],
        ['q=%00', 'q'],
        [`q=${'x'.repeat(201)}`, 'q'],
        [`q=${encodeURIComponent(Array.from({ length: 51 }, (_, at) => `a${at}x`).join(' ')).slice(0, 600)}`, 'q'],
        ['deleted=true&limit=5', 'limit'],
        ['deleted=true&q=x', 'q'],
        ['page=2', 'page'],
      ];
      for (const [query, field] of refused) {
        const answer = await person.send('GET', `/api/tasks?${query}`);
        assert.equal(answer.statusCode, 400, query);
        assertRefused(answer, field);
      }
      for (const query of ['deleted=false', 'deleted=false&limit=3', 'view=today&has_due=true', 'tag=a&tag=A']) {
        assert.equal((await person.send('GET', `/api/tasks?${query}`)).statusCode, 200, query);
      }
      assertRefused(await person.send('GET', '/api/tasks/counts?time_zone=Nowhere'), 'time_zone');
      assertRefused(await person.send('GET', '/api/tasks/counts?view=today'), 'view');
    });

    test('today begins at midnight of the time zone', async () => {
      const person = await onSunday(service());
      for (const due_date of ['2026-11-21', '2026-11-22', '2026-11-23', '2026-11-29', '2026-11-30']) {
        await person.create(due_date, { due_date });
      }
      const shown = async (view: string, time_zone: string) =>
        titles((await pageOf(person, { view, time_zone, sort: 'due' })).tasks);
      assert.deepEqual(await shown('today', 'UTC'), ['2026-11-22']);
      assert.deepEqual(await shown('today', 'Pacific/Kiritimati'), ['2026-11-23']);
      assert.deepEqual(await shown('upcoming', 'Europe/Berlin'), ['2026-11-23', '2026-11-29']);
      assert.deepEqual(await shown('upcoming', 'pacific/kiritimati'), ['2026-11-29', '2026-11-30']);
      assert.deepEqual(await shown('overdue', 'Etc/GMT+12'), ['2026-11-21']);
      assert.deepEqual(await shown('overdue', 'Pacific/Kiritimati'), ['2026-11-21', '2026-11-22']);
    });

    test('tasks of a list, and below a task', async () => {
      const person = await onSunday(service());
      const list = (await person.send('POST', '/api/lists', { name: 'Work' })).json<{ id: string }>();
      const parent = await person.create('parent', { list_id: list.id });
      for (const title of ['c', 'b', 'a']) await person.create(title, { list_id: list.id, parent_id: parent.id });
      await person.create('in the inbox');
      const shown = async (values: Values) => titles(await pagesOf(person, { limit: '2', ...values }));
      assert.deepEqual(await shown({ list_id: list.id, sort: 'position' }), ['parent', 'c', 'b', 'a']);
      assert.deepEqual(await shown({ list_id: list.id.toUpperCase(), sort: 'title' }), ['a', 'b', 'c', 'parent']);
      assert.deepEqual(await shown({ list_id: 'inbox', sort: '-position' }), ['in the inbox']);
      assert.deepEqual(await shown({ parent_id: parent.id, sort: '-position' }), ['a', 'b', 'c']);
      assert.deepEqual(await shown({ parent_id: 'none', sort: 'title' }), ['in the inbox', 'parent']);
      const { lists } = (await person.send('GET', '/api/tasks/counts')).json<{ lists: object }>();
      assert.deepEqual(lists, { [list.id]: 4, inbox: 1 });
    });

    test('counts: open, completed, overdue, today, by list and by tag', async () => {
      const person = await onSunday(service());
      const count = async (zone = 'UTC') =>
        (await person.send('GET', `/api/tasks/counts?time_zone=${zone}`)).json<Record<string, unknown>>();
      const none = { open: 0, completed: 0, overdue: 0, today: 0, lists: {}, tags: {} };
      assert.deepEqual(await count(), none);
      await person.create('a', { tags: ['Home', 'b"\\c'], due_date: '2026-11-21' });
      await person.create('b', { tags: ['home'], due_date: '2026-11-22' });
      await person.create('c', { is_completed: true, tags: ['done'], due_date: '2026-11-22' });
      const { id } = await person.create('d', { due_date: '2026-11-22' });
      const counts = { ...none, open: 3, completed: 1, lists: { inbox: 3 }, tags: { Home: 2, 'b"\\c': 1 } };
      assert.deepEqual(await count(), { ...counts, overdue: 1, today: 2 });
      assert.deepEqual(await count('Pacific/Kiritimati'), { ...counts, overdue: 3, today: 0 });
      await person.send('DELETE', `/api/tasks/${id}`);
      assert.deepEqual(await count(), { ...counts, open: 2, overdue: 1, today: 1, lists: { inbox: 2 } });
    });

    test('If-None-Match is 304 until something changes; each query and day has a tag of its own', async () => {
      const person = await onSunday(service());
      await person.create('due', { due_date: '2026-11-22' });
      const paths = [
        'view=today',
        'view=today&time_zone=Pacific/Kiritimati',
        'limit=1',
        'limit=2',
        'q=due',
        'sort=due',
      ];
      const urls = [...paths.map((query) => `/api/tasks?${query}`), '/api/tasks/counts', '/api/tasks'];
      const tags = new Set<string>();
      for (const url of urls) {
        const { etag } = (await person.send('GET', url)).headers;
        tags.add(String(etag));
        const again = await person.send('GET', url, undefined, { 'if-none-match': String(etag) });
        assert.deepEqual([again.statusCode, again.body], [304, ''], url);
      }
      assert.equal(tags.size, urls.length);
      const known = { 'if-none-match': [...tags].join(', ') };
      await person.create('another');
      for (const url of urls) assert.equal((await person.send('GET', url, undefined, known)).statusCode, 200, url);
    });

    test('what is deleted is not found, what is restored is, and what is changed by its new words', async () => {
      const person = await onSunday(service());
      const found = async (q: string) => titles((await pageOf(person, { q })).tasks);
      const { id } = await person.create('Water the plants', { description: 'On the balcony', tags: ['Garden'] });
      for (const q of ['plan', 'BALC wat', 'gard']) assert.deepEqual(await found(q), ['Water the plants'], q);
      await person.send('PATCH', `/api/tasks/${id}`, { title: 'Water flowers' });
      assert.deepEqual(await found('plants'), []);
      assert.deepEqual(await found('flow balcony garden'), ['Water flowers']);
      await person.send('PATCH', `/api/tasks/${id}`, { add_tags: ['Été'], remove_tags: ['garden'] });
      assert.deepEqual(await found('garden'), []);
      assert.deepEqual(await found('ete flowers'), ['Water flowers']);
      await person.send('PUT', `/api/tasks/${id}`, { description: null });
      assert.deepEqual(await found('balcony'), []);
      await person.send('DELETE', `/api/tasks/${id}`);
      assert.deepEqual(await found('flowers'), []);
      assert.deepEqual((await pageOf(person, { tag: 'été' })).tasks, []);
      await person.send('POST', `/api/tasks/${id}/restore`);
      assert.deepEqual(await found('flowers'), ['Water flowers']);
      assert.equal((await pageOf(person, { tag: 'ÉTÉ' })).tasks.length, 1);
      await person.send('DELETE', `/api/tasks/${id}?permanent=true`);
      assert.deepEqual(await found('flowers'), []);
    });

    test('the query is text: quotes, wildcards, backslashes and operators find nothing but what is written', async () => {
      const person = await onSunday(service());
      await person.create('plain');
      await person.create(`it's "100%" a\\b <-> c & d | !e :*`);
      for (const q of [`'`, '%', '_', '\\', '"', '!', ':*', '<->', '&', '|', '(', '🎉']) {
        assert.deepEqual((await pageOf(person, { q })).tasks, [], q);
      }
      for (const q of [`it's`, '"100%"', 'a\\b', '100% & d', 'c | d', "'; drop table tasks; --' or d"]) {
        const expected = q.includes('drop') ? 0 : 1;
        assert.equal((await pageOf(person, { q })).tasks.length, expected, q);
      }
    });

    test('words that many tasks have are found as others are', async () => {
      const person = await onSunday(service());
      const { database } = service().opened;
      await person.create('first');
      const insert = `insert into todo.tasks (user_id, id, title, title_words, words_revision, version, position, is_completed)
        select '${person.sub}', gen_random_uuid(), 'common ' || n, 'common ' || n, 1, 0, 'a' || n, n % 10 = 0
        from generate_series($1::integer, $1::integer + 299) as n`;
      for (let from = 0; from < 2_100; from += 300) {
        await database.transaction({ kind: 'admin' }, [statement(insert, [String(from)])]);
      }
      assert.equal((await pagesOf(person, { q: 'common', limit: '500' })).length, 2_100);
      assert.deepEqual(titles((await pageOf(person, { q: 'common 77' })).tasks).sort(), beginningWith('77'));
      const byTitle = await pageOf(person, { q: 'com', sort: '-title', limit: '2', is_completed: 'false' });
      assert.deepEqual(titles(byTitle.tasks), ['common 999', 'common 998']);
    });

    test('pages of long texts are the same as others, and others see none of them', async () => {
      const [person, other] = [await onSunday(service()), await onSunday(service())];
      await person.createLongTasks();
      const all = await person.list();
      assert.deepEqual((await pageOf(person, { sort: 'created_at' })).tasks, [...all].reverse());
      assert.deepEqual(await pagesOf(person, { sort: '-due', limit: '66' }), sorted(all, '-due'));
      for (const query of [{ q: '1' }, { sort: 'due' }, { limit: '1' }, { is_completed: 'false' }]) {
        assert.deepEqual(await pageOf(other, query), { tasks: [] });
      }
      const cursor = (await pageOf(person, { limit: '1' })).next_cursor ?? '';
      assert.deepEqual(await pageOf(other, { limit: '1', cursor }), { tasks: [] });
    });
  },
  { clock },
);

/** Those of the titles `common 0` to `common 2099` whose number begins with the digits. */
const beginningWith = (digits: string) =>
  Array.from({ length: 2_100 }, (_, at) => `common ${at}`)
    .filter((title) => title.startsWith(`common ${digits}`))
    .sort();
