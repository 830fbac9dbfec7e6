import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { tsImport } from 'tsx/esm/api';
import { codeBlock, codeBlocks } from './support/code-blocks.ts';
import { CHANGES, FIELDS } from './support/fields.ts';
import { projectOf, typeErrors } from './support/project.ts';
import { onAnyDatabase, type Task } from './support/service.ts';

const PAGE = 'fields.md';
const TAGS = codeBlock('json', 'add_tags', PAGE);
const MOVE = codeBlock('json', 'before', PAGE);
const DUE = codeBlock('ts', '// lib/due.ts', PAGE);
const ORDER = codeBlock('ts', '// lib/order.ts', PAGE);

interface Due {
  readonly dueText: (task: Task) => string;
}
interface Order {
  readonly inOrder: (tasks: readonly Task[]) => Task[];
  readonly positionAt: (others: readonly Task[], index: number) => string;
}

/** Of each field of the table its default and its example, as JSON; null if the default is none. */
function rows(): { name: string; standard: string | null; example: string }[] {
  const text = readFileSync(new URL(`../docs/${PAGE}`, import.meta.url), 'utf8');
  return [...text.matchAll(/^\| `(\w+)` \|(.*)\|$/gm)].map(([, name = '', rest = '']) => {
    const [standard = '', example = ''] = rest.split('|').slice(-2);
    const json = (cell: string) => /`(.+)`/.exec(cell)?.[1] ?? null;
    return { name, standard: json(standard), example: json(example) ?? '' };
  });
}

test('docs/fields.md names every field that users write, and has no other snippets than those that are run here', () => {
  assert.deepEqual(
    rows().map(({ name }) => name),
    FIELDS,
  );
  const text = readFileSync(new URL(`../docs/${PAGE}`, import.meta.url), 'utf8');
  assert.deepEqual(
    CHANGES.filter((name) => !text.includes(`\`${name}\``)),
    [],
  );
  assert.deepEqual(
    codeBlocks(PAGE).map((block) => block.text),
    [TAGS, DUE, MOVE, ORDER],
  );
});

onAnyDatabase('docs/fields.md', (service) => {
  test('has the defaults and examples that the service has', async () => {
    const person = await service().person();
    const examples = Object.fromEntries(rows().map(({ name, example }) => [name, JSON.parse(example)]));
    const bare = await person.create('x');
    const { list_id: list, parent_id: parent } = examples;
    const isNew = { 'if-none-match': '*' };
    assert.equal((await person.send('PUT', `/api/lists/${list}`, { name: 'Home' }, isNew)).statusCode, 201);
    const above = { title: 'above', list_id: list };
    assert.equal((await person.send('PUT', `/api/tasks/${parent}`, above, isNew)).statusCode, 201);
    const full = await person.create('x', examples);
    for (const { name, standard } of rows()) {
      if (standard !== null) assert.deepEqual(Reflect.get(bare, name), JSON.parse(standard), name);
      assert.deepEqual(Reflect.get(full, name), examples[name], name);
    }
    const retagged = await person.send('PATCH', `/api/tasks/${full.id}`, JSON.parse(TAGS));
    assert.deepEqual(retagged.json<Task>().tags, ['Shopping', 'car']);
    const both = await person.send('PATCH', `/api/tasks/${full.id}`, { add_tags: ['Car'], remove_tags: ['car'] });
    assert.deepEqual(both.json<Task>().tags, ['Shopping']);
    const first = { title: 'first' };
    const move = JSON.parse(MOVE);
    assert.equal((await person.send('PUT', `/api/tasks/${move.before}`, first, isNew)).statusCode, 201);
    const moved = (await person.send('PATCH', `/api/tasks/${full.id}`, move)).json<Task>();
    assert.deepEqual([moved.list_id, moved.parent_id], [null, null]);
    const neighbours = (await person.list()).filter(({ list_id, parent_id }) => list_id === null && parent_id === null);
    const ids = neighbours.sort((a, b) => (a.position < b.position ? -1 : 1)).map(({ id }) => id);
    assert.deepEqual(ids, [bare.id, full.id, move.before]);
    const undated = await person.send('PATCH', `/api/tasks/${full.id}`, { due_date: null });
    assert.equal(undated.statusCode, 400);
  });

  test('has code that shows dates as they are, and moves tasks', async (t) => {
    const folder = projectOf({ 'lib/due.ts': DUE, 'lib/order.ts': ORDER });
    t.after(folder.remove);
    assert.equal(typeErrors(folder.path), '');
    const { dueText }: Due = await tsImport(`${folder.path}/lib/due.ts`, import.meta.url);
    const { inOrder, positionAt }: Order = await tsImport(`${folder.path}/lib/order.ts`, import.meta.url);
    const person = await service().person();
    const due = { due_date: '2026-11-23', due_time: '18:30', due_time_zone: 'Europe/Berlin' };
    assert.equal(dueText(await person.create('x', due)), 'Mon, 23 Nov 2026, 18:30 (Europe/Berlin)');
    assert.equal(dueText(await person.create('x', { ...due, due_time_zone: null })), 'Mon, 23 Nov 2026, 18:30');
    assert.equal(dueText(await person.create('x', { due_date: '2026-11-23' })), 'Mon, 23 Nov 2026');
    assert.equal(dueText(await person.create('x')), '');
    await person.create('as the last', { position: (await person.create('x')).position });
    for (const [from, to] of [
      [4, 0],
      [0, 3],
      [2, 4],
      [1, 5],
    ] as const) {
      const tasks = inOrder(await person.list());
      const moved = tasks[from];
      const others = tasks.filter((task) => task !== moved);
      const body = { position: positionAt(others, to) };
      assert.equal((await person.send('PATCH', `/api/tasks/${moved?.id}`, body)).statusCode, 200);
      const ids = (all: readonly Task[]) => all.map(({ id }) => id);
      assert.deepEqual(ids(inOrder(await person.list())), ids(others).toSpliced(to, 0, moved?.id ?? ''));
    }
  });
});
