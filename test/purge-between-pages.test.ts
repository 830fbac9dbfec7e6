import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { apply, type Changes, changesOf } from './support/changes.ts';
import { onEachDatabase, type Person, type Service, type Task } from './support/service.ts';
import { statement } from './support/statements.ts';

/** What is physically deleted: rows whose content is gone, as the service does; or as somebody with psql may. */
const PURGES = {
  blank: 'title is null',
  deleted: 'deleted_at is not null',
  newest: 'version = (select max(version) from todo.tasks as other where other.user_id = tasks.user_id)',
};

/** What happens between two pages: a purge, or a request. */
const steps = fc.array(
  fc.array(
    fc.record({
      what: fc.constantFrom('blank', 'deleted', 'newest', 'create', 'update', 'delete', 'delete', 'erase', 'erase'),
      task: fc.nat(20),
    }),
    { maxLength: 3 },
  ),
  { minLength: 4, maxLength: 4 },
);

async function perform(service: Service, person: Person, what: string, number: number): Promise<void> {
  const condition = Object.entries(PURGES).find(([name]) => name === what)?.[1];
  if (condition !== undefined) {
    const text = `delete from todo.tasks where user_id = $1 and ${condition}`;
    await service.opened.database.transaction({ kind: 'admin' }, [statement(text, [person.sub])]);
    return;
  }
  const tasks = await person.list();
  const url = `/api/tasks/${tasks[number % Math.max(1, tasks.length)]?.id}`;
  if (what === 'create' || tasks.length === 0) await person.create(`new ${number}`);
  else if (what === 'update') await person.send('PATCH', url, { title: `changed ${number}` });
  else await person.send('DELETE', what === 'erase' ? `${url}?permanent=true` : url);
}

/** Reads to the end. @returns null if it was told to start again. */
async function readOn(
  person: Person,
  from: Changes,
  tasks: Map<string, Task>,
  between: () => Promise<void>,
): Promise<Map<string, Task> | null> {
  let page = from;
  for (;;) {
    apply(page.changes, tasks);
    if (!page.has_more) return tasks;
    await between();
    const answer = await person.send('GET', `/api/changes?limit=2&cursor=${page.cursor}`);
    if (answer.statusCode === 410) return null;
    assert.equal(answer.statusCode, 200, answer.body);
    page = answer.json<Changes>();
  }
}

onEachDatabase('rows purged while somebody reads', (service) => {
  test('between the pages of a reader: it gets 410, or a copy that is right', async () => {
    const ends = { expired: 0, right: 0 };
    await fc.assert(
      fc.asyncProperty(steps, async ([before = [], ...between]) => {
        const person = await service().person();
        for (let count = 0; count < 6; count += 1) await person.create(`task ${count}`);
        const copy = apply((await changesOf(person)).changes);
        const { cursor } = await changesOf(person);
        for (const { what, task } of before) await perform(service(), person, what, task);
        const next = async () => {
          for (const { what, task } of between.shift() ?? []) await perform(service(), person, what, task);
        };
        const check = async (read: Map<string, Task> | null) => {
          ends[read === null ? 'expired' : 'right'] += 1;
          if (read !== null) assert.deepEqual(sorted(read), sorted(await listOf(person)));
        };
        await check(await readOn(person, await changesOf(person, { limit: 2 }), new Map(), next));
        const answer = await person.send('GET', `/api/changes?limit=2&cursor=${cursor}`);
        const isExpired = answer.statusCode === 410;
        await check(isExpired ? null : await readOn(person, answer.json<Changes>(), copy, next));
        await check(await readOn(person, await changesOf(person, { limit: 2 }), new Map(), async () => undefined));
      }),
      { numRuns: 25 },
    );
    assert.ok(ends.expired > 0 && ends.right > 0, JSON.stringify(ends));
  });
});

const listOf = async (person: Person) => new Map((await person.list()).map((task) => [task.id, task]));

const sorted = (tasks: Map<string, Task>) => [...tasks.values()].sort((a, b) => a.version - b.version);
