import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { newDevice, settled, until } from './support/mirrors.ts';
import { onEachDatabase, type Task } from './support/service.ts';
import { listen } from './support/socket.ts';

/** The day does not change while the test runs. */
const NOW = Date.now();
const DAY_MS = 86_400_000;

/** The day so many days from today, in UTC. */
const day = (from: number) => new Date(NOW + from * DAY_MS).toISOString().slice(0, 10);
const titlesOf = (tasks: readonly Pick<Task, 'title'>[]) => tasks.map(({ title }) => title);

onEachDatabase(
  'a week of a person',
  (service) => {
    let url: string;
    before(async () => {
      url = `http://127.0.0.1:${await listen(service().app)}`;
    });

    test('plan, move, complete, repeat, search, undo, export, and import elsewhere', async (t) => {
      const phone = newDevice(t, url);
      const client = phone.client();

      // Plan: two lists, tasks with days, a project with its steps.
      const home = await client.lists.create({ name: 'Home', color: '#00aa00' });
      const work = await client.lists.create({ name: 'Work' });
      const milk = await client.create({
        title: 'Buy oat milk',
        due_date: day(0),
        tags: ['Shopping'],
        list_id: home.id,
      });
      const plants = await client.create({
        title: 'Water the plants',
        due_date: day(0),
        recurrence: 'FREQ=DAILY;INTERVAL=2',
      });
      const call = await client.create({ title: 'Call the dentist', due_date: day(-1), priority: 'high' });
      const report = await client.create({ title: 'Quarterly report', due_date: day(3), list_id: work.id });
      const steps = ['Collect figures', 'Write', 'Send'];
      for (const title of steps) await client.create({ title, parent_id: report.id });
      const view = async (name: 'today' | 'upcoming' | 'overdue') =>
        titlesOf((await client.page({ view: name, sort: 'title' })).tasks);
      assert.deepEqual(await view('today'), ['Buy oat milk', 'Water the plants']);
      assert.deepEqual(await view('overdue'), ['Call the dentist']);
      assert.deepEqual(await view('upcoming'), ['Quarterly report']);
      const counts = await client.counts();
      assert.deepEqual(
        [counts.open, counts.completed, counts.overdue, counts.today, counts.lists[work.id], counts.tags.Shopping],
        [7, 0, 1, 2, 4, 1],
      );

      // Move: the last step first, the whole project to another list, a task to tomorrow.
      const stepsOf = async () =>
        (await client.page({ parent_id: report.id, sort: 'position' })).tasks.map(({ id, title }) => ({ id, title }));
      const [first, , last] = await stepsOf();
      assert.ok(first && last);
      await client.patch(last.id, { before: first.id });
      assert.deepEqual(titlesOf(await stepsOf()), ['Send', 'Collect figures', 'Write']);
      await client.patch(report.id, { list_id: home.id });
      assert.equal((await client.get(last.id)).list_id, home.id);
      await client.patch(call.id, { due_date: day(1), due_time: '09:30', due_time_zone: 'Europe/Berlin' });
      assert.deepEqual(await view('overdue'), []);

      // Complete, on the train without a network: the plants come again in two days.
      const local = await phone.open();
      await settled(local);
      phone.network.cut();
      await until(local, () => local.status === 'offline');
      await local.toggle(milk.id);
      await local.update(plants.id, { is_completed: true, completed_on: day(0) });
      phone.network.restore();
      local.sync();
      await settled(local);
      assert.deepEqual(await view('today'), []);
      const done = (await client.page({ is_completed: true, sort: 'title' })).tasks;
      assert.deepEqual(titlesOf(done), ['Buy oat milk', 'Water the plants']);
      const [again] = (await client.page({ q: 'plant', is_completed: false })).tasks;
      assert.deepEqual([again?.due_date, again?.series_id], [day(2), plants.id]);

      // Search: words of title and tags, whatever their case, and prefixes.
      assert.deepEqual(titlesOf((await client.page({ q: 'SHOPP oat' })).tasks), ['Buy oat milk']);
      assert.deepEqual(titlesOf((await client.page({ tag: 'shopping' })).tasks), ['Buy oat milk']);

      // Undo: the project is deleted by mistake, and comes back with its steps.
      await client.delete(report.id);
      assert.deepEqual((await client.page({ q: 'collect' })).tasks, []);
      await client.restore(report.id);
      assert.deepEqual(titlesOf(await stepsOf()), ['Send', 'Collect figures', 'Write']);

      // Export everything, and import it as somebody else, twice.
      const person = await service().person(phone.user);
      const exported = (await person.send('GET', '/api/export')).json<{ tasks: Task[] }>();
      const other = await service().person();
      const imported = (await other.send('POST', '/api/import', exported)).json();
      assert.deepEqual([imported.created, imported.refused], [exported.tasks.length, []]);
      const repeated = (await other.send('POST', '/api/import', exported)).json();
      assert.deepEqual([repeated.created, repeated.refused], [0, []]);
      const tasksOf = async (of: typeof person) =>
        (await of.list())
          .map(({ title, is_completed, due_date, due_time, priority, tags, recurrence }) =>
            JSON.stringify([title, is_completed, due_date, due_time, priority, tags, recurrence]),
          )
          .sort();
      assert.deepEqual(await tasksOf(other), await tasksOf(person));
      const { lists } = (await other.send('GET', '/api/lists')).json<{ lists: { readonly name: string }[] }>();
      assert.deepEqual(
        lists.map(({ name }) => name),
        ['Home', 'Work'],
      );
    });
  },
  { clock: () => NOW },
);
