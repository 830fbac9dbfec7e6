import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, mock, type TestContext, test } from 'node:test';
import { backUp } from '../../dist/backup/backup.js';
import { RunningService, temporaryFolder } from '../support/process.ts';
import { Relay } from '../support/relay.ts';
import {
  asAdmin,
  createPostgresDatabase,
  onPostgres,
  POSTGRES_URL,
  SECRET,
  signToken,
  type Task,
} from '../support/service.ts';

const JWT_SECRET = new TextDecoder().decode(SECRET);

interface Place {
  readonly settings: Record<string, string>;
  readonly remove: () => Promise<void>;
}

/** The program with a database of its own, and the backup commands. */
class Installation {
  readonly folder = temporaryFolder();
  readonly #place: Place;
  #service: RunningService | null = null;
  #origin = '';

  constructor(place: Place) {
    this.#place = place;
  }

  async start(): Promise<void> {
    this.#service = new RunningService({ JWT_SECRET, ...this.#place.settings }, this.folder.path);
    this.#origin = await this.#service.listening();
  }

  get settings(): Readonly<Record<string, string>> {
    return this.#place.settings;
  }

  async stop(): Promise<void> {
    assert.equal(await this.#service?.stop(), 0);
    this.#service = null;
  }

  async remove(): Promise<void> {
    await this.#service?.stop('SIGKILL');
    await this.#place.remove();
    this.folder.remove();
  }

  /** Starts `backup FILE` or `restore FILE` beside the service. */
  command(...args: string[]): RunningService {
    return new RunningService(this.#place.settings, this.folder.path, args);
  }

  async run(...args: string[]): Promise<{ code: number | null; said: string }> {
    const command = this.command(...args);
    return { code: await command.ended(), said: command.stderr };
  }

  async send(sub: string, method: string, path = '', body?: object, claims = {}, more = {}): Promise<Response> {
    const headers = { authorization: `Bearer ${await signToken(sub, claims)}`, 'content-type': 'application/json' };
    return fetch(`${this.#origin}/api/tasks${path}`, {
      method,
      headers: { ...headers, ...more },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  async ask(sub: string, method = 'GET', path = '', body?: object, claims = {}): Promise<string> {
    const answer = await this.send(sub, method, path, body, claims);
    const text = await answer.text();
    assert.ok(answer.ok, `${method} ${path} was answered ${answer.status}: ${text}`);
    return text;
  }

  async create(sub: string, body: object, claims = {}): Promise<Task> {
    return JSON.parse(await this.ask(sub, 'POST', '', body, claims)) as Task;
  }
}

interface Rows {
  readonly users: { id: string; version: number; epoch: string; swept: number; tasks: number; trash: number }[];
  readonly tasks: (Omit<Task, 'title'> & { title: string | null })[];
  readonly replies: { user_id: string; key: string; task: string | null }[];
}

function readRows(path: string): Rows {
  const rows: Rows = { users: [], tasks: [], replies: [] };
  for (const line of readFileSync(path, 'utf8').trimEnd().split('\n')) {
    const { user, task, reply } = JSON.parse(line) as Record<string, never>;
    if (user !== undefined) rows.users.push(user);
    if (task !== undefined) rows.tasks.push(task);
    if (reply !== undefined) rows.replies.push(reply);
  }
  return rows;
}

/** The rows in the database of `place`, by a backup; checks that counts and versions are as the rows say. */
async function rowsIn(place: Installation): Promise<Rows> {
  const { code, said } = await place.run('backup', 'rows.ndjson');
  assert.equal(code, 0, said);
  const rows = readRows(join(place.folder.path, 'rows.ndjson'));
  for (const user of rows.users) {
    const tasks = rows.tasks.filter(({ user_id }) => user_id === user.id);
    const live = tasks.filter(({ deleted_at }) => deleted_at === null);
    const trash = tasks.filter(({ deleted_at, title }) => deleted_at !== null && title !== null);
    assert.deepEqual([user.tasks, user.trash], [live.length, trash.length], `the counts of ${user.id}`);
    const versions = tasks.map(({ version }) => version);
    assert.equal(new Set(versions).size, versions.length, 'a version twice');
    assert.ok(Math.max(0, ...versions) <= user.version, 'a version above the counter');
  }
  return rows;
}

const embedded = () => new Installation({ settings: {}, remove: async () => undefined });

async function postgres(): Promise<Installation> {
  const { url, remove } = await createPostgresDatabase(POSTGRES_URL ?? '');
  return new Installation({ settings: { DATABASE_URL: url }, remove });
}

const TITLES = [
  'oat milk',
  '👩‍👩‍👧 family',
  'مرحبا',
  'a\nb\tc',
  'line\u2028separator',
  '"quoted" \\ {',
  "'; drop table",
];

/** Runs `create` for each index, 20 at a time. */
async function inBatches(count: number, create: (index: number) => Promise<Task>): Promise<Task[]> {
  const tasks: Task[] = [];
  for (let start = 0; start < count; start += 20) {
    const length = Math.min(20, count - start);
    tasks.push(...(await Promise.all(Array.from({ length }, (_, index) => create(start + index)))));
  }
  return tasks;
}

/** Tasks of several users, with text that encodings and quoting can damage. */
async function fill(place: Installation): Promise<string[]> {
  const people = ['ann', 'Ann', 'änn', '🙂', 'z'.repeat(255)];
  for (const [index, sub] of people.entries()) {
    const claims = index % 2 === 0 ? { email: `${index}@example.com` } : {};
    for (const title of TITLES) {
      const task = await place.create(sub, { title, description: index === 0 ? null : `of ${title}` }, claims);
      if (index % 2 === 0) await place.ask(sub, 'POST', `/${task.id}/toggle`);
    }
  }
  const busy = 'busy';
  await inBatches(1_100, (at) => place.create(busy, { title: `task ${at}` }));
  return [...people, busy];
}

const tasksIn = (list: string) => (JSON.parse(list) as { tasks: Task[] }).tasks;

/** A task without what a restore changes. */
const unnumbered = ({ version: _, ...rest }: Task) => rest;

const lists = (place: Installation, people: readonly string[]) =>
  Promise.all(people.map((person) => place.ask(person)));

describe('backup and restore of the embedded database', () => {
  let place: Installation;
  before(async () => {
    place = embedded();
    await place.start();
  });
  after(() => place.remove());

  test('what is deleted or changed after a backup is there again after a restore, while the service runs', async () => {
    const gone = await place.create('ann', { title: 'gone' });
    const changed = await place.create('ann', { title: 'changed', description: 'as it was' });
    const backedUp = await place.run('backup', 'all.ndjson');
    assert.equal(backedUp.code, 0, backedUp.said);
    assert.match(
      backedUp.said,
      /through the running service\nBacked up to all\.ndjson: \d+ users, \d+ tasks, \d+ replies\n$/,
    );
    assert.equal(statSync(join(place.folder.path, 'all.ndjson')).mode & 0o777, 0o600);

    await place.ask('ann', 'DELETE', `/${gone.id}`);
    await place.ask('ann', 'PUT', `/${changed.id}`, { title: 'changed since', description: null });
    const later = await place.create('ann', { title: 'later' });
    const kept = await place.run('restore', 'all.ndjson');
    assert.match(
      kept.said,
      /all\.ndjson: 0 users, 1 tasks, 0 replies; existed already: \d+ users, \d+ tasks, 0 replies\n$/,
    );
    assert.deepEqual(unnumbered(JSON.parse(await place.ask('ann', 'GET', `/${gone.id}`))), unnumbered(gone));
    assert.equal((JSON.parse(await place.ask('ann', 'GET', `/${changed.id}`)) as Task).title, 'changed since');

    const replaced = await place.run('restore', 'all.ndjson', '--replace');
    assert.match(replaced.said, /: 0 users, 1 tasks, 0 replies; existed already/);
    assert.deepEqual(unnumbered(JSON.parse(await place.ask('ann', 'GET', `/${changed.id}`))), unnumbered(changed));
    assert.deepEqual(JSON.parse(await place.ask('ann', 'GET', `/${later.id}`)), later);
  });

  test('a faulty backup file changes nothing, and the error names the line', async () => {
    const file = join(place.folder.path, 'faulty.ndjson');
    await place.create('faultless', { title: 'so that there is a user' });
    assert.equal((await place.run('backup', 'faulty.ndjson')).code, 0);
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    const [head = '', end = ''] = [lines[0], lines.at(-1)];
    const user = { id: 'new', email: null, created_at: '2026-01-01T00:00:00Z' };
    const good: Record<string, unknown> = {
      id: randomUUID(),
      user_id: 'new',
      title: 'new',
      description: null,
      is_completed: false,
      created_at: '2026-01-01T00:00:00.123456Z',
      updated_at: '2026-01-01T00:00:00.123456Z',
    };
    const task = (change: object) => JSON.stringify({ task: { ...good, ...change } });
    const of = (entry: string, users = 1, tasks = 1) => [
      head,
      JSON.stringify({ user }),
      entry,
      JSON.stringify({ end: { users, tasks } }),
    ];
    const faults: [string, readonly string[], RegExp][] = [
      ['an empty file', [], /is incomplete/],
      ['a file cut off between lines', lines.slice(0, -1), /is incomplete/],
      ['a file cut off within a line', [...lines.slice(0, -1), end.slice(0, 5)], /Line \d+ of .* is not JSON/],
      ['a missing line', [...lines.slice(0, 2), end], /counts/],
      ['something else', ['{"hello":1}'], /Line 1 of .*format/],
      ['a later version', [head.replace('"version":3', '"version":4'), ...lines.slice(1)], /Line 1 .*version/],
      ['lines behind the end', [...lines, JSON.stringify({ user })], /is after the end/],
      ['a long title', of(task({ title: 'x'.repeat(201) })), /Line 3: .*tasks_title_check/],
      ['an empty title', of(task({ title: '' })), /Line 3: .*tasks_title_check/],
      [
        'a time that would be rounded',
        of(task({ updated_at: '9999-12-31T23:59:59.9999999Z' })),
        /Line 3 .*more than 6 fractional digits/,
      ],
      ['a line too long', of(task({ title: 'x'.repeat(2 ** 20) })), /Line 3 of .* is too long/],
      ['a lone surrogate', of(task({ title: '\ud800' })), /Line 3: .*json/],
      ['a NUL', of(task({ description: '\0' })), /Line 3: .*Unicode escape/],
      ['an id that is none', of(task({ id: 'x' })), /Line 3 .*task\.id/],
      ['a column that is SQL', of(task({ 'id") select version() --': 1 })), /Line 3 .*Invalid key/],
      [
        'rows with differing columns',
        [...of(task({})).slice(0, 3), task({ id: randomUUID(), description: undefined }), ...of('', 1, 2).slice(3)],
        /Line 4 .*has the columns/,
      ],
      [
        'a time of the last day',
        of(task({ updated_at: '9999-12-31T00:00:00Z' })),
        /Line 3: .*updated_at_in_years_1_to_9999/,
      ],
      ['a time that never comes', of(task({ created_at: 'infinity' })), /Line 3: .*created_at_in_years_1_to_9999/],
      ['a time before all others', of(task({ created_at: '-infinity' })), /Line 3: .*created_at_in_years_1_to_9999/],
      ['a time before year 1', of(task({ updated_at: '0044-03-15 00:00:00Z BC' })), /Line 3: .*updated_at_in_years/],
      ['a year of six digits', of(task({ updated_at: '290000-01-01 00:00:00Z' })), /Line 3: .*updated_at_in_years/],
      [
        'a user without an end',
        [head, JSON.stringify({ user: { ...user, created_at: 'infinity' } }), ...of(task({})).slice(2)],
        /Line 2: .*users_created_at_in_years_1_to_9999/,
      ],
      ['a date that is none', of(task({ created_at: '2026-02-30T00:00:00Z' })), /Line 3: .*date\/time/],
      ['a field too many', of(task({ colour: 'red' })), /Line 3: .*"colour"/],
      ['a task of nobody', of(task({ user_id: 'other' })), /does not follow its user/],
      ['a task twice', [...of(task({})).slice(0, 3), ...of(task({}), 1, 2).slice(2)], /is a duplicate of a task/],
      ['a user twice', [head, ...Array(2).fill(JSON.stringify({ user })), end], /is a duplicate of a user/],
      [
        'wrong totals',
        of(task({}), 1, 2),
        /counts 1 users, 2 tasks, 0 replies, but the file has 1 users, 1 tasks, 0 replies/,
      ],
    ];
    for (const [what, content, expected] of faults) {
      writeFileSync(file, content.map((line) => `${line}\n`).join(''));
      const { code, said } = await place.run('restore', 'faulty.ndjson');
      assert.equal(code, 1, what);
      assert.match(said, expected, what);
      assert.equal(await place.ask('new'), '{"tasks":[]}', what);
    }
    writeFileSync(file, Buffer.from([...Buffer.from(`${head}\n`), 0xff, 0x0a]));
    assert.match((await place.run('restore', 'faulty.ndjson')).said, /Line 2 of .* is not UTF-8/);
    writeFileSync(file, of(task({})).join('\n'));
    assert.equal((await place.run('restore', 'faulty.ndjson')).code, 0, 'without a fault it is taken');
    const [{ version, ...restored } = good] = (JSON.parse(await place.ask('new')) as { tasks: (typeof good)[] }).tasks;
    assert.deepEqual(restored, { ...good, deleted_at: null });
    assert.equal(version, 2 ** 32 + 1);
  });

  test('tasks of the first and the last year can be restored, changed, backed up and restored again', async () => {
    const columns = { user_id: 'timeless', title: 'kept', description: null, is_completed: false };
    const times = ['0001-01-01T00:00:00.000000Z', '9999-12-30T23:00:00.000000Z'];
    const tasks = times.map((time) => ({ ...columns, id: randomUUID(), created_at: time, updated_at: time }));
    const lines = [
      { format: 'todo-api backup', version: 2 },
      { user: { id: 'timeless', email: null, created_at: times[0] } },
      ...tasks.map((task) => ({ task })),
      { end: { users: 1, tasks: tasks.length } },
    ];
    const file = join(place.folder.path, 'timeless.ndjson');
    writeFileSync(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    const restored = await place.run('restore', 'timeless.ndjson');
    assert.equal(restored.code, 0, restored.said);
    const listed = tasksIn(await place.ask('timeless'));
    assert.deepEqual(
      listed.map(unnumbered),
      tasks.toReversed().map((task) => ({ ...task, deleted_at: null })),
    );
    for (const { id } of tasks) await place.ask('timeless', 'POST', `/${id}/toggle`);
    const toggled = await place.ask('timeless');
    assert.equal((await place.run('backup', 'timeless.ndjson')).code, 0);
    const other = embedded();
    const again = await other.run('restore', file, '--move');
    assert.equal(again.code, 0, again.said);
    await other.start();
    assert.equal(await other.ask('timeless'), toggled);
    await other.remove();
  });

  test('two backups to one file at once both succeed, and the file is one of them', async () => {
    writeFileSync(join(place.folder.path, 'twice.ndjson'), 'what was there before', { mode: 0o666 });
    const both = await Promise.all([place.run('backup', 'twice.ndjson'), place.run('backup', 'twice.ndjson')]);
    for (const { code, said } of both) assert.equal(code, 0, said);
    assert.equal(statSync(join(place.folder.path, 'twice.ndjson')).mode & 0o777, 0o600);
    const { code, said } = await place.run('restore', 'twice.ndjson');
    assert.equal(code, 0, said);
    assert.deepEqual(
      readdirSync(place.folder.path).filter((name) => name.includes('partial')),
      [],
    );
  });

  test('a backup follows a symbolic link, and is refused for a path that is not a file', async () => {
    symlinkSync('dated.ndjson', join(place.folder.path, 'latest.ndjson'));
    writeFileSync(join(place.folder.path, 'dated.ndjson'), '');
    assert.equal((await place.run('backup', 'latest.ndjson')).code, 0);
    assert.ok(lstatSync(join(place.folder.path, 'latest.ndjson')).isSymbolicLink());
    assert.match(readFileSync(join(place.folder.path, 'dated.ndjson'), 'utf8'), /"end"/);
    const { code, said } = await place.run('backup', '.');
    assert.equal(code, 1);
    assert.match(said, /\. is not a regular file/);
  });

  test('a backup fails if fsync fails, and the file before it stays', async () => {
    const path = join(place.folder.path, 'kept.ndjson');
    writeFileSync(path, 'the one before');
    const handle = await open(path);
    const prototype = Object.getPrototypeOf(handle) as typeof handle;
    await handle.close();
    const refusal = mock.method(prototype, 'sync', () => Promise.reject(new Error('EIO: i/o error, fsync')));
    const nobody = { run: async () => [], close: async () => undefined };
    await assert.rejects(
      backUp(nobody, path, () => undefined),
      /EIO/,
    );
    refusal.mock.restore();
    assert.equal(readFileSync(path, 'utf8'), 'the one before');
    assert.deepEqual(
      readdirSync(place.folder.path).filter((name) => name.includes('partial')),
      [],
    );
  });

  test('a restore that is killed is completed by the next', async () => {
    const tasks = Array.from({ length: 15_000 }, (_, at) => ({
      id: randomUUID(),
      user_id: 'many',
      title: `task ${at}`,
      description: null,
      is_completed: at % 2 === 0,
      created_at: new Date(1_790_000_000_000 + at).toISOString(),
      updated_at: new Date(1_790_000_000_000 + at).toISOString(),
    }));
    const lines = [
      { format: 'todo-api backup', version: 1, created_at: '2026-01-01T00:00:00Z' },
      { user: { id: 'many', email: 'many@example.com', created_at: '2026-01-01T00:00:00Z' } },
      ...tasks.map((task) => ({ task })),
      { end: { users: 1, tasks: tasks.length } },
    ];
    writeFileSync(join(place.folder.path, 'many.ndjson'), lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    const cut = place.command('restore', 'many.ndjson');
    while ((await place.ask('many')) === '{"tasks":[]}');
    assert.equal(await cut.stop('SIGKILL'), null, 'it was not cut short');
    const { code, said } = await place.run('restore', 'many.ndjson');
    assert.equal(code, 0, said);
    const { tasks: listed } = JSON.parse(await place.ask('many')) as { tasks: Task[] };
    assert.deepEqual(
      listed.map(({ id }) => id),
      tasks
        .slice(-1_000)
        .map(({ id }) => id)
        .reverse(),
    );
    assert.match(
      (await place.run('restore', 'many.ndjson')).said,
      /: 0 users, 0 tasks, 0 replies; existed already: 1 users, 15,000 tasks/,
    );
    await rowsIn(place);
  });

  test('with the service stopped the database is opened directly; a backup without a data directory is refused', async () => {
    const before = await lists(place, ['ann']);
    await place.stop();
    const { code, said } = await place.run('backup', 'stopped.ndjson');
    assert.equal(code, 0, said);
    const elsewhere = embedded();
    const nothing = await elsewhere.run('backup', 'nothing.ndjson');
    assert.equal(nothing.code, 1);
    assert.match(nothing.said, /no data directory/);
    const restored = await elsewhere.run('restore', join(place.folder.path, 'stopped.ndjson'), '--move');
    assert.equal(restored.code, 0, restored.said);
    await elsewhere.start();
    assert.deepEqual(await lists(elsewhere, ['ann']), before);
    await elsewhere.remove();
    await place.start();
  });

  test('an unknown command is refused with a list of the commands', async () => {
    for (const args of [
      ['frobnicate'],
      ['backup'],
      ['restore', 'a', 'b'],
      ['backup', 'a', '--replace'],
      ['restore', 'a', '--replace', '--move'],
      ['new-epoch', 'a'],
      ['--nonsense'],
    ]) {
      const { code, said } = await place.run(...args);
      assert.equal(code, 1, args.join(' '));
      assert.match(said, args[0] === '--nonsense' ? /--nonsense/ : /backup FILE/);
    }
  });
});

onPostgres('moving between the databases', () => {
  test('every user moves from the embedded database to PostgreSQL and back with ids, times and owners, while both serve', async (t) => {
    const [from, to, back] = [embedded(), await postgres(), embedded()];
    t.after(() => Promise.all([from.remove(), to.remove(), back.remove()]));
    await Promise.all([from.start(), to.start(), back.start()]);
    const people = await fill(from);
    const file = join(from.folder.path, 'everything.ndjson');
    assert.equal((await from.run('backup', file)).code, 0);
    const restored = await to.run('restore', file, '--move');
    assert.equal(restored.code, 0, restored.said);
    assert.match(restored.said, /Restored from .*: 6 users, 1,135 tasks, 0 replies; existed already: 0 users, 0 tasks/);
    assert.deepEqual(await lists(to, people), await lists(from, people));

    const again = join(to.folder.path, 'everything.ndjson');
    assert.equal((await to.run('backup', again)).code, 0);
    const withoutHead = (path: string) => readFileSync(path, 'utf8').split('\n').slice(1);
    assert.deepEqual(withoutHead(again), withoutHead(file));
    assert.equal((await back.run('restore', again, '--move')).code, 0);
    assert.deepEqual(await lists(back, people), await lists(from, people));
  });

  test('a restore goes on after its pooler has ended connections with FATAL 08P01', async (t) => {
    const place = await postgres();
    t.after(() => place.remove());
    await place.start();
    const task = await place.create('ann', { title: 'kept' });
    assert.equal((await place.run('backup', 'one.ndjson')).code, 0);
    await place.ask('ann', 'DELETE', `/${task.id}`);
    const url = place.settings.DATABASE_URL ?? '';
    const relay = await Relay.start(url);
    relay.timeouts = { text: 'insert into todo.tasks', remaining: 2 };
    const settings = { DATABASE_URL: relay.urlOf(url) };
    const command = new RunningService(settings, place.folder.path, ['restore', 'one.ndjson']);
    const code = await command.ended();
    relay.close();
    assert.equal(code, 0, command.stderr);
    assert.match(
      command.stderr,
      /query_wait_timeout; retrying\nRestored from one\.ndjson: 0 users, 1 tasks, 0 replies;/,
    );
    assert.equal(relay.timeouts.remaining, 0);
    assert.deepEqual(tasksIn(await place.ask('ann')).map(unnumbered), [unnumbered(task)]);
  });

  test("a role granted todo_operator alone can back up and restore, where functions are nobody's by default", async (t) => {
    const { url, remove } = await createPostgresDatabase(POSTGRES_URL ?? '');
    const place = new Installation({ settings: { DATABASE_URL: url }, remove });
    const role = `backup_${randomUUID().replaceAll('-', '')}`;
    t.after(async () => {
      await asAdmin(url, `drop owned by ${role}; drop role ${role}`);
      await place.remove();
    });
    await asAdmin(url, 'alter default privileges revoke execute on functions from public');
    await place.start();
    const task = await place.create('ann', { title: 'kept' });
    await asAdmin(url, `create role ${role} login password 'x'; grant todo_operator to ${role}`);
    const lesser = new URL(url);
    [lesser.username, lesser.password] = [role, 'x'];
    const run = async (command: string) => {
      const running = new RunningService({ DATABASE_URL: lesser.href }, place.folder.path, [command, 'all.ndjson']);
      assert.equal(await running.ended(), 0, running.stderr);
      return running.stderr;
    };
    assert.match(await run('backup'), /Backed up to all\.ndjson: 1 users, 1 tasks, 0 replies/);
    await place.ask('ann', 'DELETE', `/${task.id}`);
    assert.match(await run('restore'), /: 0 users, 1 tasks, 0 replies;/);
    assert.deepEqual(tasksIn(await place.ask('ann')).map(unnumbered), [unnumbered(task)]);
  });

  for (const [kind, make] of [
    ['embedded', async () => embedded()],
    ['postgres', postgres],
  ] as const) {
    test(`a backup taken during writes has every task created before it, and can be restored [${kind}]`, async (t) => {
      const [place, other] = [await make(), await make()];
      t.after(() => Promise.all([place.remove(), other.remove()]));
      await Promise.all([place.start(), other.start()]);
      const before = await inBatches(700, (at) => place.create(`user ${at % 70}`, { title: `task ${at}` }));
      let over = false;
      const meanwhile = (async () => {
        for (let at = 0; !over; at += 1) await place.create(`user ${at % 70}-${at % 3}`, { title: `later ${at}` });
      })();
      const { code, said } = await place.run('backup', 'all.ndjson');
      over = true;
      await meanwhile;
      assert.equal(code, 0, said);
      const restored = await other.run('restore', join(place.folder.path, 'all.ndjson'));
      assert.equal(restored.code, 0, restored.said);
      for (let user = 0; user < 70; user += 1) {
        const { tasks } = JSON.parse(await other.ask(`user ${user}`)) as { tasks: Task[] };
        const there = new Map(tasks.map((task) => [task.id, task]));
        for (const task of before.filter(({ user_id }) => user_id === `user ${user}`)) {
          const restoredTask = there.get(task.id);
          assert.ok(restoredTask !== undefined, 'a task is missing');
          assert.deepEqual(unnumbered(restoredTask), unnumbered(task));
        }
      }
    });
  }
});

const KINDS = [
  ['embedded', async () => embedded()],
  ...(POSTGRES_URL === null ? [] : [['postgres', postgres] as const]),
] as const;

for (const [kind, make] of KINDS) {
  const started = async (t: TestContext): Promise<Installation> => {
    const place = await make();
    t.after(() => place.remove());
    await place.start();
    return place;
  };
  const mustRun = async (place: Installation, ...args: string[]): Promise<string> => {
    const { code, said } = await place.run(...args);
    assert.equal(code, 0, said);
    return said;
  };

  describe(`versions in backups [${kind}]`, () => {
    test('a restore over a database that moved on gives every user of the file a new epoch and no number twice', async (t) => {
      const place = await started(t);
      const task = await place.create('ann', { title: 'kept' });
      const changed = await place.create('ann', { title: 'before' });
      const trashed = await place.create('ann', { title: 'in the trash' });
      await place.ask('ann', 'DELETE', `/${trashed.id}`);
      await place.create('bob', { title: 'of bob' });
      const { users: before } = await rowsIn(place);
      await mustRun(place, 'backup', 'all.ndjson');
      await place.ask('ann', 'DELETE', `/${task.id}`);
      await place.ask('ann', 'PUT', `/${changed.id}`, { title: 'after' });
      await place.ask('ann', 'POST', `/${trashed.id}/restore`);
      const later = await place.create('ann', { title: 'later' });
      await place.create('cleo', { title: 'of nobody in the file' });
      const moved = await rowsIn(place);
      const highest = Math.max(...moved.tasks.map(({ version }) => version));

      await mustRun(place, 'restore', 'all.ndjson');
      const kept = await rowsIn(place);
      const titles = () =>
        place.ask('ann').then((list) =>
          tasksIn(list)
            .map(({ title }) => title)
            .sort(),
        );
      assert.deepEqual(await titles(), ['after', 'in the trash', 'kept', 'later']);
      await mustRun(place, 'restore', 'all.ndjson', '--replace');
      const replaced = await rowsIn(place);
      assert.deepEqual(await titles(), ['before', 'kept', 'later']);
      for (const [earlier, rows] of [
        [moved, kept],
        [kept, replaced],
      ] as const) {
        for (const id of ['ann', 'bob']) {
          const [old, now] = [earlier, rows].map(({ users }) => users.find((user) => user.id === id));
          assert.ok(old !== undefined && now !== undefined);
          assert.notEqual(now.epoch, old.epoch);
          assert.ok(now.version >= old.version + 2 ** 32, `${id} had ${old.version} and has ${now.version}`);
        }
        const cleo = [earlier, rows].map(({ users }) => users.find(({ id }) => id === 'cleo'));
        assert.deepEqual(cleo[1], cleo[0]);
      }
      assert.ok(
        replaced.tasks.filter(({ id }) => [task.id, changed.id].includes(id)).every((row) => row.version > highest),
      );
      assert.deepEqual(replaced.tasks.find(({ id }) => id === later.id)?.version, later.version);
      assert.deepEqual(
        before.map(({ id }) => id),
        ['ann', 'bob'],
      );
    });

    test('versions restored into an empty database are above all that the file knows', async (t) => {
      const place = await started(t);
      await place.create('ann', { title: 'one' });
      await place.create('ann', { title: 'two' });
      await mustRun(place, 'backup', 'first.ndjson');
      let file = join(place.folder.path, 'first.ndjson');
      for (let time = 0; time < 2; time += 1) {
        const [known] = readRows(file).users;
        const other = await started(t);
        await mustRun(other, 'restore', file);
        const { users, tasks } = await rowsIn(other);
        assert.ok(tasks.every(({ version }) => version > (known?.version ?? Number.NaN) + 2 ** 32 - 1));
        assert.notEqual(users[0]?.epoch, known?.epoch);
        file = join(other.folder.path, 'rows.ndjson');
      }
    });

    test('a retry of a write from before the backup is answered as it was, after a restore and after a move', async (t) => {
      const place = await started(t);
      const key = { 'idempotency-key': 'once' };
      const first = await place.send('ann', 'POST', '', { title: 'once' }, {}, key);
      const body = await first.text();
      await place.send('ann', 'POST', '', { title: 'secret' }, {}, { 'idempotency-key': 'gone' });
      const [secret] = tasksIn(await place.ask('ann'));
      await place.ask('ann', 'DELETE', `/${secret?.id}?permanent=true`);
      await mustRun(place, 'backup', 'all.ndjson');
      assert.doesNotMatch(readFileSync(join(place.folder.path, 'all.ndjson'), 'utf8'), /secret/);
      for (const args of [[], ['--move']]) {
        const other = await started(t);
        const said = await mustRun(other, 'restore', join(place.folder.path, 'all.ndjson'), ...args);
        assert.match(said, /: 1 users, 2 tasks, 2 replies; existed already/);
        const again = await other.send('ann', 'POST', '', { title: 'once' }, {}, key);
        assert.equal(again.status, 201);
        assert.equal(await again.text(), body);
        assert.equal(again.headers.get('idempotency-replayed'), 'true');
        assert.equal(tasksIn(await other.ask('ann')).length, 1);
      }
    });

    test('what was blanked while it was backed up stays out of the replies', async (t) => {
      const place = await started(t);
      await place.send('ann', 'POST', '', { title: 'secret' }, {}, { 'idempotency-key': 'gone' });
      await mustRun(place, 'backup', 'all.ndjson');
      const file = join(place.folder.path, 'all.ndjson');
      const blank = '"title":null,"deleted_at":"2026-01-01T00:00:00Z"';
      const lines = readFileSync(file, 'utf8').split('\n');
      const blanked = lines.map((line) =>
        line.startsWith('{"task"') ? line.replace('"title":"secret"', blank).replace('"deleted_at":null,', '') : line,
      );
      writeFileSync(file, blanked.join('\n'));
      for (const args of [[], ['--move']]) {
        const other = await started(t);
        await mustRun(other, 'restore', file, ...args);
        const { replies, tasks } = await rowsIn(other);
        assert.deepEqual(
          replies.map(({ task }) => task),
          [null],
        );
        assert.deepEqual(
          tasks.map(({ title }) => title),
          [null],
        );
      }
    });

    test('a move keeps versions, epochs and deleted tasks, and is refused where there is something', async (t) => {
      const place = await started(t);
      for (const title of ['one', 'two', 'three', 'four']) await place.create('ann', { title });
      const [four, three, two] = tasksIn(await place.ask('ann'));
      await place.ask('ann', 'DELETE', `/${two?.id}`);
      await place.ask('ann', 'DELETE', `/${three?.id}?permanent=true`);
      await place.ask('ann', 'POST', `/${four?.id}/toggle`);
      await place.ask('bob');
      const rows = await rowsIn(place);
      const file = join(place.folder.path, 'rows.ndjson');

      const other = await started(t);
      await mustRun(other, 'restore', file, '--move');
      assert.deepEqual(await rowsIn(other), rows);
      const created = await other.create('ann', { title: 'five' });
      assert.equal(created.version, (rows.users[0]?.version ?? Number.NaN) + 1);
      await other.ask('ann', 'POST', `/${two?.id}/restore`);
      const { said, code } = await other.run('restore', file, '--move');
      assert.equal(code, 1);
      assert.match(said, /The database has 1 users, 5 tasks, 0 replies: --move needs an empty one/);
    });

    test('a move that was interrupted leaves exact counts, and is refused until the database is empty', async (t) => {
      const [place, other] = [await started(t), await started(t)];
      const time = '2026-01-01T00:00:00Z';
      const users = Array.from({ length: 20 }, (_, at) => `user ${String(at).padStart(2, '0')}`);
      const columns = { description: null, is_completed: false, created_at: time, updated_at: time };
      const tasksOf = (user_id: string) =>
        Array.from({ length: 400 }, (_, at) => ({
          ...{ id: randomUUID(), user_id, title: at % 3 === 2 ? null : `task ${at}`, ...columns },
          ...{ version: at + 1, deleted_at: at % 3 === 0 ? null : time },
        }));
      const user = { email: null, created_at: time, version: 500, epoch: randomUUID(), swept: 3, tasks: 7, trash: 7 };
      const lines = [
        { format: 'todo-api backup', version: 3 },
        ...users.flatMap((id) => [{ user: { id, ...user } }, ...tasksOf(id).map((task) => ({ task }))]),
        { end: { users: users.length, tasks: users.length * 400 } },
      ];
      const file = join(place.folder.path, 'many.ndjson');
      writeFileSync(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
      const cut = place.command('restore', file, '--move');
      while ((await place.ask('user 00')) === '{"tasks":[]}');
      assert.equal(await cut.stop('SIGKILL'), null, 'it was not cut short');
      const { tasks } = await rowsIn(place);
      assert.ok(tasks.length > 0 && tasks.length < 8_000);
      assert.match((await place.run('restore', file, '--move')).said, /also after a move that was interrupted/);
      await mustRun(place, 'restore', file);
      assert.equal((await rowsIn(place)).tasks.length, 8_000);
      await mustRun(other, 'restore', file, '--move');
      const rows = await rowsIn(other);
      assert.deepEqual([rows.users[0]?.version, rows.users[0]?.swept, rows.tasks.length], [500, 3, 8_000]);
    });

    test('a move of a backup without versions, or of a user who wrote meanwhile, is refused and changes nothing', async (t) => {
      const place = await started(t);
      await place.create('ann', { title: 'kept' });
      await rowsIn(place);
      const lines = readFileSync(join(place.folder.path, 'rows.ndjson'), 'utf8').trimEnd().split('\n');
      const other = await started(t);
      const file = join(other.folder.path, 'changed.ndjson');
      for (const [change, expected] of [
        [['"version":3', '"version":2'], /Line 1 .* has version 2: such a file has no versions to keep/],
        [['"version":1,"epoch"', '"version":0,"epoch"'], /Line 3: The user ann wrote while the backup was made/],
      ] as const) {
        writeFileSync(file, lines.map((line) => `${line.replace(change[0], change[1])}\n`).join(''));
        const { code, said } = await other.run('restore', file, '--move');
        assert.equal(code, 1);
        assert.match(said, expected);
        assert.equal((await rowsIn(other)).users.length, 0);
      }
    });

    test('new-epoch gives every user a new epoch and a version above all before, beside the service or without it', async (t) => {
      const place = await started(t);
      const people = Array.from({ length: 1_001 }, (_, at) => `user ${at}`);
      await inBatches(people.length, (at) => place.create(people[at] ?? '', { title: 'kept' }));
      for (const isRunning of [true, false]) {
        const before = await rowsIn(place);
        if (!isRunning) await place.stop();
        assert.match(await mustRun(place, 'new-epoch'), /New epochs: 1001 users\n$/);
        const after = await rowsIn(place);
        const epochs = new Set([...before.users, ...after.users].map(({ epoch }) => epoch));
        assert.equal(epochs.size, 2 * people.length);
        assert.ok(after.users.every(({ version }, at) => version === (before.users[at]?.version ?? 0) + 2 ** 32));
        assert.deepEqual(after.tasks, before.tasks);
      }
    });
  });
}
