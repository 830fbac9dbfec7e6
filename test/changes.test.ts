import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { allPages, apply, type Changes, changesOf } from './support/changes.ts';
import { assertError } from './support/envelope.ts';
import { onEachDatabase, type Person, type Service, type Task } from './support/service.ts';
import { statement } from './support/statements.ts';

const EXPIRED = [410, 'CURSOR_EXPIRED', 'Start again without a cursor'] as const;

/** Runs SQL as the role that backs up and restores: what a restore, a purge or somebody with psql does. */
const asOperator = (service: Service, text: string, values: readonly string[] = []) =>
  service.opened.database.transaction({ kind: 'admin' }, [statement(text, values)]);

async function createMany(person: Person, count: number): Promise<Task[]> {
  const tasks: Task[] = [];
  for (let index = 0; index < count; index += 1) tasks.push(await person.create(`${index}`));
  return tasks;
}

const remove = (person: Person, task: Task, query = '') => person.send('DELETE', `/api/tasks/${task.id}${query}`);
const rename = async (person: Person, task: Task, title: string) =>
  (await person.send('PATCH', `/api/tasks/${task.id}`, { title })).json<Task>();

const expired = async (person: Person, query: string) =>
  assertError(await person.send('GET', `/api/changes?${query}`), ...EXPIRED);

