import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Database } from '../dist/database/database.js';
import { indexTasks, readUnindexedTasks } from '../dist/tasks/job-sql.js';
import { changesOf } from './support/changes.ts';
import { onEachDatabase, type Person } from './support/service.ts';
import { statement } from './support/statements.ts';

async function asOperator(database: Database, text: string) {
  const [rows = []] = await database.transaction({ kind: 'admin' }, [statement(text)]);
  return rows;
}

const found = async (person: Person, query: string) =>
  (await person.send('GET', `/api/tasks?${query}`))
    .json<{ tasks: { title: string }[] }>()
    .tasks.map(({ title }) => title);

/** Writes something of another user's, so that the jobs have a turn, until `holds`. */
async function untilJobs(writer: Person, holds: () => Promise<boolean>): Promise<void> {
  const own = await writer.create('so that something is written');
  while (!(await holds())) await writer.send('POST', `/api/tasks/${own.id}/toggle`);
}

onEachDatabase(
  'tasks that were not written by this program',
  (service) => {
    test('are found once a job has indexed them, which is no change of theirs', async () => {
      const { database } = service().opened;
      const [person, writer] = [await service().person(), await service().person()];
      await person.create('of the program');
      await asOperator(
        database,
        `insert into todo.tasks (user_id, id, title, description, tags, tag_keys)
         select '${person.sub}', gen_random_uuid(), 'Äpfel ' || n, 'of psql', array['Été'], array['été']
         from generate_series(1, 205) as n`,
      );
      const { cursor } = await changesOf(person);
      const before = await person.list();
      await untilJobs(writer, async () => (await found(person, 'q=apfel&limit=1000')).length === 205);
      assert.deepEqual(await found(person, 'q=psql+ete+apfel+205'), ['Äpfel 205']);
      assert.equal((await found(person, 'tag=%C3%89T%C3%89&limit=1000')).length, 205);
      assert.deepEqual(await found(person, 'sort=title&limit=2'), ['Äpfel 1', 'Äpfel 10']);
      assert.deepEqual(await person.list(), before);
      assert.deepEqual((await changesOf(person, { cursor })).changes, []);
    });

    test('are found by their new words after a change in psql, and no longer by the old ones', async () => {
      const { database } = service().opened;
      const [person, writer] = [await service().person(), await service().person()];
      const { id } = await person.create('Old title', { tags: ['tag'] });
      await person.create('Old and unchanged');
      const ofTask = `where user_id = '${person.sub}' and id = '${id}'`;
      await asOperator(database, `update todo.tasks set title = 'New title' ${ofTask}`);
      assert.deepEqual(await found(person, 'q=old'), ['Old and unchanged']);
      await untilJobs(writer, async () => (await found(person, 'q=new')).length === 1);
      assert.deepEqual(await found(person, 'q=new+tag'), ['New title']);
      await asOperator(
        database,
        `update todo.tasks set title = null, deleted_at = now(), position = null,
        tags = '{}', tag_keys = '{}' ${ofTask}`,
      );
      const words = `select title_words, tag_words from todo.tasks ${ofTask}
        union all select word, null from todo.task_words where task_id = '${id}'`;
      assert.deepEqual(await asOperator(database, words), [[null, '{}']]);
      await asOperator(database, `delete from todo.tasks where user_id = '${person.sub}'`);
      assert.deepEqual(await asOperator(database, `select from todo.task_words where user_id = '${person.sub}'`), []);
    });

    test('words of an older revision are made anew', async () => {
      const { database } = service().opened;
      const [person, writer] = [await service().person(), await service().person()];
      const { id } = await person.create('Fresh');
      await asOperator(
        database,
        `update todo.tasks set title_words = 'stale', words_revision = 0 where user_id = '${person.sub}' and id = '${id}'`,
      );
      assert.deepEqual(await found(person, 'q=stale'), ['Fresh']);
      await untilJobs(writer, async () => (await found(person, 'q=fresh')).length === 1);
      assert.deepEqual(await found(person, 'q=stale'), []);
    });

    test('a change that comes first is not overwritten by the words of what was', async () => {
      const { database } = service().opened;
      const person = await service().person();
      const { id } = await person.create('First');
      const stale = { user_id: person.sub, id, version: 1, title_words: 'first', tag_keys: [], tag_words: [] };
      await person.send('PATCH', `/api/tasks/${id}`, { title: 'Second' });
      const [rows] = await database.transaction({ kind: 'admin' }, [indexTasks({ tasks: [stale] })]);
      assert.deepEqual(rows, []);
      assert.deepEqual(await found(person, 'q=second'), ['Second']);
    });
  },
  { jobsEveryMs: 20 },
);

onEachDatabase('the statement that finds tasks without words', (service) => {
  test('reads those alone, by an index', async () => {
    const { database } = service().opened;
    await (await service().person()).create('indexed');
    const { statement: unindexed } = readUnindexedTasks({});
    const plan = (await asOperator(database, `explain ${unindexed.text}`)).flat().join('\n');
    assert.match(plan, /Index Scan (using|on) tasks_to_index/, plan);
  });
});
