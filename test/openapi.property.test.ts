import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createContext, Script } from 'node:vm';
import fc from 'fast-check';
import { OpenApi, schemasIn } from './support/openapi-document.ts';
import { ANY_DATABASE, type Person, type Service, startService } from './support/service.ts';

/** The characters that `trim` removes. */
const SPACES = Array.from({ length: 0x10000 }, (_, unit) => String.fromCharCode(unit)).filter(
  (character) => character.trim() === '',
);
/** Invisible characters that `trim` keeps. */
const NO_SPACES = ['\u200b', '\u200c', '\u2060', '\u0085', '\u180e', '\u001c', '\u00ad', '\u0001'];
const SOLID = ['x', 'é', '😀', '\u{10ffff}', '\ue000', '\uffff', '\ud7ff', ...NO_SPACES];
const LONE_SURROGATES = ['\ud800', '\udbff', '\udc00', '\udfff', '\ude00\ud83d'];
const POISON = ['\0', ...LONE_SURROGATES];

const padding = fc.string({ unit: fc.constantFrom(...SPACES), maxLength: 4 });
const LENGTHS = [0, 1, 2, 3, 198, 199, 200, 201, 202, 1998, 1999, 2000, 2001, 2002];

/** Padded text of a length around the limits, sometimes with a character that cannot be stored. */
const sizedText = fc
  .record({
    before: padding,
    length: fc.constantFrom(...LENGTHS),
    first: fc.constantFrom(...SOLID),
    inner: fc.constantFrom(...SOLID, ...SPACES),
    last: fc.constantFrom(...SOLID),
    behind: padding,
    poison: fc.option(fc.tuple(fc.constantFrom(...POISON, ...SPACES), fc.nat()), { freq: 4 }),
  })
  .map(({ before, length, first, inner, last, behind, poison }) => {
    const points = Array.from({ length }, (_, index) => (index === 0 ? first : index === length - 1 ? last : inner));
    if (poison !== null) points.splice(poison[1] % (length + 1), 1, poison[0]);
    return before + points.join('') + behind;
  });
const anyUnits = fc
  .array(
    fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)),
    { maxLength: 6 },
  )
  .map((units) => units.join(''));
const shortText = fc.string({ unit: fc.constantFrom(...SPACES, ...SOLID, ...POISON), maxLength: 6 });
const anyText = fc.oneof({ weight: 4, arbitrary: sizedText }, shortText, anyUnits, fc.string({ unit: 'binary' }));

const otherTypes = fc.constantFrom<unknown>(null, 0, 1, -0.5, 1e300, true, false, [], {}, ['a'], { title: 'x' });
const value = fc.oneof({ weight: 5, arbitrary: anyText }, { weight: 1, arbitrary: otherTypes });
const sound = fc.constantFrom<unknown>('fine', ' fine ');

const otherFields = [
  ...['id', 'user_id', 'created_at', 'updated_at', 'deleted_at', 'version'],
  ...['colour', '', 'Title', ' title', '__proto__', 'constructor', 'toString'],
];
const field = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(fc.constantFrom('title', 'description'), fc.oneof(value, sound)) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('is_completed'), fc.oneof(fc.boolean(), value)) },
  { weight: 1, arbitrary: fc.tuple(fc.constantFrom(...otherFields), fc.oneof(otherTypes, shortText)) },
);
/** JSON text of objects, perhaps with a repeated name, and of other values. */
const bodyText = fc.oneof(
  {
    weight: 12,
    arbitrary: fc
      .array(field, { maxLength: 4 })
      .map((fields) => `{${fields.map(([name, of]) => `${JSON.stringify(name)}:${JSON.stringify(of)}`).join()}}`),
  },
  { weight: 1, arbitrary: otherTypes.map((other) => JSON.stringify(other)) },
  { weight: 1, arbitrary: fc.constantFrom('{}', '""', '[{"title":"x"}]', '{"title":null}', '{"description":null}') },
);

