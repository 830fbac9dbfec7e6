import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { RunningService, temporaryFolder } from '../support/process.ts';

const JWT_SECRET = 'test-secret-of-more-than-thirty-two-bytes';
/** A process number that no system gives. */
const NOBODYS_PID = 2 ** 30;

const FRESH_S = 0;
/** Longer than a holder that cannot be asked may keep silent. */
const SILENT_S = 11;

describe('a data directory that bears the lock of another', () => {
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

  for (const [index, [what, changes, ageS, refused]] of (
    [
      ['a process that lives', {}, SILENT_S, true],
      ['a process whose number another has now', { started: '0' }, FRESH_S, false],
      ['a process that is dead', { pid: NOBODYS_PID }, FRESH_S, false],
      ['a container that gives signs of life', { world: 'another' }, FRESH_S, true],
      [
        'a container whose process has a number that is nobody’s here',
        { world: 'another', pid: NOBODYS_PID },
        FRESH_S,
        true,
      ],
      ['a container that is silent, whose number somebody has here', { world: 'another' }, SILENT_S, false],
      ['a host that gives signs of life', { host: 'elsewhere', pid: NOBODYS_PID }, FRESH_S, true],
      ['a host that is silent', { host: 'elsewhere' }, SILENT_S, false],
    ] as const
  ).entries()) {
    test(`of ${what}: ${refused ? 'a start is refused, and names it' : 'it is served from'}`, async () => {
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
      assert.deepEqual(readdirSync(directory), refused ? ['lock.1'] : ['database', 'reserve']);
      if (!refused) return;
      assert.ok(service.stderr.includes(`in use by process ${holder.pid} on host ${holder.host}`), service.stderr);
    });
  }
});
