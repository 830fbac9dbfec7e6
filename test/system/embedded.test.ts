import assert from 'node:assert/strict';
import { chownSync, readdirSync, statSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { adminAccess } from '../../dist/backup/admin-access.js';
import { serveAdminSocket } from '../../dist/backup/admin-socket.js';
import { type EmbeddedDatabase, openEmbedded } from '../../dist/database/embedded/embedded.js';
import { temporaryFolder } from '../support/process.ts';
import { runAs } from '../support/statements.ts';

interface Rest {
  readonly vacuumEveryMs?: number;
  readonly checkpointEveryMs?: number;
  readonly freeBytes?: () => Promise<number>;
  readonly warnings?: string[];
}

async function open(directory: string, rest: Rest = {}) {
  const { warnings = [], ...options } = rest;
  return openEmbedded({
    directory,
    ...options,
    onWarning: (message) => void warnings.push(message),
    onFatal: (error) => {
      throw error;
    },
  });
}

/** Sends `body` to the admin socket in the data directory. */
function post(directory: string, body: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath: join(directory, 'admin.sock'), path: '/', method: 'POST' }, (response) => {
      let text = '';
      response.on('data', (part: Buffer) => {
        text += part.toString();
      });
      response.once('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    sent.once('error', reject).end(body);
  });
}

/** Runs `work` with a database in the folder `below` of a temporary one. */
async function withDatabase(
  work: (database: EmbeddedDatabase, directory: string) => Promise<void>,
  { below = 'data', ...options }: Rest & { readonly below?: string } = {},
): Promise<void> {
  const folder = temporaryFolder();
  const directory = join(folder.path, below);
  try {
    const database = await open(directory, options);
    await work(database, directory).finally(() => database.close());
  } finally {
    folder.remove();
  }
}

const LAST_VACUUM = `select max(last_vacuum)::text, max(last_analyze)::text
  from pg_stat_user_tables where schemaname = 'todo'`;

test('the embedded database is vacuumed and analyzed in the background', () =>
  withDatabase(
    async (database) => {
      for (;;) {
        const [[vacuumed, analyzed] = []] = await runAs(database, 'ann', LAST_VACUUM);
        if (typeof vacuumed === 'string' && typeof analyzed === 'string') return;
      }
    },
    { vacuumEveryMs: 20 },
  ));

/** Where recovery would begin to read the WAL; segments before that are removed. */
const REDO = 'select redo_lsn::text from pg_control_checkpoint()';
const WRITE = `insert into todo.users (id) values ('ann')`;

test('a checkpoint is run in the background after a write', () =>
  withDatabase(
    async (database) => {
      const redo = async () => (await runAs(database, 'ann', REDO))[0]?.[0];
      const before = await redo();
      await runAs(database, 'ann', WRITE);
      while ((await redo()) === before);
    },
    { checkpointEveryMs: 20 },
  ));

/** Fills three WAL segments of 16 MiB; \`with\` marks it as a write. */
const FILL_WAL = `with written as (
    select pg_logical_emit_message(false, 'test', repeat('x', 16777216)) from generate_series(1, 3))
  select count(*) from written`;
const walSegments = (directory: string) =>
  readdirSync(join(directory, 'database/pg_wal')).filter((name) => /^[0-9A-F]{24}$/.test(name)).length;

test('a WAL that grows fast is checkpointed before the interval is over', () =>
  withDatabase(async (database, directory) => {
    for (let at = 0; at < 3; at += 1) await runAs(database, 'ann', FILL_WAL);
    while (walSegments(directory) > 5) await database.ping();
  }));

const MIB = 1_048_576;

for (const { free, what, checkpoint } of [
  { free: 40 * MIB, what: 'nearly full, perhaps because of the WAL', checkpoint: true },
  { free: 0, what: 'too full for the WAL segment that a checkpoint may need', checkpoint: false },
]) {
  test(`a disk that is ${what}: a checkpoint is ${checkpoint ? 'run at once' : 'not tried'}`, () => {
    let plenty = true;
    const work = async (database: EmbeddedDatabase, directory: string) => {
      const write = () => runAs(database, 'ann', `${WRITE} on conflict do nothing`);
      await runAs(database, 'ann', FILL_WAL);
      const before = walSegments(directory);
      assert.ok(before > 2);
      plenty = false;
      while ((await Promise.allSettled([write()]))[0]?.status === 'fulfilled');
      if (checkpoint) while (walSegments(directory) >= before) await database.ping();
      else assert.equal(walSegments(directory), before);
      await assert.rejects(write());
    };
    return withDatabase(work, { freeBytes: async () => (plenty ? 1_024 * MIB : free) });
  });
}

test('root does not open a database of another user, who could not read its files', {
  skip: process.getuid?.() === 0 ? false : 'only root can give files to another user',
}, async () => {
  const folder = temporaryFolder();
  const directory = join(folder.path, 'data');
  await (await open(directory)).close();
  const everything = () => readdirSync(directory, { recursive: true }).map((name) => join(directory, String(name)));
  for (const path of [directory, ...everything()]) chownSync(path, 65_534, 65_534);
  await assert.rejects(open(directory), /is owned by uid 65534, not by the user of this process/);
  for (const path of everything()) assert.equal(statSync(path).uid, 65_534, path);
  folder.remove();
});

/** The database of `withDatabase`, with an admin socket. */
const withSocket = (work: (database: EmbeddedDatabase, directory: string) => Promise<void>) =>
  withDatabase(async (database, directory) => {
    const close = await serveAdminSocket(directory, adminAccess(database));
    assert.ok(close !== null);
    await work(database, directory).finally(close);
  });

test('the admin socket can be opened by the owner of the data directory alone, and takes its own requests alone', () =>
  withSocket(async (_database, directory) => {
    assert.equal(statSync(join(directory, 'admin.sock')).mode & 0o777, 0o600);
    const count = () => post(directory, '{"kind":"count"}');
    assert.deepEqual(await count(), { status: 200, text: '[[["0","0","0","0"]]]' });
    const put = { kind: 'put', users: [], tasks: [], existing: 'keep' };
    for (const body of [
      '',
      'no JSON',
      '{}',
      '{"kind":"select 1"}',
      '{"kind":"constructor"}',
      '{"kind":"page","table":"migrations","after":["",""]}',
      '{"kind":"page","table":"tasks","after":["x","y"]}',
      '{"kind":"page","table":"tasks","after":[1]}',
      JSON.stringify({ ...put, users: [{ id: 'x'.repeat(256) }] }),
      JSON.stringify({ ...put, users: [{ 'id") select 1 --': 'x' }] }),
      JSON.stringify({ ...put, tasks: [{}] }),
    ]) {
      const { status, text } = await post(directory, body);
      assert.equal(status, 500, body);
      assert.equal((JSON.parse(text) as { retryable: boolean }).retryable, false, `${body}: ${text}`);
    }
    assert.deepEqual(await count(), { status: 200, text: '[[["0","0","0","0"]]]' });
  }));

test('the admin socket is gone after it was closed', async () => {
  let directory = '';
  await withSocket(async (_database, of) => {
    directory = of;
    await post(directory, '{"kind":"count"}');
  });
  await assert.rejects(post(directory, '{"kind":"count"}'));
});

test('a data directory whose path is too long for a socket has none', () =>
  withDatabase(
    async (database, directory) => assert.equal(await serveAdminSocket(directory, adminAccess(database)), null),
    { below: 'd'.repeat(120) },
  ));