const hex = (length: number) =>
  fc.string({ unit: fc.constantFrom(...'0123456789abcdefABCDEF'), minLength: length, maxLength: length });
const uuid = fc.tuple(hex(8), hex(4), hex(4), hex(4), hex(12)).map((parts) => parts.join('-'));
const almostUuid = fc.oneof(
  fc
    .tuple(uuid, fc.nat(36), fc.nat(2), fc.constantFrom('', '0', 'g', '-', ' ', '\n', '/', '\0', '０', 'é', '😀'))
    .map(([id, at, length, by]) => id.slice(0, at) + by + id.slice(at + length)),
  uuid.chain((id) =>
    fc.constantFrom(`{${id}}`, `urn:uuid:${id}`, id.replaceAll('-', ''), `${id}\n`, ` ${id}`, `${id}${id}`),
  ),
);
const anyId = fc.oneof(
  uuid,
  almostUuid,
  fc.constantFrom('00000000-0000-0000-0000-000000000000', 'toggle', 'null', '-1', '%'),
  fc.string({ unit: 'binary', minLength: 1 }),
);
/** An id in a path; its first digit may be percent-encoded without need. */
const inPath = (id: string, encodeDigit: boolean) =>
  encodeURIComponent(id).replace(/^[0-9a-fA-F]/, (digit) =>
    encodeDigit ? `%${digit.charCodeAt(0).toString(16)}` : digit,
  );

type Body = Readonly<Record<string, unknown>>;

const trimmed = (value: unknown) => (typeof value === 'string' ? value.trim() : value);

/** `body` with the texts that the service trims trimmed; anything else as it is. */
function withTrimmedTexts(body: unknown): unknown {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return body;
  const texts = Object.entries(body).filter(([name]) => name === 'title' || name === 'description');
  return { ...body, ...Object.fromEntries(texts.map(([name, text]) => [name, trimmed(text)])) };
}

const present = (name: string, values: fc.Arbitrary<unknown>) =>
  fc.oneof(
    { weight: 1, arbitrary: fc.constant({}) },
    { weight: 19, arbitrary: values.map((one) => ({ [name]: one })) },
  );

/** An operation of a batch, or something like one. */
const operation = fc.oneof(
  {
    weight: 9,
    arbitrary: fc
      .tuple(
        present('op', fc.constantFrom('create', 'put', 'update', 'update', 'toggle', 'delete', 'restore', 'none', 1)),
        present('id', fc.oneof({ weight: 18, arbitrary: uuid }, almostUuid, otherTypes)),
        fc.oneof(
          { weight: 4, arbitrary: fc.constantFrom({}, { if_version: 0 }, { if_version: 7 }) },
          {
            weight: 1,
            arbitrary: fc.constantFrom(1.5, -1, 2 ** 53, '0', null).map((version) => ({ if_version: version })),
          },
        ),
        fc.oneof(
          bodyText.map((text) => Object(JSON.parse(text))),
          fc.record({ title: sound }),
        ),
      )
      .map(([op, id, version, body]): unknown => ({ ...body, ...version, ...id, ...op })),
  },
  { weight: 1, arbitrary: otherTypes },
);

const isText = (value: unknown) => typeof value === 'string';

/** Whether a body is not valid for a reason that no portable schema can express. */
function isBeyondSchemas({ title, description, ...rest }: Body, method: string): boolean {
  const texts = [title, description].filter(isText);
  if (texts.some((text) => !text.isWellFormed())) return true;
  return method !== 'post' && title === undefined && description === undefined && rest.is_completed === undefined;
}

function isOperationBeyondSchemas(operation: unknown): boolean {
  const body: Body = Object(operation);
  if (body.op === 'update') return isBeyondSchemas(body, 'patch');
  return (body.op === 'create' || body.op === 'put') && isBeyondSchemas(body, 'post');
}

