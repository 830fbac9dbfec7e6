import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { UserId } from '../dist/core/user.js';
import { defineStatement } from '../dist/database/database.js';
import { openPostgres } from '../dist/database/postgres.js';
import { freePort, waitForPostgres } from './support/postgres-server.ts';
import { createPostgresDatabase, POSTGRES_URL, type Service, startService } from './support/service.ts';

const PGBOUNCER = ['/usr/sbin/pgbouncer', '/usr/bin/pgbouncer'].find((path) => existsSync(path)) ?? null;
const missing = PGBOUNCER === null ? 'pgbouncer is not installed' : 'no PostgreSQL server is offered';
const runs = PGBOUNCER !== null && POSTGRES_URL !== null;
if (!runs && process.env.TEST_REQUIRE_PGBOUNCER) throw new Error(missing);
const NOBODY = 65_534;

/** PgBouncer in transaction mode with three server connections, in front of the database at `target`. */
class Pooler {
  readonly #folder: string;
  readonly url: string;
  #process: ChildProcess | null = null;

  constructor(target: URL, port: number) {
    this.#folder = mkdtempSync(join(tmpdir(), 'todo-api-pgbouncer-'));
    chmodSync(this.#folder, 0o755);
    const name = target.pathname.slice(1);
    const user = target.username;
    writeFileSync(join(this.#folder, 'users.txt'), `"${user}" ""\n`);
    writeFileSync(
      join(this.#folder, 'pgbouncer.ini'),
      `[databases]
${name} = host=${target.hostname} port=${target.port} dbname=${name}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = trust
pool_mode = transaction
default_pool_size = 3
max_client_conn = 200
auth_file = ${join(this.#folder, 'users.txt')}
`,
    );
    this.url = `postgresql://${user}@127.0.0.1:${port}/${name}`;
  }

  async start(): Promise<void> {
    const uid = process.getuid?.() === 0 ? NOBODY : undefined;
    this.#process = spawn(PGBOUNCER ?? '', ['-q', join(this.#folder, 'pgbouncer.ini')], {
      uid,
      gid: uid,
      stdio: 'ignore',
    });
    await waitForPostgres(this.url);
  }

  async stop(): Promise<void> {
    const running = this.#process;
    if (running === null) return;
    const ended = new Promise((resolve) => running.once('exit', resolve));
    running.kill('SIGKILL');
    await ended;
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

describe('behind PgBouncer in transaction mode', { skip: runs ? false : missing }, () => {
  let pooler: Pooler;
  let service: Service;
  let drop: () => Promise<void>;
  const warnings: string[] = [];

  before(async () => {
    if (!runs) return;
    const created = await createPostgresDatabase(POSTGRES_URL ?? '');
    drop = created.remove;
    pooler = new Pooler(new URL(created.url), await freePort());
    await pooler.start();
    const database = await openPostgres({
      url: pooler.url,
      connections: 8,
      pipeline: true,
      namedStatements: true,
      onWarning: (message) => void warnings.push(message),
      onUnusable: (error) => {
        throw error;
      },
    });
    service = await startService({
      database,
      place: pooler.url,
      warnings,
      analyze: async () => {},
      remove: () => database.close(),
    });
  });
  after(async () => {
    if (!runs) return;
    await service.close();
    await pooler.remove();
    await drop();
  });

  test('30 people at once see their own tasks alone', async () => {
    const people = await Promise.all(Array.from({ length: 30 }, () => service.person()));
    for (let round = 0; round < 5; round += 1) {
      await Promise.all(people.map((person) => person.create(`${round} of ${person.sub}`)));
      const lists = await Promise.all(people.map((person) => person.list()));
      for (const [index, tasks] of lists.entries()) {
        assert.equal(tasks.length, round + 1);
        assert.ok(tasks.every((task) => task.user_id === people[index]?.sub));
      }
    }
  });

  test('400 writes at once are all taken, whether or not the pooler keeps prepared statements', async () => {
    const person = await service.person();
    const answers = await Promise.all(
      Array.from({ length: 400 }, (_, index) => person.send('POST', '/api/tasks', { title: `${index}` })),
    );
    assert.deepEqual([...new Set(answers.map((answer) => answer.statusCode))], [201]);
    assert.equal((await person.list()).length, 400);
  });

  test('no identity stays on a server connection, also after errors', async () => {
    const { database } = service.opened;
    const probe = defineStatement(
      'probe',
      'read',
      "select current_user, current_setting('app.user_id', true), 1 / $1::int",
    );
    const outcomes = await Promise.allSettled(
      Array.from({ length: 90 }, (_, index) =>
        database.asUser(`u${index}` as UserId, probe, [index % 3 === 0 ? '0' : '1']),
      ),
    );
    for (const [index, outcome] of outcomes.entries()) {
      if (index % 3 === 0) assert.equal(outcome.status, 'rejected');
      else assert.deepEqual(outcome.status === 'fulfilled' && outcome.value, [['todo_app', `u${index}`, '1']]);
    }
  });

  test('a pooler that keeps no prepared statements is noticed, and nothing but a warning comes of it', () => {
    for (const warning of warnings) assert.match(warning, /keeps no prepared statements/);
    assert.ok(warnings.length <= 1);
  });

  test('a pooler that is killed and started again is used again', async () => {
    const person = await service.person();
    await person.create('before');
    await pooler.stop();
    const waiting = person.send('GET', '/api/tasks');
    await pooler.start();
    assert.ok([200, 500].includes((await waiting).statusCode));
    while ((await person.send('GET', '/api/tasks')).statusCode !== 200);
    assert.equal((await person.list()).length, 1);
  });
});
