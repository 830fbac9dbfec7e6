import assert from 'node:assert/strict';
import { createRequire, syncBuiltinESMExports } from 'node:module';
import { after, before, mock, test } from 'node:test';
import { assertError } from './support/envelope.ts';
import type { Service } from './support/service.ts';
import { stubDatabase } from './support/stub-database.ts';

const MS = 1e6;

/** What Node's histogram of the event loop's delays says, in place of a process that is really behind. */
const delays = { mean: 0, enable: () => true, disable: () => true, reset: () => undefined };

let services: Service[] = [];
before(() => {
  mock.method(createRequire(import.meta.url)('node:perf_hooks'), 'monitorEventLoopDelay', () => delays);
  syncBuiltinESMExports();
  mock.timers.enable({ apis: ['setTimeout'] });
});
after(async () => {
  mock.timers.reset();
  await Promise.all(services.map((service) => service.close()));
  mock.restoreAll();
});

/** A service that has found out that its event loop is `ms` behind. */
async function serviceBehind(ms: number): Promise<Service> {
  const { startService } = await import('./support/service.ts'); // not sooner, or it reads the real histogram
  const service = await startService(stubDatabase());
  services = [...services, service];
  delays.mean = ms * MS;
  mock.timers.tick(1000);
  return service;
}

test('while the event loop is more than a second behind, requests for tasks are told to come back', async () => {
  const service = await serviceBehind(1100);
  const answer = await (await service.person()).send('GET', '/api/tasks');
  assertError(answer, 503, 'SERVICE_UNAVAILABLE', 'Service temporarily unavailable');
  assert.match(String(answer.headers['retry-after']), /^[1-9]\d*$/);
  assert.equal(service.log.lineOf(answer).level, 'warn');
  for (const url of ['/health', '/ready']) {
    assert.equal((await service.app.inject({ url })).statusCode, 200, `${url} is answered meanwhile`);
  }
});

test("an event loop that is less behind is nobody's concern", async () => {
  const service = await serviceBehind(900);
  assert.equal((await (await service.person()).send('GET', '/api/tasks')).statusCode, 200);
});
