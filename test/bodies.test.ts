import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { LightMyRequestResponse } from 'fastify';
import { CHANGES, FIELDS } from './support/fields.ts';
import { onAnyDatabase, type Task } from './support/service.ts';

const JSON_TYPE = { 'content-type': 'application/json' };
const MISSING = '/api/tasks/0199d3a4-7c1e-7b52-9d0f-3a2b1c4d5e6f';

type Fault = readonly [field: string, message: string];

function assertFaults(answer: LightMyRequestResponse, ...details: readonly Fault[]): void {
  assert.equal(answer.statusCode, 400, answer.body);
  assert.deepEqual(answer.json(), {
    error: 'Validation failed',
    code: 'VALIDATION_ERROR',
    details: details.map(([field, message]) => ({ field, message })),
  });
}

function assertUnreadable(answer: LightMyRequestResponse, error: string): void {
  assert.deepEqual([answer.statusCode, answer.body], [400, JSON.stringify({ error, code: 'INVALID_REQUEST' })]);
}

function assertNotJson(answer: LightMyRequestResponse): void {
  const message = 'JSON has double quotes around names and texts, and no comma after the last field';
  assert.equal(answer.statusCode, 400, answer.body);
  assert.deepEqual(answer.json(), {
    error: 'Request body is not valid JSON',
    code: 'INVALID_REQUEST',
    details: [{ field: 'body', message }],
  });
}

