import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { CHANGES, FIELDS } from './support/fields.ts';
import { ANY_DATABASE, type Service, signToken, startService, type Task } from './support/service.ts';
import { exchange, listen, wire } from './support/socket.ts';
import { hmac, makeToken } from './support/tokens.ts';

const TASKS = '/api/tasks';
const JSON_TYPE = { 'Content-Type': 'application/json' };

/** A request with a good token, unless `headers` says otherwise. `ID` stands for a task, the other capitals for tokens. */
interface Mistake {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string | null>>;
  readonly body?: string;
}

type Said = readonly [status: number, code: string, ...hints: string[]];

const post = (body: string, headers: Mistake['headers'] = JSON_TYPE): Mistake => ({ method: 'POST', headers, body });
const change = (method: string, body: string): Mistake => ({
  method,
  path: `${TASKS}/ID`,
  headers: JSON_TYPE,
  body,
});
const token = (authorization: string | null): Mistake => ({ headers: { Authorization: authorization } });

const BEARER = 'Authorization: Bearer TOKEN';
const KNOWN = [...FIELDS, ...CHANGES].join(', ');

/** What a newcomer gets wrong, and what the response says they can do about it. */
const MISTAKES: Readonly<Record<string, readonly [Mistake, Said]>> = {
  'no token': [token(null), [401, 'UNAUTHORIZED', BEARER]],
  'a token without Bearer': [token('TOKEN'), [401, 'UNAUTHORIZED', BEARER]],
  'a token in quotes': [token('Bearer "TOKEN"'), [401, 'INVALID_TOKEN', 'malformed', 'without quotes']],
  'a token that is cut off': [token('Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIi'), [401, 'INVALID_TOKEN', 'send all of it']],
  'a token signed with another secret': [token('Bearer FORGED'), [401, 'INVALID_TOKEN', 'signature', 'JWT_SECRET']],
  'an expired token': [token('Bearer EXPIRED'), [401, 'TOKEN_EXPIRED', 'has expired', 'get a new token']],
  'a token without sub': [token('Bearer NOBODY'), [401, 'INVALID_TOKEN', 'sub missing', 'has to have this claim']],
  'two Authorization headers': [{ headers: { authorization: 'x' } }, [400, 'INVALID_REQUEST', 'must be sent once']],
  'a form as body': [
    post('title=x', { 'Content-Type': 'application/x-www-form-urlencoded' }),
    [400, 'INVALID_REQUEST', 'Content-Type must be application/json'],
  ],
  'no content type': [post('{"title":"x"}', {}), [400, 'INVALID_REQUEST', 'Content-Type must be application/json']],
  'another charset': [
    post('{"title":"x"}', { 'Content-Type': 'application/json; charset=iso-8859-1' }),
    [400, 'INVALID_REQUEST', 'UTF-8'],
  ],
  'single quotes in JSON': [post("{'title':'x'}"), [400, 'INVALID_REQUEST', 'not valid JSON', 'double quotes']],
  'no quotes in JSON': [post('{title:x}'), [400, 'INVALID_REQUEST', 'not valid JSON', 'double quotes']],
  'a trailing comma': [post('{"title":"x",}'), [400, 'INVALID_REQUEST', 'no comma after the last field']],
  'an empty body': [post(''), [400, 'INVALID_REQUEST', 'missing', 'send a JSON object']],
  'a list of tasks': [post('[{"title":"x"}]'), [400, 'INVALID_REQUEST', 'must be a JSON object']],
  'JSON within JSON': [post('"{\\"title\\":\\"x\\"}"'), [400, 'INVALID_REQUEST', 'must be a JSON object']],
  'no title': [post('{"name":"x"}'), [400, 'VALIDATION_ERROR', '"title"', 'Title is required']],
  'a number as title': [post('{"title":5}'), [400, 'VALIDATION_ERROR', '"title"', 'must be a string']],
  'is_completed in quotes': [
    post('{"title":"x","is_completed":"true"}'),
    [400, 'VALIDATION_ERROR', '"is_completed"', 'true or false, without quotes'],
  ],
  'PUT of nothing': [change('PUT', '{}'), [400, 'VALIDATION_ERROR', 'At least one field must be provided']],
  'completed instead of is_completed': [
    change('PATCH', '{"completed":true}'),
    [400, 'VALIDATION_ERROR', KNOWN, 'Ignored: completed'],
  ],
  'an id that is no UUID': [{ path: `${TASKS}/1` }, [400, 'VALIDATION_ERROR', '"task_id"', 'must be a UUID']],
  'an id of nothing': [{ path: `${TASKS}/00000000-0000-4000-8000-000000000000` }, [404, 'NOT_FOUND', 'Task not found']],
  'a path without /api': [{ path: '/tasks' }, [404, 'NOT_FOUND', 'did you mean /api/tasks?', '/docs']],
  'task in the singular': [{ path: '/api/task' }, [404, 'NOT_FOUND', 'did you mean /api/tasks?', '/docs']],
  'a version in the path': [{ path: '/api/v1/tasks/ID' }, [404, 'NOT_FOUND', 'did you mean /api/tasks?', '/docs']],
  'a route of another API': [{ path: '/login' }, [404, 'NOT_FOUND', 'at /api/tasks', 'at /docs']],
  'POST to a task': [
    { ...post('{"title":"x"}'), path: `${TASKS}/ID` },
    [405, 'METHOD_NOT_ALLOWED', 'This path has DELETE, GET, HEAD, OPTIONS, PATCH, PUT'],
  ],
  'PUT without an id': [
    { ...change('PUT', '{"title":"x"}'), path: TASKS },
    [405, 'METHOD_NOT_ALLOWED', 'This path has GET, HEAD, OPTIONS, POST'],
  ],
  'GET to toggle': [{ path: `${TASKS}/ID/toggle` }, [405, 'METHOD_NOT_ALLOWED', 'This path has OPTIONS, POST']],
  'POST of a batch to the tasks': [
    post('{"operations":[]}'),
    [400, 'VALIDATION_ERROR', '"title"', 'Title is required'],
  ],
  'a batch that is a list': [{ ...post('[]'), path: '/api/batch' }, [400, 'INVALID_REQUEST', 'must be a JSON object']],
  'a batch of one operation': [
    { ...post('{"op":"create","title":"x"}'), path: '/api/batch' },
    [400, 'VALIDATION_ERROR', '"operations"', 'must be an array'],
  ],
  'an operation that there is not': [
    { ...post('{"operations":[{"op":"remove","id":"ID"}],"atomic":true}'), path: '/api/batch' },
    [400, 'VALIDATION_ERROR', '"op"', 'must be one of create, put, update, toggle, delete, restore', '"index":0'],
  ],
  'completed instead of is_completed in a batch': [
    { ...post('{"operations":[{"op":"update","id":"ID","completed":true}],"atomic":true}'), path: '/api/batch' },
    [400, 'VALIDATION_ERROR', KNOWN, 'Ignored: completed'],
  ],
  'a cursor of their own': [{ path: '/api/changes?cursor=5' }, [400, 'VALIDATION_ERROR', '"cursor"', 'has given']],
  'since without an epoch': [{ path: '/api/changes?since=5' }, [400, 'VALIDATION_ERROR', '"epoch"', 'needs the epoch']],
  'a query against caches': [{ path: `${TASKS}?_=123` }, [400, 'VALIDATION_ERROR', '"_"', 'never cached']],
};

