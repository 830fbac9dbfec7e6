import assert from 'node:assert/strict';
import { chownSync, existsSync, readdirSync, statSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import type { UserId } from '../../dist/core/user.js';
import { defineStatement } from '../../dist/database/database.js';
import { type EmbeddedDatabase, openEmbedded } from '../../dist/database/embedded/embedded.js';
import { temporaryFolder } from '../support/process.ts';

const UPKEEP = defineStatement(
  'upkeep',
  'read',
  `select max(last_vacuum)::text, max(last_analyze)::text from pg_stat_user_tables where schemaname = 'todo'`,
);

interface Rest {
  readonly maintainEveryMs?: number;
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
    onUnusable: (error) => {
      throw error;
    },
  });
}

/** Asks the socket in the data directory. */
function askSocket(directory: string, path: string, body: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath: join(directory, 'operator.sock'), path, method: 'POST' }, (reply) => {
      let text = '';
      reply.on('data', (part: Buffer) => {
        text += part.toString();
      });
      reply.once('end', () => resolve({ status: reply.statusCode ?? 0, text }));
    });
    asked.once('error', reject).end(body);
  });
}

/** A database in `below`, a folder of a temporary one, for as long as `work` takes. */
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

const upkeepOf = async (database: EmbeddedDatabase) => (await database.asUser('ann' as UserId, UPKEEP, []))[0];

test('the embedded database is vacuumed and analyzed by itself', () =>
  withDatabase(
    async (database) => {
      for (;;) {
        const [vacuumed, analyzed] = (await upkeepOf(database)) ?? [];
        if (typeof vacuumed === 'string' && typeof analyzed === 'string') return;
      }
    },
    { maintainEveryMs: 20 },
  ));

/** Where recovery would begin to read the log: what lies before is not kept. */
const LOG_KEPT_FROM = defineStatement('log_kept_from', 'read', 'select redo_lsn::text from pg_control_checkpoint()');
const WRITE = defineStatement('write', 'write', `insert into todo.users (id) values ('ann')`);

test("the embedded database's log is shortened by itself after a write", () =>
  withDatabase(
    async (database) => {
      const ann = 'ann' as UserId;
      const keptFrom = async () => (await database.asUser(ann, LOG_KEPT_FROM, []))[0]?.[0];
      const before = await keptFrom();
      await database.asUser(ann, WRITE, []);
      while ((await keptFrom()) === before);
    },
    { checkpointEveryMs: 20 },
  ));

/** Lengthens the log by three files of 16 MiB. */
const LENGTHEN = defineStatement(
  'lengthen',
  'write',
  `select pg_logical_emit_message(false, 'test', repeat('x', 16777216)) from generate_series(1, 3)`,
);
const logFiles = (directory: string) =>
  readdirSync(join(directory, 'database/pg_wal')).filter((name) => /^[0-9A-F]{24}$/.test(name)).length;

test('a log that grows fast is shortened long before its turn', () =>
  withDatabase(async (database, directory) => {
    for (let at = 0; at < 3; at += 1) await database.asUser('ann' as UserId, LENGTHEN, []);
    while (logFiles(directory) > 5) await database.ping();
  }));

const MIB = 1_048_576;

test('a disk that is nearly full because of the log has room again by itself', () => {
  let reserve = '';
  let plenty = true;
  const freeBytes = async () => (plenty ? 1_024 : existsSync(reserve) ? 5 : 29) * MIB;
  const work = async (database: EmbeddedDatabase, directory: string) => {
    reserve = join(directory, 'reserve');
    await database.asUser('ann' as UserId, LENGTHEN, []);
    assert.ok(logFiles(directory) > 2);
    plenty = false;
    const write = () => database.asUser('ann' as UserId, WRITE, []);
    while ((await Promise.allSettled([write()]))[0]?.status === 'fulfilled');
    while (logFiles(directory) > 2) await database.ping();
    await assert.rejects(write());
  };
  return withDatabase(work, { freeBytes });
});

test('a disk that is full for another reason is not asked for room to shorten the log', () => {
  let plenty = true;
  const work = async (database: EmbeddedDatabase, directory: string) => {
    const write = () => database.asUser('ann' as UserId, WRITE, []);
    await database.asUser('ann' as UserId, LENGTHEN, []);
    plenty = false;
    while ((await Promise.allSettled([write()]))[0]?.status === 'fulfilled');
    while (existsSync(join(directory, 'reserve'))) await database.ping();
    await database.ping();
    assert.ok(logFiles(directory) > 2);
  };
  return withDatabase(work, { freeBytes: async () => (plenty ? 1_024 * MIB : 0) });
});

test('a database of another user of the system is not spoilt by files that the other cannot read', {
  skip: process.getuid?.() === 0 ? false : 'only root can give files to another user',
}, async () => {
  const folder = temporaryFolder();
  const directory = join(folder.path, 'data');
  await (await open(directory)).close();
  const everything = () => readdirSync(directory, { recursive: true }).map((name) => join(directory, String(name)));
  for (const path of [directory, ...everything()]) chownSync(path, 65_534, 65_534);
  await assert.rejects(open(directory), /belongs to the user with id 65534/);
  for (const path of everything()) assert.equal(statSync(path).uid, 65_534, path);
  folder.remove();
});

test('the way in for backup and restore is open to the owner of the data directory alone, and takes its own statements', () =>
  withDatabase(async (_database, directory) => {
    assert.equal(statSync(join(directory, 'operator.sock')).mode & 0o777, 0o600);
    assert.deepEqual(await askSocket(directory, '/count', '[]'), { status: 200, text: '[["0","0"]]' });
    for (const [name, values] of [
      ['/', '[]'],
      ['/select%201', '[]'],
      ['/constructor', '[]'],
      ['/__proto__', '[]'],
      ['/users_after', '{}'],
      ['/users_after', 'no JSON'],
      ['/users_after', '[1]'],
      ['/users_after', '[]'],
      ['/put_users', '["no JSON"]'],
      ['/put_tasks', '["[{}]"]'],
      ['/put_users', JSON.stringify([JSON.stringify([{ id: 'x'.repeat(256) }])])],
    ] as const) {
      const { status, text } = await askSocket(directory, name, values);
      assert.equal(status, 500, `${name} ${values}`);
      assert.equal((JSON.parse(text) as { passing: boolean }).passing, false, `${name} ${values}: ${text}`);
    }
    assert.deepEqual(await askSocket(directory, '/count', '[]'), { status: 200, text: '[["0","0"]]' });
  }));

test('the way in is gone once the database is closed', async () => {
  let socket = '';
  await withDatabase(async (_database, directory) => {
    socket = directory;
    await askSocket(directory, '/count', '[]');
  });
  await assert.rejects(askSocket(socket, '/count', '[]'));
});

test('a data directory with a name too long for a socket is served from all the same, with a warning', () => {
  const warnings: string[] = [];
  const work = async (database: EmbeddedDatabase) => {
    await database.ping();
    assert.match(warnings.join(), /backup and restore work while the service is stopped/);
  };
  return withDatabase(work, { below: 'd'.repeat(120), warnings });
});