onAnyDatabase('bodies', (service) => {
  const create = async (payload: unknown, headers: Record<string, string> = JSON_TYPE) =>
    (await service().person()).send('POST', '/api/tasks', payload, headers);
  const update = async (payload: unknown, method: 'PUT' | 'PATCH' = 'PUT') =>
    (await service().person()).send(method, MISSING, payload, JSON_TYPE);

  test('each invalid field is named with its message', async () => {
    assertFaults(await create({}), ['title', 'Title is required and cannot be empty']);
    assertFaults(await create({ title: null }), ['title', 'Title is required and cannot be empty']);
    assertFaults(await create({ title: ' \n\u3000\ufeff ' }), ['title', 'Title cannot be empty']);
    assertFaults(await create({ title: 'x'.repeat(201) }), ['title', 'Title cannot exceed 200 characters']);
    assertFaults(await create({ title: 'x', description: 'y'.repeat(2001) }), [
      'description',
      'Description cannot exceed 2000 characters',
    ]);
    assertFaults(await update({}), ['body', 'At least one field must be provided']);
    assertFaults(await update({ title: '' }), ['title', 'Title cannot be empty']);
    assertFaults(await update({ title: null }), ['title', 'Title cannot be empty']);
    assertFaults(
      await create({ title: '', description: 5, is_completed: 'true' }),
      ['title', 'Title cannot be empty'],
      ['description', 'Description must be a string'],
      ['is_completed', 'Completed status must be true or false, without quotes'],
    );
  });

  test('an update without any known field names the fields that there are, and those it was sent', async () => {
    const fields = `At least one field must be provided: ${[...FIELDS, ...CHANGES].join(', ')}`;
    for (const method of ['PUT', 'PATCH'] as const) {
      assertFaults(await update({ completed: true }, method), ['body', `${fields}. Ignored: completed`]);
    }
    assertFaults(await update({ colour: 'red', id: 'x' }), ['body', `${fields}. Ignored: colour, id`]);
    const many = Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`${'x'.repeat(60)}${index}`, 1]));
    assertFaults(await update(many), ['body', `${fields}. Ignored: ${Array(5).fill('x'.repeat(50)).join(', ')}`]);
    const person = await service().person();
    const task = await person.create('x');
    const both = await person.send('PATCH', `/api/tasks/${task.id}`, { completed: true, description: 'y' });
    assert.equal(both.statusCode, 200);
    assert.deepEqual([both.json<Task>().description, both.json<Task>().is_completed], ['y', false]);
  });

  test('types are strict', async () => {
    for (const title of [123, true, ['a'], { a: 1 }]) {
      assertFaults(await create({ title }), ['title', 'Title must be a string']);
      assertFaults(await update({ title }), ['title', 'Title must be a string']);
      assertFaults(await update({ title }, 'PATCH'), ['title', 'Title must be a string']);
    }
    for (const is_completed of [1, 0, 'true', 'false', null, []]) {
      const quotes = typeof is_completed === 'string' ? ', without quotes' : '';
      const expected = ['is_completed', `Completed status must be true or false${quotes}`] as const;
      assertFaults(await create({ title: 'x', is_completed }), expected);
      for (const answer of [await update({ is_completed }), await update({ is_completed }, 'PATCH')]) {
        assertFaults(answer, expected);
      }
    }
    for (const description of [1, false, []]) {
      assertFaults(await create({ title: 'x', description }), ['description', 'Description must be a string']);
    }
  });

  test('a body that is not a JSON object is rejected', async () => {
    for (const body of ['null', '[]', '"x"', '1', 'true']) {
      for (const answer of [await create(body), await update(body), await update(body, 'PATCH')]) {
        assertUnreadable(answer, 'Request body must be a JSON object');
      }
    }
    for (const body of ['{', '{"title":"x', '{title:1}', "{'title':'x'}", '{"title":"x"}}', '{"title":"x",}']) {
      for (const answer of [await create(body), await update(body), await update(body, 'PATCH')]) assertNotJson(answer);
    }
    for (const body of ['['.repeat(30_000), '\ufeff\ufeff{"title":"x"}', '{"title":"x"}\ufeff']) {
      assertNotJson(await create(body));
    }
    for (const body of ['', ' \r\n\t', '\ufeff']) {
      for (const answer of [await create(body), await update(body), await update(body, 'PATCH')]) {
        assertUnreadable(answer, 'Request body is missing: send a JSON object');
      }
    }
  });

  test('a byte order mark at the start of a body is skipped', async () => {
    assert.equal((await create('\ufeff{"title":"x"}')).json<Task>().title, 'x');
    assert.equal((await create('{"title":"\ufeffx"}')).json<Task>().title, 'x');
    assert.equal((await create('{"title":"a\ufeffb"}')).json<Task>().title, 'a\ufeffb');
  });

  test('text that PostgreSQL cannot store is rejected', async () => {
    for (const text of ['a\\u0000b', '\\ud800', 'x\\udc00', '\\ud83d\\ud83d\\ude00']) {
      for (const write of [create, update]) {
        assertFaults(await write(`{"title":"${text}"}`), ['title', 'Title contains characters that cannot be stored']);
      }
      assertFaults(await create(`{"title":"x","description":"${text}"}`), [
        'description',
        'Description contains characters that cannot be stored',
      ]);
    }
    const invalid = Buffer.from('{"title":"x"}');
    invalid[10] = 0xff;
    assertUnreadable(await create(invalid), 'Request body is not valid UTF-8');
    const surrogate = Buffer.concat([Buffer.from('{"title":"'), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from('"}')]);
    assertUnreadable(await create(surrogate), 'Request body is not valid UTF-8');
  });

  test('characters are counted as Unicode code points and returned unchanged', async () => {
    const person = await service().person();
    const texts = [
      '😀'.repeat(200),
      'e\u0301'.repeat(100),
      '👩\u200d👩\u200d👧'.repeat(40),
      'עברית العربية',
      'z̸̡͓̀à̷l̶g̷o̴',
      'a\nb\r\nc\td',
      '\\"\u001b[31m</script>',
    ];
    for (const text of texts) {
      const task = await person.create(text, { description: text });
      assert.deepEqual([task.title, task.description], [text, text]);
      assert.equal((await person.send('GET', `/api/tasks/${task.id}`)).json<Task>().title, text);
    }
    assertFaults(await create({ title: '😀'.repeat(201) }), ['title', 'Title cannot exceed 200 characters']);
    assertFaults(await create({ title: 'e\u0301'.repeat(101) }), ['title', 'Title cannot exceed 200 characters']);
    const families = `${'👩\u200d👩\u200d👧'.repeat(40)}x`;
    assertFaults(await create({ title: families }), ['title', 'Title cannot exceed 200 characters']);
    const padded = await person.create(`${' '.repeat(300)}${'x'.repeat(200)}${'\n'.repeat(300)}`);
    assert.equal(padded.title, 'x'.repeat(200));
    const escaped = await person.send(
      'POST',
      '/api/tasks',
      `{"title":"x","description":"${'\\ud83d\\ude00'.repeat(2000)}"}`,
      JSON_TYPE,
    );
    assert.equal(escaped.statusCode, 201);
    assert.equal(escaped.json<Task>().description, '😀'.repeat(2000));
  });

  test('a body of 64 KiB is accepted; one byte more is 413, whatever its content', async () => {
    const padded = (size: number) => `{"title":"x"${' '.repeat(size - '{"title":"x"}'.length)}}`;
    assert.equal((await create(padded(65_536))).statusCode, 201);
    for (const body of [padded(65_537), '!'.repeat(65_537), '!'.repeat(200_000)]) {
      const answer = await create(body);
      assert.equal(answer.statusCode, 413);
      assert.equal(answer.body, '{"error":"Request body is too large","code":"PAYLOAD_TOO_LARGE"}');
    }
  });

  test('only application/json in UTF-8 is accepted, and validated however it is spelled', async () => {
    for (const type of [
      'text/plain',
      'application/xml',
      'multipart/form-data; boundary=x',
      'application/x-www-form-urlencoded',
      'application/jsonx',
      'application/json, text/plain',
      'application/json\ta',
      ' application/json',
    ]) {
      assertUnreadable(
        await create('{"title":"x"}', { 'content-type': type }),
        'Content-Type must be application/json',
      );
    }
    for (const type of ['application/json; charset=latin1', 'application/json;charset="utf-16"']) {
      assertUnreadable(
        await create('{"title":"x"}', { 'content-type': type }),
        'Content-Type must be application/json in UTF-8, without another charset',
      );
    }
    const person = await service().person();
    const bare = await service().app.inject({
      method: 'POST',
      url: '/api/tasks',
      payload: '{"title":"x"}',
      headers: { authorization: `Bearer ${person.token}` },
    });
    assertUnreadable(bare, 'Content-Type must be application/json');
    assertUnreadable(await person.send('POST', '/api/tasks'), 'Content-Type must be application/json');
    for (const type of [
      'application/json',
      'Application/JSON',
      'application/json; charset=utf-8',
      'application/json;charset="UTF-8"',
      'application/json; charset=utf8',
      'application/json; Charset=UTF8',
      'application/json;',
    ]) {
      assertFaults(await create('{"title":1}', { 'content-type': type }), ['title', 'Title must be a string']);
    }
  });

  test('a compressed body is rejected', async () => {
    const zipped = gzipSync('{"title":"x"}');
    assertUnreadable(
      await create(zipped, { ...JSON_TYPE, 'content-encoding': 'gzip' }),
      'Content-Encoding is not supported',
    );
    assert.equal((await create('{"title":"x"}', { ...JSON_TYPE, 'content-encoding': 'identity' })).statusCode, 201);
  });

  test('the fields __proto__ and constructor have no effect, also when escaped', async () => {
    for (const name of ['__proto__', '\\u005f_proto__', 'constructor', 'c\\u006fnstructor']) {
      const answer = await create(
        `{"title":"x","${name}":{"prototype":{"is_completed":true},"is_completed":true,"description":"d"}}`,
      );
      assert.equal(answer.statusCode, 201);
      assert.deepEqual([answer.json<Task>().is_completed, answer.json<Task>().description], [false, null]);
      const known = `At least one field must be provided: ${[...FIELDS, ...CHANGES].join(', ')}`;
      const ignored = name.includes('proto') ? '__proto__' : 'constructor';
      assertFaults(await update(`{"${name}":{"title":"x"}}`), ['body', `${known}. Ignored: ${ignored}`]);
    }
    assert.equal(Reflect.get({}, 'is_completed'), undefined);
  });

  test('routes without a body ignore one', async () => {
    const person = await service().person();
    const task = await person.create('x');
    for (const [payload, headers] of [
      [undefined, JSON_TYPE],
      ['', JSON_TYPE],
      ['garbage', { 'content-type': 'text/plain' }],
    ] as const) {
      assert.equal((await person.send('POST', `/api/tasks/${task.id}/toggle`, payload, headers)).statusCode, 200);
    }
    assert.equal((await person.send('DELETE', `/api/tasks/${task.id}`, undefined, JSON_TYPE)).statusCode, 200);
  });
});
