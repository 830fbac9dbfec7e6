import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { RunningService, temporaryFolder } from '../support/process.ts';

const JWT_SECRET = 'test-secret-of-more-than-thirty-two-bytes';
/** Above the largest PID of any system. */
const NOBODYS_PID = 2 ** 30;

const HEARTBEAT_MS = 100;

/** How a holder's heartbeats look: the age of the last one by this host's clock, and whether there will be more. */
const RECENT = { ageS: 0, goesOn: false };
const OLD = { ageS: 3_600, goesOn: false };
const GOES_ON = { ageS: 0, goesOn: true };
/** The clock was set back after the last heartbeat. */
const IN_THE_FUTURE = { ageS: -3_600, goesOn: false };
/** This host's clock, or the holder's, is wrong by an hour. */
const OLD_BUT_GOES_ON = { ageS: 3_600, goesOn: true };

describe('a data directory locked by another process', { concurrency: 4 }, () => {
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

  for (const [index, [what, changes, heartbeat, refused]] of (
    [
      ['a running process', {}, OLD, true],
      ['a process whose PID another process has now', { started: '0' }, RECENT, false],
      ['a process that has ended', { pid: NOBODYS_PID }, RECENT, false],
      ['a process that has ended before the clock was set back', { pid: NOBODYS_PID }, IN_THE_FUTURE, false],
      ['a container with heartbeats, whose PID does not exist here', { world: 'b', pid: NOBODYS_PID }, GOES_ON, true],
      ['a container without heartbeats, whose PID exists here', { world: 'b' }, OLD, false],
      ['another host with heartbeats', { host: 'elsewhere', pid: NOBODYS_PID }, GOES_ON, true],
      ['another host whose heartbeats look old', { host: 'elsewhere' }, OLD_BUT_GOES_ON, true],
      ['another host that has just ended', { host: 'elsewhere' }, RECENT, false],
      ['another host that ended before the clock was set back', { host: 'elsewhere' }, IN_THE_FUTURE, false],
    ] as const
  ).entries()) {
    test(`${what}: ${refused ? 'the start is refused and names it' : 'the lock is stale and the service starts'}`, async () => {
      const directory = join(folder.path, String(index));
      mkdirSync(directory);
      const holder: Record<string, unknown> = { ...lock, ...changes };
      const path = join(directory, 'lock.1');
      writeFileSync(path, JSON.stringify(holder));
      let time = Date.now() / 1000 - heartbeat.ageS;
      const beat = () => {
        time += HEARTBEAT_MS / 1000;
        utimesSync(path, time, time);
      };
      beat();
      const timer = heartbeat.goesOn ? setInterval(beat, HEARTBEAT_MS) : undefined;
      const service = new RunningService({ DATA_DIR: directory, JWT_SECRET }, folder.path);
      const serves = await service.listening().then(
        () => true,
        () => false,
      );
      const code = await service.stop();
      clearInterval(timer);
      assert.deepEqual([serves, code], refused ? [false, 1] : [true, 0], service.stderr);
      assert.deepEqual(readdirSync(directory), refused ? ['lock.1'] : ['database', 'database.made']);
      if (!refused) return;
      assert.ok(service.stderr.includes(`in use by process ${holder.pid} on host ${holder.host}`), service.stderr);
    });
  }
});
