import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, mock, test } from 'node:test';
import { backUp } from '../../dist/backup/backup.js';
import { embedded, Installation, inBatches, postgres, rowsIn, tasksIn, unnumbered } from '../support/installation.ts';
import { RunningService } from '../support/process.ts';
import { Relay } from '../support/relay.ts';
import { asAdmin, createPostgresDatabase, onPostgres, POSTGRES_URL, type Task } from '../support/service.ts';

const TITLES = [
  'oat milk',
  '👩‍👩‍👧 family',
  'مرحبا',
  'a\nb\tc',
  'line\u2028separator',
  '"quoted" \\ {',
  "'; drop table",
];

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
      /through the running service\nBacked up to all\.ndjson: \d+ users, 0 lists, \d+ tasks, \d+ replies\n$/,
    );
    assert.equal(statSync(join(place.folder.path, 'all.ndjson')).mode & 0o777, 0o600);

    await place.ask('ann', 'DELETE', `/${gone.id}`);
    await place.ask('ann', 'PUT', `/${changed.id}`, { title: 'changed since', description: null });
    const later = await place.create('ann', { title: 'later' });
    const kept = await place.run('restore', 'all.ndjson');
    assert.match(
      kept.said,
      /all\.ndjson: 0 users, 0 lists, 1 tasks, 0 replies; existed already: \d+ users, 0 lists, \d+ tasks, 0 replies\n$/,
    );
    assert.deepEqual(unnumbered(JSON.parse(await place.ask('ann', 'GET', `/${gone.id}`))), unnumbered(gone));
    assert.equal((JSON.parse(await place.ask('ann', 'GET', `/${changed.id}`)) as Task).title, 'changed since');

    const replaced = await place.run('restore', 'all.ndjson', '--replace');
    assert.match(replaced.said, /: 0 users, 0 lists, 1 tasks, 0 replies; existed already/);
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
      ['a later version', [head.replace('"version":4', '"version":5'), ...lines.slice(1)], /Line 1 .*version/],
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
        /counts 1 users, 0 lists, 2 tasks, 0 replies, but the file has 1 users, 0 lists, 1 tasks, 0 replies/,
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
    // Columns that the file does not have get their defaults.
    assert.deepEqual({ ...restored, ...good, deleted_at: null }, restored);
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
      listed.map((task, at) => ({ ...unnumbered(task), ...tasks.toReversed()[at], deleted_at: null })),
      listed.map(unnumbered),
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
      /: 0 users, 0 lists, 0 tasks, 0 replies; existed already: 1 users, 0 lists, 15,000 tasks/,
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
    assert.match(
      restored.said,
      /Restored from .*: 6 users, 0 lists, 1,135 tasks, 0 replies; existed already: 0 users, 0 lists, 0 tasks/,
    );
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
      /query_wait_timeout; retrying\nRestored from one\.ndjson: 0 users, 0 lists, 1 tasks, 0 replies;/,
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
    assert.match(await run('backup'), /Backed up to all\.ndjson: 1 users, 0 lists, 1 tasks, 0 replies/);
    await place.ask('ann', 'DELETE', `/${task.id}`);
    assert.match(await run('restore'), /: 0 users, 0 lists, 1 tasks, 0 replies;/);
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
