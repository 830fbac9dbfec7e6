import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { newDevice, settled, until } from './support/mirrors.ts';
import { onEachDatabase } from './support/service.ts';
import { listen } from './support/socket.ts';

const DAILY = { title: 'Water', due_date: '2026-11-22', recurrence: 'FREQ=DAILY' };

onEachDatabase('recurring tasks in mirrors', (service) => {
  let url: string;
  before(async () => {
    url = `http://127.0.0.1:${await listen(service().app)}`;
  });

  test('two devices that complete one without a network have one successor between them', async (t) => {
    const phone = newDevice(t, url);
    const laptop = newDevice(t, url, { user: phone.user });
    const task = await phone.client().create(DAILY);
    const mirrors = [await phone.open(), await laptop.open()];
    await Promise.all(mirrors.map(settled));
    for (const device of [phone, laptop]) device.network.cut();
    await Promise.all(mirrors.map((local) => until(local, () => local.status === 'offline')));
    for (const local of mirrors) {
      await local.toggle(task.id);
      assert.deepEqual(
        local.tasks().map(({ is_completed }) => is_completed),
        [true],
      );
    }
    await mirrors[0]?.update(task.id, { title: 'Watered' });
    for (const device of [phone, laptop]) device.network.restore();
    for (const local of mirrors) local.sync();
    await Promise.all(mirrors.map(settled));
    const tasks = await phone.client().list();
    assert.deepEqual(tasks.map(({ is_completed }) => is_completed).sort(), [false, true]);
    assert.equal(tasks.find(({ is_completed }) => !is_completed)?.series_id, task.id);
    assert.deepEqual([phone.conflicts, laptop.conflicts], [[], []]);
  });

  test('one that is made and completed without a network has its successor', async (t) => {
    const device = newDevice(t, url);
    const local = await device.open();
    await settled(local);
    device.network.cut();
    await until(local, () => local.status === 'offline');
    const task = await local.create(DAILY);
    await local.update(task.id, { is_completed: true, completed_on: '2026-11-22' });
    await local.toggle(task.id);
    await local.update(task.id, { is_completed: true, completed_on: '2026-11-30' });
    device.network.restore();
    local.sync();
    await settled(local);
    const tasks = await device.client().list();
    assert.deepEqual(tasks.map(({ due_date, is_completed }) => [due_date, is_completed]).sort(), [
      ['2026-11-22', true],
      ['2026-12-01', false],
    ]);
  });
});