onEachDatabase('changes', (service) => {
  test('without a cursor: everything that is there, as the list shows it, by version, and a cursor', async () => {
    const person = await service().person();
    const tasks = await createMany(person, 3);
    const [first] = tasks;
    assert.ok(first !== undefined);
    const renamed = await rename(person, first, 'renamed');
    const answer = await changesOf(person);
    assert.deepEqual(Object.keys(answer), ['changes', 'cursor', 'version', 'epoch', 'has_more']);
    assert.deepEqual(
      answer.changes,
      [...tasks.slice(1), renamed].map((task) => {
        const { id, version } = task;
        return { type: 'task', id, version, deleted: false, task };
      }),
    );
    assert.equal(answer.version, renamed.version);
    assert.equal(answer.has_more, false);
    assert.match(answer.epoch, /^[0-9a-f-]{36}$/);
    assert.match(answer.cursor, /^[\w-]+$/);
  });

  test('a cursor shows what changed since, each task once at its newest state, and deletions with their content', async () => {
    const person = await service().person();
    const [kept, changed, gone] = await createMany(person, 3);
    assert.ok(kept !== undefined && changed !== undefined && gone !== undefined);
    const { cursor } = await changesOf(person);
    assert.deepEqual((await changesOf(person, { cursor })).changes, []);
    await rename(person, changed, 'once');
    await remove(person, gone);
    const twice = await rename(person, changed, 'twice');
    const { changes } = await changesOf(person, { cursor });
    assert.deepEqual(
      changes.map(({ id, deleted }) => [id, deleted]),
      [
        [gone.id, true],
        [changed.id, false],
      ],
    );
    assert.deepEqual(changes[1]?.task, twice);
    assert.equal(changes[0]?.task?.title, gone.title);
    assert.equal(changes[0]?.task?.version, changes[0]?.version);
    assert.match(String(changes[0]?.task?.deleted_at), /^\d{4}-.*Z$/);
  });

  test('content that is gone is a change of its own: the task is null', async () => {
    const person = await service().person();
    const [task] = await createMany(person, 1);
    assert.ok(task !== undefined);
    await remove(person, task);
    const { cursor, version } = await changesOf(person);
    await remove(person, task, '?permanent=true');
    const { changes } = await changesOf(person, { cursor });
    assert.deepEqual(changes, [{ type: 'task', id: task.id, version: version + 1, deleted: true, task: null }]);
  });

  test('a restored task is there again', async () => {
    const person = await service().person();
    const [task] = await createMany(person, 1);
    assert.ok(task !== undefined);
    await remove(person, task);
    const { cursor } = await changesOf(person);
    await person.send('POST', `/api/tasks/${task.id}/restore`);
    const { changes } = await changesOf(person, { cursor });
    assert.deepEqual(
      changes.map(({ id, deleted, task: now }) => [id, deleted, now?.title]),
      [[task.id, false, task.title]],
    );
  });

  test('without a cursor old deletions are left out', async () => {
    const person = await service().person();
    const [kept, gone, blank] = await createMany(person, 3);
    assert.ok(kept !== undefined && gone !== undefined && blank !== undefined);
    await remove(person, gone);
    await remove(person, blank, '?permanent=true');
    const answer = await changesOf(person);
    assert.deepEqual(
      answer.changes.map(({ id }) => id),
      [kept.id],
    );
    assert.equal(answer.version, 5);
  });

  test('pages are exact: shorter than the limit only when there is no more', async () => {
    const person = await service().person();
    const tasks = await createMany(person, 7);
    const [gone] = tasks;
    assert.ok(gone !== undefined);
    const lengths = (pages: readonly Changes[]) => pages.map(({ changes }) => changes.length);
    assert.deepEqual(lengths(await allPages(person, 3)), [3, 3, 1]);
    assert.deepEqual(lengths(await allPages(person, 7)), [7]);
    assert.deepEqual(lengths(await allPages(person, 1)), [1, 1, 1, 1, 1, 1, 1]);
    await remove(person, gone);
    assert.deepEqual(lengths(await allPages(person, 3)), [3, 3]);
    const pages = await allPages(person, 2);
    assert.deepEqual(
      pages.map(({ has_more }) => has_more),
      [true, true, false],
    );
    assert.deepEqual(
      pages.map(({ version }) => version),
      [3, 5, 8],
    );
  });

  test('500 changes come without a limit', async () => {
    const person = await service().person();
    for (let round = 0; round < 3; round += 1) {
      await Promise.all(Array.from({ length: 167 }, (_, index) => person.create(`${index}`)));
    }
    const first = await changesOf(person);
    assert.equal(first.changes.length, 500);
    assert.ok(first.has_more);
    assert.equal((await changesOf(person, { cursor: first.cursor })).changes.length, 1);
    assert.equal((await changesOf(person, { limit: 1000 })).changes.length, 501);
  });

  test('a first copy may be interrupted: what is deleted meanwhile is shown, older deletions are not', async () => {
    const person = await service().person();
    const tasks = await createMany(person, 6);
    const [seen, before, unseen] = [tasks[0], tasks[3], tasks[5]];
    assert.ok(seen !== undefined && before !== undefined && unseen !== undefined);
    await remove(person, before);
    const first = await changesOf(person, { limit: 2 });
    await remove(person, seen);
    await remove(person, unseen);
    await person.create('new');
    const rest = await allPages(person, 2, first.cursor);
    const all = [first, ...rest].flatMap(({ changes }) => changes);
    assert.ok(!all.some(({ id }) => id === before.id));
    assert.deepEqual(
      all.filter(({ deleted }) => deleted).map(({ id }) => id),
      [seen.id, unseen.id],
    );
    assert.deepEqual([...apply(all).values()].reverse(), await person.list());
  });

  test('a purge in the middle of a first copy does not end it; a row that is deleted unseen does', async () => {
    const person = await service().person();
    const tasks = await createMany(person, 4);
    const [gone, , , last] = tasks;
    assert.ok(gone !== undefined && last !== undefined);
    await remove(person, gone, '?permanent=true');
    const { cursor } = await changesOf(person, { limit: 1 });
    await asOperator(service(), 'delete from todo.tasks where user_id = $1 and title is null', [person.sub]);
    const rest = await changesOf(person, { cursor });
    assert.deepEqual(
      rest.changes.map(({ id }) => id),
      tasks.slice(2).map(({ id }) => id),
    );
    await asOperator(service(), 'delete from todo.tasks where user_id = $1 and id = $2', [person.sub, last.id]);
    await expired(person, `cursor=${cursor}`);
    await expired(person, `cursor=${rest.cursor}`);
    const { changes } = await changesOf(person);
    assert.deepEqual(
      changes.map(({ id }) => id),
      tasks.slice(1, 3).map(({ id }) => id),
    );
  });

  test('a purge above a reader’s position ends its reading with 410, and one below does not', async () => {
    const person = await service().person();
    const [kept, gone] = await createMany(person, 2);
    assert.ok(kept !== undefined && gone !== undefined);
    const old = await changesOf(person);
    await remove(person, gone, '?permanent=true');
    const recent = await changesOf(person, { cursor: old.cursor });
    await asOperator(service(), 'delete from todo.tasks where user_id = $1 and title is null', [person.sub]);
    await expired(person, `cursor=${old.cursor}`);
    await expired(person, `since=${old.version}&epoch=${old.epoch}`);
    assert.deepEqual((await changesOf(person, { cursor: recent.cursor })).changes, []);
  });

  test('since and epoch do the same as a cursor, and since=0 is a start', async () => {
    const person = await service().person();
    const tasks = await createMany(person, 3);
    const { epoch, ...whole } = await changesOf(person, { since: 0 });
    assert.deepEqual(
      whole.changes.map(({ id }) => id),
      tasks.map(({ id }) => id),
    );
    const since = await changesOf(person, { since: 1, epoch });
    assert.deepEqual(
      since.changes.map(({ id }) => id),
      tasks.slice(1).map(({ id }) => id),
    );
    assert.equal((await changesOf(person, { since: 1, epoch: epoch.toUpperCase() })).changes.length, 2);
    assert.equal((await changesOf(person, { since: 0, epoch: randomUUID() })).changes.length, 3);
    const first = await changesOf(person, { since: 1, epoch, limit: 1 });
    assert.equal(first.version, 2);
    assert.deepEqual((await changesOf(person, { cursor: first.cursor })).changes, whole.changes.slice(2));
  });

  test('another epoch and a position ahead of the counter are 410', async () => {
    const person = await service().person();
    await createMany(person, 2);
    const { epoch, cursor } = await changesOf(person);
    await expired(person, `since=3&epoch=${epoch}`);
    await expired(person, `since=2&epoch=${randomUUID()}`);
    const other = await service().person();
    await createMany(other, 2);
    await expired(other, `cursor=${cursor}`);
    await asOperator(
      service(),
      'update todo.users set epoch = gen_random_uuid(), version = version + 4294967296 where id = $1',
      [person.sub],
    );
    await expired(person, `cursor=${cursor}`);
    assert.equal((await changesOf(person)).version, 4_294_967_298);
  });

  test('a user who has never written has counter 0, an epoch that stays theirs, and a cursor that is always good', async () => {
    const person = await service().person();
    const answers = await Promise.all([changesOf(person), changesOf(person), changesOf(person)]);
    const [{ epoch, cursor }] = answers as [Changes, ...Changes[]];
    for (const answer of answers) {
      assert.deepEqual(answer, { changes: [], cursor, version: 0, epoch, has_more: false });
    }
    const task = await person.create('first');
    const answer = await changesOf(person, { cursor });
    assert.equal(answer.epoch, epoch);
    assert.deepEqual(
      answer.changes.map(({ id }) => id),
      [task.id],
    );
    const other = await service().person();
    await other.create('other');
    assert.equal((await changesOf(other, { cursor })).changes.length, 1);
  });

  test('the longest page is whole, and others are answered meanwhile', async () => {
    const person = await service().person();
    const description = '\u0001'.repeat(2_000);
    await Promise.all(Array.from({ length: 200 }, (_, index) => person.create(`${index}`, { description })));
    const [{ changes, has_more }, list] = await Promise.all([changesOf(person, { limit: 1000 }), person.list()]);
    assert.equal(has_more, false);
    assert.deepEqual(
      changes.map(({ task }) => task).reverse(),
      list.toSorted((a, b) => b.version - a.version),
    );
  });

  test('faulty query parameters are 400 and named', async () => {
    const person = await service().person();
    const { cursor, epoch } = await changesOf(person);
    const integer = (label: string, from: number, to: number) => `${label} must be an integer from ${from} to ${to}`;
    const UNKNOWN = 'Unknown query parameter: this route has cursor, limit, wait, since, epoch';
    const unknownCursor = 'Cursor must be one that this service has given';
    for (const [query, field, message] of [
      ['limit=0', 'limit', integer('Limit', 1, 1000)],
      ['limit=1001', 'limit', integer('Limit', 1, 1000)],
      ['limit=1e2', 'limit', integer('Limit', 1, 1000)],
      ['limit=', 'limit', integer('Limit', 1, 1000)],
      ['wait=0', 'wait', integer('Wait', 1, 25)],
      ['wait=26', 'wait', integer('Wait', 1, 25)],
      ['cursor=', 'cursor', unknownCursor],
      ['cursor=abc', 'cursor', unknownCursor],
      [`cursor=${cursor}A`, 'cursor', unknownCursor],
      [`cursor=B${cursor.slice(1)}`, 'cursor', unknownCursor],
      [`cursor=${cursor.slice(0, 22)}${'_'.repeat(22)}`, 'cursor', unknownCursor],
      ['since=1', 'epoch', 'Since needs the epoch that came with it'],
      [`epoch=${epoch}`, 'epoch', 'Epoch is only sent with since'],
      ['since=1&epoch=x', 'epoch', 'Epoch must be a UUID'],
      [`since=-1&epoch=${epoch}`, 'since', integer('Since', 0, Number.MAX_SAFE_INTEGER)],
      [`since=1&epoch=${epoch}&cursor=${cursor}`, 'since', 'Either cursor or since, not both'],
      ['limit=1&limit=1', 'limit', 'Query parameter must be sent once'],
      ['from=1', 'from', `${UNKNOWN}. None is needed against caches: responses are never cached`],
    ] as const) {
      const answer = await person.send('GET', `/api/changes?${query}`);
      assert.deepEqual(
        [query, answer.statusCode, answer.json<{ details: unknown }>().details],
        [query, 400, [{ field, message }]],
      );
    }
  });

  test('wait answers at once if there is something, as soon as there is, or empty', async () => {
    const person = await service().person();
    await person.create('there');
    const { cursor, changes } = await changesOf(person, { wait: 25 });
    assert.equal(changes.length, 1);
    const empty = await changesOf(person, { cursor, wait: 1 });
    assert.deepEqual([empty.changes, empty.cursor], [[], cursor]);
    const waiting = changesOf(person, { cursor, wait: 25 });
    const other = await service().person();
    await other.create('of no concern');
    const task = await person.create('awaited');
    assert.deepEqual(
      (await waiting).changes.map(({ id }) => id),
      [task.id],
    );
  });

  test('HEAD is like GET', async () => {
    const person = await service().person();
    const answer = await person.send('HEAD', '/api/changes?limit=1');
    assert.deepEqual([answer.statusCode, answer.body], [200, '']);
    assert.equal(answer.headers['cache-control'], 'no-store');
  });
});