describe('the OpenAPI schema', () => {
  let service: Service;
  let person: Person;
  let api: OpenApi;
  let withoutFlag: OpenApi;
  before(async () => {
    service = await startService(ANY_DATABASE);
    person = await service.person();
    api = await OpenApi.read(service.app);
    withoutFlag = await OpenApi.read(service.app, { unicodeRegExp: false });
  });
  after(() => service.close());

  for (const [method, path, accepted] of [
    ['post', '/api/tasks', 201],
    ['put', '/api/tasks/{task_id}', 200],
    ['patch', '/api/tasks/{task_id}', 200],
  ] as const) {
    test(`of ${method.toUpperCase()} ${path} accepts exactly the trimmed bodies that the service accepts`, async () => {
      const at = ['paths', path, method, 'requestBody', 'content', 'application/json', 'schema'];
      const valid = api.at(...at);
      const validWithoutFlag = withoutFlag.at(...at);
      const task = await person.create('x');
      const url = path.replace('{task_id}', task.id);
      const seen = { accepted: 0, refused: 0 };
      await fc.assert(
        fc.asyncProperty(bodyText, async (text) => {
          const answer = await person.send(method.toUpperCase(), url, text, { 'content-type': 'application/json' });
          const body = JSON.parse(text);
          const fits = valid(withTrimmedTexts(body)) && !isBeyondSchemas(body, method);
          assert.equal(answer.statusCode, fits ? accepted : 400, `${answer.body} ${JSON.stringify(valid.errors)}`);
          assert.ok(!valid(body) || valid(withTrimmedTexts(body)), 'valid only untrimmed');
          assert.equal(validWithoutFlag(body), valid(body), 'the u flag makes a difference');
          seen[fits ? 'accepted' : 'refused'] += 1;
        }),
        { numRuns: 800 },
      );
      assert.ok(seen.accepted > 80 && seen.refused > 80, `too few bodies of one kind: ${JSON.stringify(seen)}`);
    });
  }

  test('of a batch accepts exactly the trimmed operations that the service accepts', async () => {
    const valid = api.named('BatchOperation');
    const seen = { accepted: 0, refused: 0 };
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { minLength: 1, maxLength: 20 }), async (operations) => {
        const answer = await person.send('POST', '/api/batch', { operations });
        const { results } = answer.json<{ results: { status: number }[] }>();
        for (const [index, { status }] of results.entries()) {
          const one = operations[index];
          const fits = valid(withTrimmedTexts(one)) && !isOperationBeyondSchemas(one);
          assert.equal(status !== 400, fits, `${JSON.stringify(one)} ${JSON.stringify(valid.errors)}`);
          assert.ok(!valid(one) || valid(withTrimmedTexts(one)), 'valid only untrimmed');
          seen[fits ? 'accepted' : 'refused'] += 1;
        }
      }),
      { numRuns: 150 },
    );
    assert.ok(seen.accepted > 80 && seen.refused > 80, `too few operations of one kind: ${JSON.stringify(seen)}`);
  });

  test('of a text treats white space and invisible characters as the service does', async () => {
    const valid = api.named('TaskUpdate');
    const units = [...SPACES, ...NO_SPACES, '\0', '\t\t', '\ud83d\ude00', '\ufffe', '\u2800'];
    const task = await person.create('x');
    for (const unit of units) {
      for (const text of [unit, `${unit}x`, `x${unit}`, `x${unit}x`]) {
        for (const name of ['title', 'description']) {
          const body = { [name]: text };
          const answer = await person.send('PATCH', `/api/tasks/${task.id}`, body);
          assert.equal(answer.statusCode, valid(body) ? 200 : 400, JSON.stringify(body));
          assert.equal(withoutFlag.named('TaskUpdate')(body), valid(body), JSON.stringify(body));
        }
      }
    }
  });

  test('counts code points: 200 emoji are a title, 201 are not', async () => {
    for (const [title, status] of [
      ['😀'.repeat(200), 201],
      ['😀'.repeat(201), 400],
    ] as const) {
      assert.equal((await person.send('POST', '/api/tasks', { title })).statusCode, status);
      for (const document of [api, withoutFlag]) assert.equal(document.named('TaskCreate')({ title }), status === 201);
    }
  });

  test('cannot exclude lone surrogates and updates of unknown fields only; the service refuses both', async () => {
    const task = await person.create('x');
    for (const unit of LONE_SURROGATES) {
      for (const body of [{ title: `x${unit}` }, { description: unit }]) {
        assert.ok(api.named('TaskUpdate')(body));
        assert.equal((await person.send('PATCH', `/api/tasks/${task.id}`, body)).statusCode, 400);
      }
    }
    assert.ok(api.named('TaskUpdate')({ colour: 'red' }));
    assert.equal((await person.send('PATCH', `/api/tasks/${task.id}`, { colour: 'red' })).statusCode, 400);
  });

  for (const [method, path, body] of [
    ['get', '/api/tasks/{task_id}', undefined],
    ['put', '/api/tasks/{task_id}', { title: 'x' }],
    ['patch', '/api/tasks/{task_id}', { title: 'x' }],
    ['delete', '/api/tasks/{task_id}', undefined],
    ['post', '/api/tasks/{task_id}/toggle', undefined],
    ['post', '/api/tasks/{task_id}/restore', undefined],
  ] as const) {
    test(`of the task id of ${method.toUpperCase()} ${path} accepts what the service accepts`, async () => {
      const valid = api.at('paths', path, method, 'parameters', api.indexOf(path, method, 'task_id'), 'schema');
      await fc.assert(
        fc.asyncProperty(anyId, fc.boolean(), async (id, encodeDigit) => {
          fc.pre(id !== '.' && id !== '..');
          const url = path.replace('{task_id}', () => inPath(id, encodeDigit));
          const answer = await person.send(method.toUpperCase(), url, body);
          assert.equal(answer.statusCode, valid(id) ? 404 : 400, `${url} ${answer.body}`);
        }),
        { numRuns: 150 },
      );
    });
  }
});

