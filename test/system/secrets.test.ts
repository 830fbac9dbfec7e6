import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { HttpClient } from '../support/http-client.ts';
import { findPostgres, freePort, PostgresServer } from '../support/postgres-server.ts';
import { RunningService, temporaryFolder } from '../support/process.ts';
import { skipUnless } from '../support/requirements.ts';
import { asAdmin, signToken } from '../support/service.ts';
import { exchange, wire } from '../support/socket.ts';

const SECRET = 'quokka-secret-of-the-issuer-0123456789';
const PASSWORD = 'quokka/p@ss:word';
const TITLE = 'quokka title nobody else may read';
const DESCRIPTION = 'quokka description nobody else may read';
const LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
const RATE_LIMIT = 40;

const programs = findPostgres(process.env.TEST_POSTGRES_BIN);
const skip = skipUnless(programs !== null, 'POSTGRES', 'no PostgreSQL programs (TEST_POSTGRES_BIN)');

const sign = (sub: string, claims = {}, secret = SECRET) => signToken(sub, claims, new TextEncoder().encode(secret));

/** Valid and invalid tokens. */
async function makeTokens() {
  const past = Math.floor(Date.now() / 1000) - 3_600;
  const [good, busy, expired, forged] = await Promise.all([
    sign('quokka_user'),
    sign('quokka_busy'),
    sign('quokka_user', { exp: past }),
    sign('quokka_user', {}, 'another-secret-of-more-than-thirty-two-bytes'),
  ]);
  return { good, busy, expired, forged };
}

/** All that must appear in no log, error or metric. */
function secretsOf(tokens: Readonly<Record<string, string>>): string[] {
  const parts = Object.values(tokens).flatMap((token) => [token, ...token.split('.').slice(1)]);
  const encoded = [encodeURIComponent(PASSWORD), Buffer.from(PASSWORD).toString('base64')];
  return [SECRET, PASSWORD, ...encoded, TITLE, DESCRIPTION, ...parts];
}

/** Sends valid and invalid requests of every kind. @returns the statuses, and the bodies of errors and metrics. */
async function sendEverything(port: number, tokens: Awaited<ReturnType<typeof makeTokens>>) {
  const statuses = new Set<number>();
  let bodies = '';
  const ask = async (method: string, path: string, token: string | null, body?: string) => {
    const answer = await new HttpClient(`http://127.0.0.1:${port}`, token).send(method, path, body);
    statuses.add(answer.statusCode);
    if (answer.statusCode >= 300 || path === '/metrics') bodies += answer.body + JSON.stringify(answer.headers);
    return answer.body;
  };
  const { good, busy, expired, forged } = tokens;
  const task = JSON.stringify({ title: TITLE, description: DESCRIPTION });

  const { id } = JSON.parse(await ask('POST', '/api/tasks', good, task)) as { id: string };
  await ask('GET', '/api/tasks', good);
  await ask('GET', `/api/tasks/${id}`, good);
  await ask('PUT', `/api/tasks/${id}`, good, task);
  await ask('POST', `/api/tasks/${id}/toggle`, good);
  await ask('DELETE', `/api/tasks/${id}`, good);

  await ask('POST', '/api/tasks', good, JSON.stringify({ title: TITLE.repeat(20) }));
  await ask('POST', '/api/tasks', good, task.slice(0, -5));
  await ask('GET', `/api/tasks/${good}`, good);
  for (const token of [null, expired, forged, `${good}x`, `${good}, Bearer ${good}`, SECRET])
    await ask('GET', '/api/tasks', token);
  await ask('GET', `/api/tasks?token=${good}&password=${encodeURIComponent(PASSWORD)}`, null);
  await ask('GET', `/nowhere/${good}`, good);
  await ask('GET', `/api/tasks/%zz${good}`, good);
  await ask('PUT', '/api/tasks', good, task);
  await ask('POST', '/api/tasks', good, JSON.stringify({ title: TITLE, rest: TITLE.repeat(3_000) }));
  for (let count = 0; count <= RATE_LIMIT; count += 1) await ask('GET', '/api/tasks', busy);
  const authorization = `Bearer ${good}`;
  for (const request of [
    wire('GET', '/api/tasks', { 'X-Long': good.repeat(200) }),
    wire('GET', '/api/tasks', { authorization, 'Bad Header': TITLE }),
    wire('POST', '/api/tasks', { authorization, Connection: 'close', 'Content-Type': 'text/plain' }, TITLE),
  ]) {
    for (const { statusCode, body } of await exchange(port, request)) {
      statuses.add(statusCode);
      bodies += body;
    }
  }
  return { statuses, ask, bodies: () => bodies };
}

