import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { RunningService, temporaryFolder } from '../support/process.ts';

const JWT_SECRET = 'test-secret-of-more-than-thirty-two-bytes';
/** Above the largest PID of any system. */
const NOBODYS_PID = 2 ** 30;

const FRESH_S = 0;
/** Longer than a holder elsewhere may go without a heartbeat. */
const STALE_S = 11;

describe('a data directory locked by another process', () => {
  const folder = temporaryFolder();
  const living = new RunningService({ DATA_DIR: join(folder.path, 'living'), JWT_SECRET }, folder.path);
  let lock: Record<string, unknown> = {};
  before(async () => {
    await living.listening();
    const [name = ''] = readdirSync(join(folder.path, 'living')).filter((entry) => entry.startsWith('lock.'));
    lock = JSON.parse(readFileSync(join(folder.path, 'living', name), 'utf8'));
    assert.equal(lock.pid, living.child.pid);
  });
  after(async () => {
    await living.stop();
    folder.remove();
  });

  test('version 0.1 can read the lock: its fields keep their names, and say in which boot and PID namespace the PID is valid', () => {
    const world = /^[0-9a-f-]{36} pid:\[\d+\]$/;
    const { pid, host, started } = lock;
    assert.deepEqual([typeof pid, typeof host, typeof started], ['number', 'string', 'string']);
    assert.match(String(lock.world), world);
  });

  for (const [index, [what, changes, ageS, refused]] of (
    [
      ['a running process', {}, STALE_S, true],
      ['a process whose PID another process has now', { started: '0' }, FRESH_S, false],
      ['a process that has ended', { pid: NOBODYS_PID }, FRESH_S, false],
      ['a container with a recent heartbeat', { world: 'another' }, FRESH_S, true],
      [
        'a container with a recent heartbeat whose PID does not exist here',
        { world: 'another', pid: NOBODYS_PID },
        FRESH_S,
        true,
      ],
      ['a container without a heartbeat, whose PID exists here', { world: 'another' }, STALE_S, false],
      ['another host with a recent heartbeat', { host: 'elsewhere', pid: NOBODYS_PID }, FRESH_S, true],
      ['another host without a heartbeat', { host: 'elsewhere' }, STALE_S, false],
    ] as const
  ).entries()) {
    test(`${what}: ${refused ? 'the start is refused and names it' : 'the lock is stale and the service starts'}`, async () => {
      const directory = join(folder.path, String(index));
      mkdirSync(directory);
      const holder: Record<string, unknown> = { ...lock, ...changes };
      const path = join(directory, 'lock.1');
      writeFileSync(path, JSON.stringify(holder));
      const time = Date.now() / 1000 - ageS;
      utimesSync(path, time, time);
      const service = new RunningService({ DATA_DIR: directory, JWT_SECRET }, folder.path);
      const serves = await service.listening().then(
        () => true,
        () => false,
      );
      const code = await service.stop();
      assert.deepEqual([serves, code], refused ? [false, 1] : [true, 0], service.stderr);
      assert.deepEqual(readdirSync(directory), refused ? ['lock.1'] : ['database']);
      if (!refused) return;
      assert.ok(service.stderr.includes(`in use by process ${holder.pid} on host ${holder.host}`), service.stderr);
    });
  }
});
