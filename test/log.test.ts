import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertError } from './support/envelope.ts';
import { onAnyDatabase, startService } from './support/service.ts';
import { stubDatabase } from './support/stub-database.ts';

test('an internal error is logged with its causes, without the secrets in their messages', async () => {
  const fault = new Error('cannot reach postgresql://owner:pa55word@db.example/todo');
  fault.cause = new Error('nor https://key:pa55word@issuer.example with eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.c2ln', {
    cause: fault,
  });
  const service = await startService(stubDatabase(() => Promise.reject(fault)));
  const answer = await (await service.person()).send('GET', '/api/tasks');
  assertError(answer, 500, 'INTERNAL_ERROR', 'An internal server error occurred');
  const { level, err } = service.log.lineOf(answer);
  assert.equal(level, 'error');
  const { message, stack, cause } = err as Record<string, unknown>;
  assert.equal(message, 'cannot reach [secret]');
  assert.match(String(stack), /^Error: cannot reach \[secret\]\n {4}at /);
  assert.equal((cause as Record<string, unknown>).message, 'nor [secret] with [secret]');
  await service.close();
});

onAnyDatabase('the log', (service) => {
  test('one line per request: time, level, request id, method, route, status, duration and user', async () => {
    const person = await service().person();
    const task = await person.create('x');
    await person.send('GET', `/api/tasks/${task.id}`, undefined, { 'x-request-id': 'trace-1.2:3_4' });
    const lines = service()
      .log.lines()
      .filter((line) => line.request_id === 'trace-1.2:3_4');
    assert.equal(lines.length, 1);
    const [line] = lines;
    assert.match(String(line?.time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.ok(typeof line?.duration_ms === 'number' && line.duration_ms >= 0);
    assert.deepEqual(
      { ...line, time: '', duration_ms: 0 },
      {
        level: 'info',
        time: '',
        request_id: 'trace-1.2:3_4',
        method: 'GET',
        route: '/api/tasks/{task_id}',
        status: 200,
        duration_ms: 0,
        user_id: person.sub,
        msg: 'request',
      },
    );
  });

  test('a valid X-Request-Id is used, an invalid one is replaced, and either is returned', async () => {
    const person = await service().person();
    const idOf = async (id: string) =>
      String((await person.send('GET', '/api/tasks', undefined, { 'x-request-id': id })).headers['x-request-id']);
    for (const valid of ['a', '7f6f0c1e-3a5d-4f0e-9c53-0f4f9e1c7d11', 'A.b_c:d-e', 'x'.repeat(128)])
      assert.equal(await idOf(valid), valid);
    for (const invalid of ['', ' ', 'x'.repeat(129), 'a b', '{"a":1}', '\u001b[31m', '../..', 'é', 'a\tb']) {
      assert.match(await idOf(invalid), /^[0-9a-f-]{36}$/);
    }
    const ids = await Promise.all(Array.from({ length: 20 }, () => idOf('')));
    assert.equal(new Set(ids).size, 20);
  });

  test('client input cannot break or forge a log line', async () => {
    const person = await service().person('eve\n{"level":"info","msg":"forged"}\u001b[2K');
    const nasty = 'title\r\n{"level":"fatal","msg":"forged"}\u001b[31m';
    await person.send(
      'POST',
      '/api/tasks',
      { title: nasty },
      { 'user-agent': '"}{"msg":"forged"}', 'x-request-id': 'x\u001b[31m' },
    );
    await person.send('GET', `/api/${encodeURIComponent(nasty)}?q=${encodeURIComponent(nasty)}`);
    const lines = service().log.lines();
    assert.ok(lines.length > 0);
    assert.ok(lines.every((line) => line.msg !== 'forged'));
    assert.ok(!service().log.text.includes('\u001b'));
  });
});
