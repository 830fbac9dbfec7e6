import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openEmbedded } from '../../dist/database/embedded/embedded.js';
import { CrashModel, type Operation, randomNumbers, readOperations } from '../support/crash-states.ts';
import { throwError } from '../support/postgres-database.ts';
import { temporaryFolder } from '../support/process.ts';
import { loadIntoThreads, type Recording, recordFiles } from '../support/recorded-files.ts';
import { type OpenDatabase, type Person, type Service, startService } from '../support/service.ts';

const folder = temporaryFolder();
after(folder.remove);

/** The service on the embedded database in `directory`. */
async function start(directory: string): Promise<Service> {
  const warnings: string[] = [];
  const onWarning = (message: string) => void warnings.push(message);
  const database = await openEmbedded({ directory, onWarning, onFatal: throwError });
  const opened: OpenDatabase = {
    database,
    place: directory,
    warnings,
    analyze: () => database.vacuum(),
    remove: () => database.close(),
  };
  return startService(opened);
}

/** Writes to the folder `state` what is on the disk when the answer with this mark leaves, and nothing else. */
function failAt(answer: string, operations: readonly Operation[], state: string): void {
  const model = new CrashModel();
  const isAnswer = (operation: Operation) => operation.op === 'mark' && operation.name === answer;
  const count = operations.findIndex(isAnswer);
  assert.ok(count > 0);
  for (const [index, operation] of operations.slice(0, count).entries()) model.perform(index, operation);
  model.writeState(state, () => 0, randomNumbers(1));
}

/** Creates tasks in a new database, then reads. @returns each created task with the mark of its answer. */
async function use(recording: Recording, directory: string): Promise<{ title: string; answer: string }[]> {
  const service = await start(directory);
  const ann = await service.person('ann');
  const created: { title: string; answer: string }[] = [];
  for (const title of ['first', 'second']) {
    await ann.create(title);
    created.push({ title, answer: recording.lastAnswer() });
  }
  await ann.list();
  recording.mark('reads');
  for (let count = 0; count < 3; count += 1) await ann.list();
  recording.mark('end of reads');
  await service.close();
  return created;
}

test('when a create is answered it is on the disk, from the first start on; a read waits for no flush', async () => {
  const root = join(folder.path, 'recorded');
  mkdirSync(root);
  const recording = await recordFiles(root, folder.path);
  const created = await use(recording, join(root, 'data'));
  recording.stop();
  const operations = readOperations(recording.log);
  const state = join(folder.path, 'state');
  failAt(created.at(-1)?.answer ?? '', operations, state);
  const service = await start(join(state, 'data'));
  const tasks = await (await service.person('ann')).list();
  assert.deepEqual(tasks.map(({ title }) => title).sort(), ['first', 'second']);
  await service.close();
  const markAt = (name: string) =>
    operations.findIndex((operation) => operation.op === 'mark' && operation.name === name);
  const reads = operations.slice(markAt('reads'), markAt('end of reads'));
  assert.deepEqual([...new Set(reads.map(({ op }) => op))], ['mark']);
});

test('an empty postmaster.pid, which a power failure can leave, does not hinder a start', async () => {
  const directory = join(folder.path, 'empty-pid');
  await (await start(directory)).close();
  writeFileSync(join(directory, 'database/postmaster.pid'), '');
  const service = await start(directory);
  await (await service.person('ann')).create('one');
  await service.close();
});

const create = (person: Person, title: string) => person.send('POST', '/api/tasks', { title });

test('while fsync fails, no write is acknowledged; then writes work again, and nothing acknowledged is lost', async () => {
  const failing = join(folder.path, 'failing');
  const unload = loadIntoThreads('failing-fsync.mjs', { FAIL_FSYNC: failing });
  const service = await start(join(folder.path, 'data'));
  const ann = await service.person('ann');
  await ann.create('before');
  writeFileSync(failing, '');
  // of several users, because one user's writes wait for each other, and the files are opened 5 times at most
  const others = await Promise.all(['ben', 'cleo'].map((name) => service.person(name)));
  const answers = await Promise.all([ann, ...others].map((person) => create(person, 'lost')));
  for (const { statusCode, body } of answers) assert.equal(statusCode, 500, body);
  assert.ok(service.log.text.includes('EIO: i/o error, fsync'), service.log.text);
  rmSync(failing);
  while ((await create(ann, 'after')).statusCode !== 201);
  const titles = (await ann.list()).map(({ title }) => title);
  assert.ok(titles.includes('before') && titles.includes('after'), titles.join());
  await service.close();
  unload();
});