/** Whether `pattern` matches `text`. @throws after `timeout` ms. */
function matches(pattern: string, flags: string, text: string, timeout: number): boolean {
  const context = createContext({ pattern, flags, text });
  return new Script('new RegExp(pattern, flags).test(text)').runInContext(context, { timeout }) as boolean;
}

describe('the patterns of the OpenAPI document', () => {
  const TIMEOUT_MS = 20_000;
  const LENGTH = 60_000; // about all that fits into a body

  test('match long text without catastrophic backtracking', async (t) => {
    const service = await startService(ANY_DATABASE);
    t.after(() => service.close());
    const { document } = await OpenApi.read(service.app);
    const patterns = new Set(schemasIn(document).flatMap(({ schema: { pattern } }) => pattern ?? []));
    assert.ok(patterns.size >= 2);
    const units = [' ', '\u3000', 'x', ' x', 'x ', ' \t', '😀', '😀 ', '0', 'a-', 'Z', '0000-'];
    units.push(`x${' '.repeat(999)}`);
    for (const pattern of patterns) {
      for (const unit of units) {
        const middle = unit.repeat(LENGTH / unit.length);
        for (const text of [`${middle}\0`, `x${middle}\0x`, `${middle}!`, ` ${middle.slice(0, 1999)}\0`]) {
          for (const flags of ['', 'u']) {
            const isOfText = pattern.includes('\\x00') && !text.includes('\0');
            assert.equal(matches(pattern, flags, text, TIMEOUT_MS), isOfText, pattern);
          }
        }
      }
    }
  });

  test('with catastrophic backtracking would fail this test', () => {
    assert.throws(() => matches('^(?:x+)+$', '', `${'x'.repeat(60)}!`, 50), { code: 'ERR_SCRIPT_EXECUTION_TIMEOUT' });
  });
});
