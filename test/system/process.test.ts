import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { HttpClient } from '../support/http-client.ts';
import { freePort } from '../support/postgres-server.ts';
import { RunningService, temporaryFolder } from '../support/process.ts';
import { asAdmin, createPostgresDatabase, onPostgres, POSTGRES_URL, signToken, type Task } from '../support/service.ts';
import { open, parseAnswers, readAll, wire } from '../support/socket.ts';

const SECRET_TEXT = 'test-secret-of-more-than-thirty-two-bytes';

const tokenIn = (service: RunningService) => /\beyJ[\w-]+\.[\w-]+\.[\w-]+\b/.exec(service.stderr)?.[0] ?? '';
const ann = async (service: RunningService) => new HttpClient(await service.listening(), await signToken('ann'));

/** Whether the service at `origin` accepts a new connection. */
function connects(origin: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(Number(new URL(origin).port), '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

describe('the program', () => {
  const folder = temporaryFolder();
  after(() => folder.remove());

  test('without any setting it prints a working curl command, and keeps its tasks across a restart', async () => {
    const first = new RunningService({}, folder.path);
    const origin = await first.listening();
    const curl = /^ {2}(curl .*)$/m.exec(first.stderr)?.[1] ?? '';
    assert.match(first.stderr, new RegExp(`${origin}/docs`));
    assert.match(curl, new RegExp(`${origin}/api/tasks`));
    const pasted = spawnSync('sh', ['-c', `${curl} -s`], { encoding: 'utf8' });
    assert.equal(pasted.error, undefined);
    assert.equal((JSON.parse(pasted.stdout) as Task).title, 'Buy oat milk');
    const token = tokenIn(first);
    assert.equal(statSync(join(folder.path, 'data', 'jwt-secret')).mode & 0o777, 0o600);
    assert.equal(await first.stop('SIGINT'), 0);
    for (const line of first.stdout.trim().split('\n')) JSON.parse(line);
    assert.ok(!first.stdout.includes(token));

    const second = new RunningService({}, folder.path);
    assert.deepEqual(await new HttpClient(await second.listening(), token).titles(), ['Buy oat milk']);
    assert.equal(await second.stop(), 0);
    assert.deepEqual(readdirSync(join(folder.path, 'data')).sort(), ['database', 'database.made', 'jwt-secret']);
  });

  test('a second process on the same data directory exits with an error; the first serves on', async () => {
    const settings = { DATA_DIR: join(folder.path, 'shared'), JWT_SECRET: SECRET_TEXT };
    const first = new RunningService(settings, folder.path);
    const client = await ann(first);
    await client.create('before');
    const second = new RunningService(settings, folder.path);
    assert.equal(await second.ended(), 1);
    assert.match(second.stderr, new RegExp(`in use by process ${first.child.pid} `));
    await client.create('after');
    assert.equal(await first.stop('SIGKILL'), null);

    const third = new RunningService(settings, folder.path);
    assert.deepEqual(await (await ann(third)).titles(), ['after', 'before']);
    assert.equal(await third.stop(), 0);
  });

  test('a process whose lock file is deleted exits instead of writing on', async () => {
    const directory = join(folder.path, 'taken');
    const service = new RunningService({ DATA_DIR: directory, JWT_SECRET: SECRET_TEXT }, folder.path);
    await service.listening();
    for (const name of readdirSync(directory)) if (name.startsWith('lock.')) rmSync(join(directory, name));
    assert.equal(await service.ended(), 1);
    assert.match(service.stderr, /Another process has removed this process.s lock of the data directory/);
  });

  test('a process whose lock was taken and given back by others writes nothing more, and leaves their lock', async () => {
    const settings = { DATA_DIR: join(folder.path, 'resumed'), JWT_SECRET: SECRET_TEXT };
    const lock = join(settings.DATA_DIR, 'lock.1');
    const suspended = new RunningService(settings, folder.path);
    const client = await ann(suspended);
    await client.create('before');
    suspended.child.kill('SIGSTOP');
    const stoppedAt = performance.now();
    const foreign = JSON.stringify({ ...JSON.parse(readFileSync(lock, 'utf8')), id: 'of another process' });
    rmSync(lock);
    writeFileSync(lock, foreign);
    const late = client.create('late').then(
      () => 'created',
      () => 'refused',
    );
    await delay(1_100 - (performance.now() - stoppedAt)); // a lock is trusted for a second
    suspended.child.kill('SIGCONT');
    assert.equal(await suspended.ended(), 1);
    assert.equal(await late, 'refused');
    assert.equal(readFileSync(lock, 'utf8'), foreign);
    assert.match(suspended.stderr, /Another process has removed this process.s lock of the data directory/);

    const next = new RunningService(settings, folder.path);
    assert.deepEqual(await (await ann(next)).titles(), ['before']);
    assert.equal(await next.stop(), 0);
  });

  test('invalid settings abort the start with one message that names each of them and no value', async () => {
    const service = new RunningService(
      {
        ENVIRONMENT: 'production',
        PORT: '99999',
        LOG_LEVEL: 'loud',
        JWT_SECRET: 'too-short-secret',
        JWT_ALGORITHM: 'none',
        DATABASE_URL: 'mysql://root:pa55word@localhost/x',
        JWKS_URL: 'http://user:hunter2@issuer.example/jwks',
        FRONTEND_URL: 'https://app.example.com/path',
        RATE_LIMIT_PER_MINUTE: '-1',
      },
      folder.path,
    );
    assert.equal(await service.ended(), 1);
    for (const name of [
      'PORT',
      'LOG_LEVEL',
      'JWT_SECRET',
      'JWT_ALGORITHM',
      'DATABASE_URL',
      'FRONTEND_URL',
      'JWKS_URL',
      'RATE_LIMIT_PER_MINUTE',
    ]) {
      assert.match(service.stderr, new RegExp(`^ {2}- ${name} must be `, 'm'));
    }
    for (const value of ['too-short-secret', 'pa55word', '99999', 'hunter2'])
      assert.ok(!service.stderr.includes(value));
    assert.equal(service.stdout, '');
  });

  test('an address that cannot be listened on ends the start with the setting to change, and leaves nothing behind', async () => {
    const busy = createServer().listen(0, '127.0.0.1');
    await once(busy, 'listening');
    const address = busy.address();
    assert.ok(typeof address === 'object' && address !== null);
    const faults: [Record<string, string>, RegExp][] = [
      [{ PORT: String(address.port) }, /^PORT \d+ of HOST 127\.0\.0\.1 is in use: .* set another PORT$/m],
      [{ HOST: '192.0.2.1' }, /^HOST 192\.0\.2\.1 is no address of this machine: set HOST /m],
      [{ HOST: 'nowhere.invalid' }, /^HOST nowhere\.invalid cannot be resolved: set HOST /m],
    ];
    const DATA_DIR = join(folder.path, 'unheard');
    for (const [settings, expected] of faults) {
      const service = new RunningService({ DATA_DIR, JWT_SECRET: SECRET_TEXT, ...settings }, folder.path);
      assert.equal(await service.ended(), 1);
      assert.match(service.stderr, expected);
      assert.deepEqual(
        readdirSync(DATA_DIR).filter((name) => /^lock\.|\.sock$/.test(name)),
        [],
      );
    }
    busy.close();
  });

  test('an IPv6 address may have the brackets of a URL, and values may have blanks around them', async () => {
    const settings = {
      HOST: ' [::1] ',
      LOG_LEVEL: 'info ',
      DATA_DIR: join(folder.path, 'six'),
      JWT_SECRET: SECRET_TEXT,
    };
    const service = new RunningService(settings, folder.path);
    const { port } = new URL(await service.listening());
    assert.equal((await fetch(`http://[::1]:${port}/health`)).status, 200);
    assert.equal(await service.stop(), 0);
  });

  test('a data directory that cannot be written to ends the start with a message that names DATA_DIR', async () => {
    const file = join(folder.path, 'a file');
    writeFileSync(file, '');
    for (const settings of [{ DATA_DIR: file }, { DATA_DIR: join(file, 'below'), JWT_SECRET: SECRET_TEXT }]) {
      const service = new RunningService(settings, folder.path);
      assert.equal(await service.ended(), 1);
      assert.match(service.stderr, /^DATA_DIR .*a file.* cannot be used: .* Set DATA_DIR to /m);
    }
  });

  test('a development secret that was cut short is refused, and a new one is made once it is deleted', async () => {
    const DATA_DIR = join(folder.path, 'cut');
    mkdirSync(DATA_DIR);
    const file = join(DATA_DIR, 'jwt-secret');
    for (const secret of ['', 'x'.repeat(31)]) {
      writeFileSync(file, secret);
      const refused = new RunningService({ DATA_DIR }, folder.path);
      assert.equal(await refused.ended(), 1);
      assert.match(refused.stderr, /jwt-secret has \d+ bytes, of at least 32\. Delete that file/);
    }
    rmSync(file);
    const service = new RunningService({ DATA_DIR }, folder.path);
    assert.deepEqual(await new HttpClient(await service.listening(), tokenIn(service)).titles(), []);
    assert.equal(await service.stop(), 0);
  });

  test('parameters of DATABASE_URL that the service cannot work with are refused by name', async () => {
    for (const parameter of [
      'query_timeout=1',
      'statement_timeout=1',
      'client_encoding=latin1',
      'replication=database',
    ]) {
      const service = new RunningService({ DATABASE_URL: `postgresql://x@127.0.0.1:1/x?${parameter}` }, folder.path);
      assert.equal(await service.ended(), 1);
      assert.match(service.stderr, new RegExp(`^ {2}- DATABASE_URL must not have .*${parameter.split('=')[0]}`, 'm'));
    }
  });

  test('in production a missing secret aborts the start, and no token is printed', async () => {
    const refused = new RunningService({ ENVIRONMENT: 'production' }, folder.path);
    assert.equal(await refused.ended(), 1);
    assert.match(refused.stderr, /JWT_SECRET .* is required in production/);
    const settings = {
      ENVIRONMENT: 'production',
      BETTER_AUTH_SECRET: SECRET_TEXT,
      HOST: '127.0.0.1',
      DATA_DIR: join(folder.path, 'p'),
    };
    const service = new RunningService(settings, folder.path);
    await service.listening();
    assert.equal(service.stderr, '');
    assert.equal(await service.stop(), 0);
  });

  test('while the token issuer is down it starts, and answers 503 instead of 401', async () => {
    const JWKS_URL = `http://127.0.0.1:${await freePort()}/jwks`;
    const service = new RunningService({ JWKS_URL, DATA_DIR: join(folder.path, 'no-issuer') }, folder.path);
    const client = await ann(service);
    const status = async (path: string) => (await client.send('GET', path)).statusCode;
    assert.deepEqual([await status('/health'), await status('/ready'), await status('/api/tasks')], [200, 503, 503]);
    assert.equal(await service.stop(), 0);
  });

  test('settings are read from .env too; the environment takes precedence', async () => {
    const own = temporaryFolder();
    writeFileSync(join(own.path, '.env'), `JWT_SECRET=${SECRET_TEXT}\nLOG_LEVEL=loud\nDATA_DIR=./elsewhere\n`);
    const service = new RunningService({ LOG_LEVEL: 'info' }, own.path);
    assert.deepEqual(await (await ann(service)).titles(), []);
    assert.equal(await service.stop(), 0);
    assert.ok(readdirSync(own.path).includes('elsewhere'));
    own.remove();
  });

  test('SIGTERM: requests in flight are answered; exit code 0 within 10 s despite half-open connections', async () => {
    const service = new RunningService({ DATA_DIR: join(folder.path, 'stop'), JWT_SECRET: SECRET_TEXT }, folder.path);
    const origin = await service.listening();
    const token = await signToken('ann');
    const agent = new Agent({ keepAlive: true, maxSockets: 50 });
    const ask = (method: string, body?: string) =>
      new Promise<number>((resolve) => {
        const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
        const asked = request(`${origin}/api/tasks`, { agent, method, headers }, (answer) => {
          answer.resume().once('end', () => resolve(answer.statusCode ?? 0));
        });
        asked.once('error', () => resolve(0)).end(body);
      });
    await Promise.all(Array.from({ length: 50 }, () => ask('GET'))); // leaves 50 keep-alive connections
    const halfOpen = connect(Number(new URL(origin).port), '127.0.0.1');
    halfOpen.on('error', () => undefined);
    halfOpen.write('GET /api/tasks HTTP/1.1\r\nHost: x\r\n');
    const inFlight = Array.from({ length: 50 }, (_, index) => ask('POST', `{"title":"${index}"}`));
    await Promise.race(inFlight);
    const started = performance.now();
    const code = service.stop();
    while (await connects(origin));
    assert.deepEqual([...new Set(await Promise.all(inFlight))], [201]);
    assert.equal(await code, 0);
    const seconds = (performance.now() - started) / 1000;
    assert.ok(seconds < 10, `${seconds} s`);
    agent.destroy();
    halfOpen.destroy();
  });

  test('requests that arrive together with SIGTERM are answered', async () => {
    const service = new RunningService({ DATA_DIR: join(folder.path, 'together') }, folder.path);
    const origin = await service.listening();
    service.child.kill('SIGSTOP');
    const sockets = await Promise.all(Array.from({ length: 30 }, () => open(Number(new URL(origin).port))));
    const answers = sockets.map(readAll);
    for (const socket of sockets) socket.write(wire('GET', '/health'));
    const code = service.stop();
    service.child.kill('SIGCONT');
    for (const text of await Promise.all(answers)) assert.equal(parseAnswers(text)[0]?.statusCode, 200);
    assert.equal(await code, 0);
  });

  test('clients that disconnect with a CONNECT behind an unanswered request do not end the process', async (t) => {
    const settings = { DATA_DIR: join(folder.path, 'connect'), JWT_SECRET: SECRET_TEXT };
    const service = new RunningService(settings, folder.path);
    t.after(() => service.stop());
    const origin = await service.listening();
    const bytes = `${wire('GET', '/ready')}${wire('CONNECT', 'a:1')}`;
    for (let index = 0; index < 150; index += 1) {
      const socket = await open(Number(new URL(origin).port));
      await new Promise((resolve) => socket.write(bytes, resolve));
      await delay(index % 3);
      if (index % 2 === 0) socket.destroy();
      else socket.resetAndDestroy();
    }
    assert.equal((await fetch(`${origin}/health`)).status, 200);
  });
});

onPostgres('the program on PostgreSQL', () => {
  let database: { url: string; remove: () => Promise<void> };
  const folder = temporaryFolder();
  before(async () => {
    database = await createPostgresDatabase(POSTGRES_URL ?? '');
  });
  after(async () => {
    folder.remove();
    await database.remove();
  });

  test('five processes started at once on an empty database apply each migration once and serve', async () => {
    const settings = { DATABASE_URL: database.url, JWT_SECRET: SECRET_TEXT };
    const services = Array.from({ length: 5 }, () => new RunningService(settings, folder.path));
    for (const service of services) await (await ann(service)).create('x');
    const { rows } = await asAdmin(database.url, 'select number from todo.migrations');
    assert.equal(new Set(rows.map((row) => row.number)).size, rows.length);
    assert.deepEqual(await Promise.all(services.map((service) => service.stop())), [0, 0, 0, 0, 0]);
  });

  test('blanks around DATABASE_URL are ignored', async () => {
    const settings = { DATABASE_URL: ` ${database.url} `, JWT_SECRET: SECRET_TEXT };
    const service = new RunningService(settings, folder.path);
    await (await ann(service)).create('x');
    assert.equal(await service.stop(), 0);
  });
});
