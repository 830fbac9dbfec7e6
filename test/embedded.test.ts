import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import type { UserId } from '../dist/core/user.js';
import { defineStatement } from '../dist/database/database.js';
import { type EmbeddedDatabase, openEmbedded } from '../dist/database/embedded.js';
import { temporaryFolder } from './support/process.ts';

const UPKEEP = defineStatement(
  'upkeep',
  'read',
  `select max(last_vacuum)::text, max(last_analyze)::text from pg_stat_user_tables where schemaname = 'todo'`,
);

async function open(directory: string, rest: { maintainEveryMs?: number; warnings?: string[] } = {}) {
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
  { below = 'data', ...options }: { below?: string; maintainEveryMs?: number; warnings?: string[] } = {},
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
