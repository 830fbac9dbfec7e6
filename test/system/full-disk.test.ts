import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { openEmbedded } from '../../dist/database/embedded/embedded.js';
import { temporaryFolder } from '../support/process.ts';
import { type Person, type Service, startService } from '../support/service.ts';

const PLENTY = 2 ** 30;

/** Repeats a request until its response has `status`. */
async function until(status: number, send: () => Promise<{ readonly statusCode: number }>): Promise<void> {
  while ((await send()).statusCode !== status) await delay(20);
}

describe('the embedded database on a disk that is nearly full', () => {
  const folder = temporaryFolder();
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
      onFatal: unexpected,
    });
    const remove = () => database.close();
    return startService({ database, place: folder.path, warnings, analyze: () => database.vacuum(), remove });
  }

  const write = (person: Person) => () => person.send('POST', '/api/tasks', { title: 'one more' });

  test('writes are 503 and reads go on; writes work again when there is space', async () => {
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

  test('a start on a full disk is refused, says what to do, and leaves the directory to the next start', async () => {
    free = 1000;
    await assert.rejects(start(), /DATA_DIR .* has less than 32 MiB free: free some space, then start again/);
    free = PLENTY;
    const service = await start();
    assert.equal((await write(await service.person('ann'))()).statusCode, 201);
    await service.close();
  });

  test('a file system that does not report free space is written to', async () => {
    free = null;
    const service = await start();
    assert.equal((await write(await service.person('cay'))()).statusCode, 201);
    await service.close();
  });
});
