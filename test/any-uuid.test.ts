import assert from 'node:assert/strict';
import { test } from 'node:test';
import { onEachDatabase, type Task } from './support/service.ts';

/** In the form of a UUID, of no version that RFC 9562 knows. */
const IDS = ['11111111-1111-1111-1111-111111111111', 'ffffffff-ffff-0fff-0fff-fffffffffffe'];

onEachDatabase('ids and times at the edge of what is accepted', (service) => {
  test('a task under any id in the form of a UUID is on a page, and may recur', async () => {
    const person = await service().person();
    for (const id of IDS) {
      const body = { title: 'x', due_date: '2026-11-23', recurrence: 'FREQ=DAILY' };
      const created = await person.send('PUT', `/api/tasks/${id}`, body, { 'if-none-match': '*' });
      assert.equal(created.statusCode, 201, created.body);
    }
    const titles: string[] = [];
    let path = '/api/tasks?limit=1';
    for (let page = 0; page < IDS.length; page += 1) {
      const answer = await person.send('GET', path);
      assert.equal(answer.statusCode, 200, answer.body);
      titles.push(...answer.json<{ tasks: Task[] }>().tasks.map(({ id }) => id));
      path = `/api/tasks?limit=1&cursor=${encodeURIComponent(answer.json().next_cursor ?? '')}`;
    }
    assert.deepEqual(titles.sort(), [...IDS].sort());
    for (const id of IDS) {
      const toggled = await person.send('POST', `/api/tasks/${id}/toggle`);
      assert.equal(toggled.statusCode, 200, toggled.body);
    }
    assert.equal((await person.list()).length, 2 * IDS.length);
  });

  test('a time with an offset that the database does not know is 400 in a query, and left out of an import', async () => {
    const person = await service().person();
    const asked = await person.send('GET', '/api/tasks?updated_from=2026-01-01T00:00:00%2B20:00');
    assert.deepEqual([asked.statusCode, asked.json().details[0].field], [400, 'updated_from']);
    const task = { id: IDS[0], title: 'x', created_at: '2026-01-01T00:00:00+20:00' };
    const file = { format: 'todo-api', format_version: 1, lists: [], tasks: [task] };
    const imported = await person.send('POST', '/api/import', file);
    assert.deepEqual([imported.statusCode, imported.json().created], [200, 1]);
  });

  test('a cursor that nobody was given is 400', async () => {
    const person = await service().person();
    await Promise.all(['a', 'b'].map((title) => person.create(title)));
    const { next_cursor: given } = (await person.send('GET', '/api/tasks?limit=1')).json();
    const made = JSON.parse(Buffer.from(given, 'base64url').toString());
    made[2] = made[2].map(() => '2026-02-30T00:00:00.000000Z');
    const cursor = Buffer.from(JSON.stringify(made)).toString('base64url');
    const answer = await person.send('GET', `/api/tasks?limit=1&cursor=${cursor}`);
    assert.deepEqual([answer.statusCode, answer.json().details[0].field], [400, 'cursor']);
  });
});