describe('secrets, tokens, titles and the database password', { skip }, () => {
  const folder = temporaryFolder();
  let server: PostgresServer;
  let url: string;
  before(async () => {
    if (programs === null) return;
    const rules = join(folder.path, 'pg_hba.conf');
    writeFileSync(rules, 'host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n');
    for (const path of [folder.path, rules]) chmodSync(path, 0o755);
    server = await PostgresServer.create(programs, [`hba_file=${rules}`]);
    await asAdmin(server.url(), `create role keeper login createrole password '${PASSWORD}'`);
    await asAdmin(server.url(), 'create database kept owner keeper');
    const own = new URL(server.url('kept', 'keeper'));
    own.password = encodeURIComponent(PASSWORD);
    url = own.href;
  });
  after(async () => {
    await server?.remove();
    folder.remove();
  });

  function assertClean(text: string, tokens: Readonly<Record<string, string>>, what: string): void {
    for (const secret of secretsOf(tokens)) {
      const at = text.indexOf(secret);
      assert.equal(at, -1, `${what} contains ${secret}: ${text.slice(Math.max(0, at - 200), at + 200)}`);
    }
  }

  async function serve(settings: Record<string, string>) {
    const port = await freePort();
    const service = new RunningService(
      { JWT_SECRET: SECRET, PORT: String(port), RATE_LIMIT_PER_MINUTE: String(RATE_LIMIT), ...settings },
      folder.path,
    );
    const client = new HttpClient(`http://127.0.0.1:${port}`);
    const isReady = () =>
      client.send('GET', '/ready').then(
        ({ statusCode }) => statusCode === 200,
        () => false,
      );
    while (!(await isReady())) {
      assert.equal(service.child.exitCode, null, service.stderr);
      await delay(20);
    }
    return { service, port };
  }

  for (const level of LEVELS) {
    test(`are not in the output at log level ${level}, nor in an error or metric`, async () => {
      const tokens = await makeTokens();
      const { service, port } = await serve({ DATABASE_URL: url, LOG_LEVEL: level });
      const { statuses, ask, bodies } = await sendEverything(port, tokens);
      // PostgreSQL's error for a row that violates a constraint contains the whole row.
      await asAdmin(
        server.url('kept'),
        `alter table todo.tasks add constraint unwelcome check (title not like 'quokka%') not valid`,
      );
      const refused = await ask(
        'POST',
        '/api/tasks',
        tokens.good,
        JSON.stringify({ title: TITLE, description: DESCRIPTION }),
      );
      await asAdmin(server.url('kept'), 'alter table todo.tasks drop constraint unwelcome');
      assert.match(refused, /DATABASE_ERROR/);
      await ask('GET', '/metrics', null);
      assert.equal(await service.stop(), 0);
      assert.deepEqual([...statuses].sort(), [200, 201, 400, 401, 404, 405, 413, 429, 431, 500]);
      const lines = service.stdout.split('\n').filter((line) => line !== '');
      const expected = { fatal: 0, error: 1, warn: 1, silent: 0, info: 30, debug: 30, trace: 30 }[level];
      assert.ok(expected === 0 ? lines.length === 0 : lines.length >= expected, `${lines.length} lines`);
      assert.equal(service.stdout.includes('unwelcome'), expected > 0, 'the error is in the log');
      assertClean(service.stdout + service.stderr, tokens, 'the output');
      assertClean(bodies(), tokens, 'an answer');
    });
  }

  test('are not in the output of a service on the embedded database', async () => {
    const tokens = await makeTokens();
    const { service, port } = await serve({ DATA_DIR: join(folder.path, 'data'), LOG_LEVEL: 'trace' });
    const { bodies } = await sendEverything(port, tokens);
    assert.equal(await service.stop(), 0);
    assertClean(service.stdout + service.stderr + bodies(), tokens, 'the output');
  });

  test('a wrong or missing password, user or database ends the start with a message that names DATABASE_URL', async () => {
    const change = (edit: (own: URL) => void) => {
      const changed = new URL(url);
      edit(changed);
      return changed.href;
    };
    const cases: [string, RegExp][] = [
      [change((own) => (own.password = 'wrong')), /password authentication failed.*correct the .* in DATABASE_URL/],
      [change((own) => (own.password = '')), /asks for a password, and DATABASE_URL has none/],
      [change((own) => (own.username = 'nobody')), /password authentication failed.*correct the .* in DATABASE_URL/],
      [change((own) => (own.pathname = '/nowhere')), /"nowhere" does not exist; .* in DATABASE_URL/],
    ];
    for (const [DATABASE_URL, expected] of cases) {
      const service = new RunningService({ DATABASE_URL, JWT_SECRET: SECRET }, folder.path);
      assert.equal(await service.ended(), 1, service.stdout);
      assert.match(service.stderr, expected);
    }
  });

  test('are not in the messages of a failed start or of a backup', async () => {
    const freeTcpPort = await freePort();
    const wrong = new URL(url);
    wrong.password = encodeURIComponent(`${PASSWORD}!`);
    const settings: [Record<string, string>, string[], number][] = [
      [{ DATABASE_URL: wrong.href }, [], 1],
      [{ DATABASE_URL: wrong.href }, ['backup', join(folder.path, 'never')], 1],
      [{ DATABASE_URL: `${url}?sslrootcert=/nowhere` }, [], 1],
      [{ DATABASE_URL: url.replace('postgresql', 'mysql') }, [], 1],
      [{ DATABASE_URL: url.replace('@127', '@@127') }, [], 1],
      // A slash in a password that is not percent-encoded begins the name of the database.
      [{ DATABASE_URL: `postgresql://keeper:1/${PASSWORD}@127.0.0.1/kept` }, [], 1],
      [{ DATABASE_URL: `postgresql://keeper:1/${PASSWORD}@127.0.0.1/kept` }, ['backup', join(folder.path, 'never')], 1],
      [{ DATABASE_URL: url, JWT_SECRET: SECRET.slice(0, 20) }, [], 1],
      [{ DATABASE_URL: url, JWKS_URL: `ftp://user:${SECRET}@127.0.0.1/keys` }, [], 1],
      [{ DATABASE_URL: url, PORT: SECRET }, [], 1],
      [{ DATABASE_URL: url }, ['backup', join(folder.path, 'all')], 0],
      [{ DATABASE_URL: url }, ['restore', join(folder.path, 'all')], 0],
    ];
    for (const [given, args, expected] of settings) {
      const service = new RunningService({ JWT_SECRET: SECRET, LOG_LEVEL: 'trace', ...given }, folder.path, args);
      assert.equal(await service.ended(), expected, `${JSON.stringify([given, args])}: ${service.stderr}`);
      assert.notEqual(service.stderr, '');
      assertClean(
        service.stdout + service.stderr,
        { cut: `${SECRET.slice(0, 20)}.${PASSWORD}!` },
        JSON.stringify(given),
      );
    }
    const unreachable = url.replace(`:${server.port}/`, `:${freeTcpPort}/`);
    const service = new RunningService(
      { JWT_SECRET: SECRET, LOG_LEVEL: 'trace', DATABASE_URL: unreachable },
      folder.path,
    );
    const client = new HttpClient(await service.listening());
    assert.equal((await client.send('GET', '/ready')).statusCode, 503);
    assert.equal(await service.stop(), 0);
    assert.match(service.stdout, /cannot be reached/);
    assertClean(service.stdout + service.stderr, {}, 'the output');
  });
});
