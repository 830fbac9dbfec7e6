import assert from 'node:assert/strict';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, beforeEach, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { HttpClient } from '../support/http-client.ts';
import { freePort } from '../support/postgres-server.ts';
import { RunningService, temporaryFolder } from '../support/process.ts';
import { signToken } from '../support/service.ts';
import { open, readAll, wire } from '../support/socket.ts';

const JWT_SECRET = 'test-secret-of-more-than-thirty-two-bytes';
/** A log line of a request has the user id: 1,020 bytes. */
const LONG_NAME = '🙂'.repeat(255);
/** More than the buffer and a pipe hold: 10 MB of lines. */
const REQUESTS = 8_000;
const AT_ONCE = 500;

interface Line {
  readonly msg: string;
  readonly lines?: number;
}

describe('a log that is not read', () => {
  const folder = temporaryFolder();
  after(() => folder.remove());
  let service: RunningService;
  let port: number;

  beforeEach(async () => {
    port = await freePort();
    const settings = { PORT: String(port), DATA_DIR: join(folder.path, String(port)), JWT_SECRET };
    service = new RunningService(settings, folder.path);
    service.child.stdout?.pause();
    const client = new HttpClient(`http://127.0.0.1:${port}`);
    const isUp = () =>
      client.send('GET', '/health').then(
        ({ statusCode }) => statusCode === 200,
        () => false,
      );
    while (!(await isUp())) {
      assert.equal(service.child.exitCode, null, service.stderr);
      await delay(20);
    }
  });

  /** Sends requests whose log lines exceed what is buffered. @returns the number of answers. */
  async function flood(): Promise<number> {
    const authorization = `Bearer ${await signToken(LONG_NAME)}`;
    const ask = (headers: Record<string, string>) => wire('GET', '/api/tasks/none', { authorization, ...headers });
    let answers = 0;
    for (let sent = 0; sent < REQUESTS; sent += AT_ONCE) {
      const socket = await open(port);
      const answered = readAll(socket);
      socket.write(`${ask({}).repeat(AT_ONCE - 1)}${ask({ Connection: 'close' })}`);
      answers += (await answered).split('HTTP/1.1 ').length - 1;
    }
    return answers;
  }

  async function stop(): Promise<number | null> {
    const exit = once(service.child, 'exit');
    service.child.kill('SIGTERM');
    const [code] = await exit;
    return code;
  }

  test('every request is answered, lines beyond 8 MiB are dropped, and a line says how many once it is read', async () => {
    assert.equal(await flood(), REQUESTS);
    service.child.stdout?.resume();
    while (!service.stdout.includes('log lines were dropped')) await delay(20);
    assert.equal(await service.stop(), 0);
    const lines = service.stdout.split('\n').flatMap((line): Line[] => (line === '' ? [] : [JSON.parse(line)]));
    const dropped = lines.reduce((sum, line) => sum + (line.lines ?? 0), 0);
    const logged = lines.filter(({ msg }) => msg === 'request').length;
    assert.ok(dropped > 0);
    assert.ok(service.stdout.length < 10 * 1_048_576);
    assert.ok(logged + dropped > REQUESTS, 'and at least one request for /health');
  });

  test('SIGTERM ends the process with code 0', async () => {
    await flood();
    const started = performance.now();
    assert.equal(await stop(), 0);
    assert.ok(performance.now() - started < 10_000);
  });

  test('a reader that goes away ends neither the service nor its stop', async () => {
    service.child.stdout?.destroy();
    assert.equal(await flood(), REQUESTS);
    assert.equal(await stop(), 0);
  });
});
