import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { INSTALLATIONS, type Installation, inBatches, readRows, rowsIn, tasksIn } from '../support/installation.ts';

for (const [kind, make] of INSTALLATIONS) {
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
        assert.match(said, /: 1 users, 0 lists, 2 tasks, 2 replies; existed already/);
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
      const blanked = readFileSync(file, 'utf8').replace(/^\{"task".*/m, (line) =>
        line
          .replace('"title":"secret"', '"title":null')
          .replace(/"position":"\w+"/, '"position":null')
          .replace('"deleted_at":null', '"deleted_at":"2026-01-01T00:00:00Z"'),
      );
      writeFileSync(file, blanked);
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

    test('a backup keeps every field, and one from before there were fields restores with positions and times', async (t) => {
      const place = await started(t);
      const full = {
        ...{ title: 'full', description: 'of words', is_completed: true, position: 'Zz', priority: 'high' },
        ...{ due_date: '2026-11-23', due_time: '18:30', due_time_zone: 'Europe/Berlin', tags: ['Home', '{"büro,'] },
      };
      await place.create('ann', full);
      // In an order that is none of their ids.
      const ids = ['f', '0', '8'].map((digit) => `${digit}199d3a4-7c1e-4b52-9d0f-3a2b1c4d5e6f`);
      for (const [at, id] of ids.entries()) {
        const none = { 'if-none-match': '*' };
        await place.send('ann', 'PUT', `/${id}`, { title: `${at}`, is_completed: at === 1 }, {}, none);
      }
      await mustRun(place, 'backup', 'all.ndjson');
      const file = join(place.folder.path, 'all.ndjson');
      const moved = await started(t);
      await mustRun(moved, 'restore', file, '--move');
      assert.equal(await moved.ask('ann'), await place.ask('ann'));
      const { tags } = JSON.parse(
        await moved.ask('ann', 'PATCH', `/${tasksIn(await moved.ask('ann')).at(-1)?.id}`, {
          add_tags: ['HOME', 'car'],
        }),
      );
      assert.deepEqual(tags, [...full.tags, 'car']);

      const lines = readFileSync(file, 'utf8')
        .trimEnd()
        .split('\n')
        .map((line) => {
          const { task, ...rest } = JSON.parse(line);
          if (task === undefined) return JSON.stringify(rest);
          const { id, user_id, title, description, is_completed, created_at, updated_at, version, deleted_at } = task;
          const old = { id, user_id, title, description, is_completed, created_at, updated_at, version, deleted_at };
          return JSON.stringify({ task: old });
        });
      writeFileSync(file, lines.map((line) => `${line}\n`).join(''));
      for (const args of [[], ['--move']]) {
        const other = await started(t);
        await mustRun(other, 'restore', file, ...args);
        const tasks = tasksIn(await other.ask('ann')).reverse();
        assert.deepEqual(
          tasks.map(({ title, priority, tags: none, due_date }) => [title, priority, none, due_date]),
          ['full', '0', '1', '2'].map((title) => [title, 'none', [], null]),
        );
        assert.deepEqual(tasks.map(({ position }) => position).sort(), ['a0', 'a1', 'a2', 'a3']);
        for (const { is_completed, completed_at, updated_at } of tasks) {
          assert.equal(completed_at, is_completed ? updated_at : null);
        }
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
      assert.match(said, /The database has 1 users, 0 lists, 5 tasks, 0 replies: --move needs an empty one/);
    });

    test('lists come back as tasks do: kept or replaced, moved with their versions, and with the replies about them', async (t) => {
      const place = await started(t);
      const create = async (name: string, more = {}): Promise<{ id: string }> =>
        JSON.parse(await place.askLists('ann', 'POST', '', { name }, more));
      const namesIn = async (at: Installation) =>
        (JSON.parse(await at.askLists('ann')) as { lists: { name: string }[] }).lists.map(({ name }) => name).sort();
      const key = { 'idempotency-key': 'once' };
      const [kept, changed, gone] = [await create('kept', key), await create('before'), await create('gone')];
      const reply = await place.askLists('ann', 'POST', '', { name: 'kept' }, key);
      await place.askLists('ann', 'DELETE', `/${gone.id}`);
      await place.create('ann', { title: 'a task' });
      const rows = await rowsIn(place);
      const file = join(place.folder.path, 'first.ndjson');
      assert.match(await mustRun(place, 'backup', file), /: 1 users, 3 lists, 1 tasks, 1 replies\n$/);
      assert.doesNotMatch(readFileSync(file, 'utf8'), /"gone"/);

      const other = await started(t);
      await mustRun(other, 'restore', file, '--move');
      assert.deepEqual(await rowsIn(other), rows);
      assert.equal(await other.askLists('ann', 'POST', '', { name: 'kept' }, key), reply);

      await place.askLists('ann', 'DELETE', `/${kept.id}`);
      await place.askLists('ann', 'PATCH', `/${changed.id}`, { name: 'after' });
      await create('later');
      await mustRun(place, 'restore', file);
      assert.deepEqual(await namesIn(place), ['after', 'kept', 'later']);
      await mustRun(place, 'restore', file, '--replace');
      assert.deepEqual(await namesIn(place), ['before', 'kept', 'later']);
      const { users } = await rowsIn(place);
      assert.ok((users[0]?.version ?? 0) > 2 ** 33);
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
        [['"version":4', '"version":2'], /Line 1 .* has version 2: such a file has no versions to keep/],
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