describe('a newcomer is told what to do about', () => {
  let service: Service;
  let port: number;
  let task: Task;
  const meant = new Map<string, string>();
  before(async () => {
    service = await startService(ANY_DATABASE, { config: { environment: 'development' } });
    port = await listen(service.app);
    const person = await service.person();
    task = await person.create('x');
    meant.set('ID', task.id).set('TOKEN', person.token);
    meant.set('EXPIRED', await signToken(person.sub, { exp: 1 }));
    meant.set('NOBODY', makeToken({ alg: 'HS256' }, { exp: 4_102_444_800 }));
    meant.set('FORGED', makeToken({ alg: 'HS256' }, { sub: 'x', exp: 4_102_444_800 }, hmac('HS256', 'another secret')));
  });
  after(() => service.close());

  const filled = (text: string) =>
    text.replace(/\b(?:ID|TOKEN|EXPIRED|NOBODY|FORGED)\b/, (name) => meant.get(name) ?? '');

  const make = async ({ method = 'GET', path = TASKS, headers = {}, body = '' }: Mistake) => {
    const length = body === '' && method === 'GET' ? {} : { 'Content-Length': String(Buffer.byteLength(body)) };
    const own = { Authorization: 'Bearer TOKEN', Connection: 'close', ...length, ...headers };
    const sent = Object.entries(own).map(([name, value]) => [name, value === null ? null : filled(value)]);
    const [answer, ...more] = await exchange(port, wire(method, filled(path), Object.fromEntries(sent), body));
    assert.ok(answer !== undefined && more.length === 0);
    return answer;
  };

  for (const [what, [mistake, [status, code, ...hints]]] of Object.entries(MISTAKES)) {
    test(what, async () => {
      const answer = await make(mistake);
      assert.deepEqual([answer.statusCode, JSON.parse(answer.body).code], [status, code], answer.body);
      const said = answer.body.replaceAll('\\"', '"');
      for (const hint of hints) assert.ok(said.includes(hint), `${hint} is not in ${said}`);
    });
  }

  test('a body of a GET, which is ignored', async () => {
    const body = '{"title":"y"}';
    const answer = await make({ headers: { ...JSON_TYPE, 'Content-Length': String(body.length) }, body });
    assert.deepEqual(JSON.parse(answer.body), { tasks: [task] });
  });
});
