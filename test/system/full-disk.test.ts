import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { openEmbedded } from '../../dist/database/embedded/embedded.js';
import { temporaryFolder } from '../support/process.ts';
import { type Person, type Service, startService } from '../support/service.ts';

const PLENTY = 2 ** 30;

/** Asks again and again until the answer has `status`. */
async function until(status: number, ask: () => Promise<{ readonly statusCode: number }>): Promise<void> {
  while ((await ask()).statusCode !== status) await delay(20);
}

describe('a disk that is nearly full, under the embedded database', () => {
  const folder = temporaryFolder();
  const reserve = join(folder.path, 'reserve');
  let free: number | null = PLENTY;
  after(() => folder.remove());

  async function start(): Promise<Service> {
    const warnings: string[] = [];
    const unexpected = (error: unknown) => {
      throw error;
    };
    const database = await openEmbedded({
      directory: folder.path,
      freeBytes: async () => free,
      onWarning: (message) => void warnings.push(message),
      onUnusable: unexpected,
    });
    const remove = () => database.close();
    return startService({ database, place: folder.path, warnings, analyze: () => database.maintain(), remove });
  }

  const write = (person: Person) => () => person.send('POST', '/api/tasks', { title: 'one more' });

  test('writes are answered 503 and reads go on; writes work again by themselves once there is room', async () => {
    free = PLENTY;
    const service = await start();
    const ann = await service.person('ann');
    const task = await ann.create('kept');
    free = 1000;
    await until(503, write(ann));
    assert.equal((await ann.send('POST', `/api/tasks/${task.id}/toggle`)).statusCode, 503);
    assert.equal((await ann.send('DELETE', `/api/tasks/${task.id}`)).statusCode, 503);
    assert.equal((await ann.send('GET', `/api/tasks/${task.id}`)).body, JSON.stringify(task));
    for (const path of ['/health', '/ready']) assert.equal((await ann.send('GET', path)).statusCode, 200);
    assert.ok(service.opened.warnings.some((warning) => warning.startsWith('The disk is nearly full')));
    free = PLENTY;
    await until(201, write(ann));
    await service.close();
  });

  test('a service started on a full disk gives its reserve away to open the database, and serves reads', async () => {
    free = PLENTY;
    const before = await start();
    await (await before.person('ben')).create('kept');
    await before.close();
    assert.ok(existsSync(reserve));
    free = 1000;
    const service = await start();
    const ben = await service.person('ben');
    assert.ok(!existsSync(reserve));
    assert.equal((await ben.list()).length, 1);
    assert.equal((await write(ben)()).statusCode, 503);
    free = PLENTY;
    await until(201, write(ben));
    assert.ok(existsSync(reserve));
    await service.close();
  });

  test('a file system that does not say how much room it has is written to', async () => {
    free = null;
    const service = await start();
    assert.equal((await write(await service.person('cay'))()).statusCode, 201);
    await service.close();
  });
});
