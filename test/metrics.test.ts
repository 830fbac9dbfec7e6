import assert from 'node:assert/strict';
import { METHODS } from 'node:http';
import { after, before, test } from 'node:test';
import { type Person, type Service, startService } from './support/service.ts';
import { exchange, listen, wire } from './support/socket.ts';
import { stubDatabase } from './support/stub-database.ts';

const CLOSE = { Connection: 'close' };

let service: Service;
let port: number;
let person: Person;

before(async () => {
  service = await startService(stubDatabase());
  port = await listen(service.app);
  person = await service.person();
});
after(() => service.close());

/** The number of requests with exactly these labels in `/metrics`. */
async function counted(method: string, route: string, status: number): Promise<number> {
  const { body } = await service.app.inject({ url: '/metrics' });
  const series = `http_request_duration_seconds_count{method="${method}",route="${route}",status="${status}"} `;
  const line = body.split('\n').find((text) => text.startsWith(series));
  return Number(line?.slice(series.length) ?? 0);
}

test('requests are counted by method, route and status; the path itself is no label', async () => {
  for (const [method, url, route, status] of [
    ['GET', '/api/tasks', '/api/tasks', 200],
    ['GET', '/api/tasks/0199d3a4-7c1e-7b52-9d0f-3a2b1c4d5e6f', '/api/tasks/{task_id}', 200],
    ['GET', '/api/tasks/x', '/api/tasks/{task_id}', 400],
    ['PUT', '/api/tasks', '/api/tasks', 405],
    ['GET', '/no/such/route', 'unknown', 404],
    ['GET', '/%zz', 'unknown', 400],
  ] as const) {
    const before = await counted(method, route, status);
    await person.send(method, url);
    assert.equal(await counted(method, route, status), before + 1, `${method} ${url}`);
  }
});

test('requests that cannot be parsed are counted with an unknown method and route', async () => {
  for (const [bytes, status] of [
    ['hello\r\n\r\n', 400],
    [wire('BREW', '/health'), 400],
    [wire('GET', '/health', { A: 'a'.repeat(16_384) }), 431],
  ] as const) {
    const before = await counted('unknown', 'unknown', status);
    await exchange(port, bytes);
    assert.equal(await counted('unknown', 'unknown', status), before + 1, bytes.slice(0, 20));
  }
});

test('methods of no route share one label value', async () => {
  const known = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];
  const before = await counted('other', '/health', 405);
  const connects = await counted('other', 'unknown', 405);
  for (const method of METHODS) {
    if (method === 'CONNECT') await exchange(port, wire('CONNECT', 'example.com:443'));
    else await person.send(method, '/health');
  }
  assert.equal(await counted('other', '/health', 405), before + METHODS.length - 1 - known.length);
  assert.equal(await counted('other', 'unknown', 405), connects + 1);
  const { body } = await service.app.inject({ url: '/metrics' });
  const labels = new Set([...body.matchAll(/[{,]method="(.*?)"/g)].map(([, method]) => method));
  assert.deepEqual([...labels].filter((label) => !known.includes(label ?? '')).sort(), ['other', 'unknown']);
});

test('the names of metrics are as Prometheus wants them (promtool check metrics)', async () => {
  const { body } = await service.app.inject({ url: '/metrics' });
  const types = new Map([...body.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = '', type = '']) => [name, type]));
  const helps = new Set([...body.matchAll(/^# HELP (\S+) \S/gm)].map(([, name]) => name));
  assert.ok(types.size > 20);
  const units = /_(?:milliseconds|ms|minutes|hours|days|kilobytes|megabytes|bits|percent|us|ns)(?:_|$)/;
  for (const [name, type] of types) {
    assert.ok(helps.has(name), `${name} has no help`);
    assert.match(name, /^[a-z][a-z0-9_]*$/);
    assert.equal(name.endsWith('_total'), type === 'counter', `${name} is a ${type}`);
    assert.doesNotMatch(name, /_(?:count|sum|bucket|gauge|counter|histogram|summary)$/, name);
    assert.doesNotMatch(name, units, `${name} is not in a base unit`);
  }
});

test('a request with a malformed body is counted once, with its route', async () => {
  const headers = {
    Authorization: `Bearer ${person.token}`,
    'Content-Type': 'application/json',
    'Transfer-Encoding': 'chunked',
  };
  const [before, unknown] = [await counted('POST', '/api/tasks', 400), await counted('unknown', 'unknown', 400)];
  await exchange(port, wire('POST', '/api/tasks', { ...headers, ...CLOSE }, 'zz\r\n'));
  assert.equal(await counted('POST', '/api/tasks', 400), before + 1);
  assert.equal(await counted('unknown', 'unknown', 400), unknown);
});
