import { type Api, type ApiRequest, type Operation, requestWriter } from './api.ts';
import { BIG_LIST, BIG_USER, CREATED_TITLE, pocketBaseUserId, TASKS_EACH, taskId, userId } from './data.ts';

/** How the responses of an API differ. */
const FORMATS = {
  tasks: {
    list: 'tasks',
    owner: 'user_id',
    created: 'created_at',
    others: ['updated_at'],
    idOf: userId,
    /** The response to a list with an invalid token. */
    unauthenticated: { status: 401, tasks: null },
  },
  pocketbase: {
    list: 'items',
    owner: 'owner',
    created: 'created',
    others: ['updated', 'collectionId', 'collectionName'],
    idOf: pocketBaseUserId,
    unauthenticated: { status: 200, tasks: 0 },
  },
} as const;
type Format = (typeof FORMATS)[keyof typeof FORMATS];

type Json = Readonly<Record<string, unknown>>;

/** @throws unless `task` belongs to `user` and has the expected fields; this service adds some. */
function expectTask(task: Json, user: number, { owner, created, others, idOf }: Format): void {
  const expected = ['id', 'title', 'description', 'is_completed', owner, created, ...others];
  const missing = expected.filter((name) => !(name in task));
  if (missing.length > 0) throw new Error(`The task has no ${missing.join(', ')}`);
  if (task[owner] !== idOf(user)) throw new Error('The task belongs to another user');
}

/** @throws unless `list` has `length` tasks of `user`, newest first. */
function expectList(list: Json, user: number, length: number, format: Format): void {
  const tasks = list[format.list];
  if (!Array.isArray(tasks) || tasks.length !== length)
    throw new Error(`The response is not a list of ${length} tasks`);
  for (const task of tasks) expectTask(task, user, format);
  const times = tasks.map((task: Json) => Date.parse(String(task[format.created])));
  if (times.some((time, index) => time > (times[index - 1] ?? time))) throw new Error('The list is not newest first');
}

/** Sends requests to a server. */
function client(port: number, api: Api, secret: string) {
  const write = requestWriter(api, secret);
  /** @returns the body. @throws if the response has another status. */
  async function request({ method, path, token, known, body }: ApiRequest, status: number): Promise<string> {
    const headers = {
      authorization: `Bearer ${token}`,
      ...(known && { 'if-none-match': known }),
      ...(body && { 'content-type': 'application/json' }),
    };
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { method, headers, body });
    const text = await response.text();
    if (response.status === status) return text;
    throw new Error(`${method} ${path}: status ${response.status} instead of ${status}: ${text.slice(0, 200)}`);
  }
  const send = (operation: Operation) => request(write(operation), write(operation).status);
  return { write, request, send };
}

/** @throws unless the service answers an unchanged list, one change and a batch as they are to be. */
export async function checkSyncResponses(port: number, secret: string): Promise<void> {
  const { send } = client(port, { kind: 'tasks' }, secret);
  const user = 2;
  const nothing = await send({ kind: 'notModified', user });
  if (nothing !== '') throw new Error('The list is sent though it has not been modified');
  const { changes } = JSON.parse(await send({ kind: 'changes', user }));
  if (changes.length !== 1 || changes[0].id !== taskId(user, TASKS_EACH)) throw new Error('Not the one new change');
  const fields = [1, 2].map(() => ({ title: CREATED_TITLE, description: 'Two cartons' }));
  const { results } = JSON.parse(await send({ kind: 'batch', user: 1, fields }));
  for (const { status, task } of results) {
    if (status !== 201) throw new Error(`A create in a batch has status ${status}`);
    expectTask(task, 1, FORMATS.tasks);
  }
}

/** @throws unless the server does the same work as all others: each kind of request, and some that must fail. */
export async function checkResponses(port: number, api: Api, secret: string): Promise<void> {
  const format = FORMATS[api.kind];
  const { write, request: sendRequest, send: sendOperation } = client(port, api, secret);
  const succeed = async (operation: Operation): Promise<Json> => JSON.parse(await sendOperation(operation));
  const [user, other] = [0, 1];
  const list = { kind: 'list', user } as const;
  const single: readonly Operation[] = [
    { kind: 'get', user, task: 1 },
    { kind: 'update', user, task: 1, fields: { title: 'Buy oat milk', is_completed: true } },
    { kind: 'toggle', user, task: 1, is_completed: false },
  ];

  expectList(await succeed(list), user, TASKS_EACH, format);
  expectList(await succeed({ kind: 'list', user: BIG_USER }), BIG_USER, BIG_LIST, format);
  for (const operation of single) {
    expectTask(await succeed(operation), user, format);
    await sendRequest({ ...write(operation), token: write({ ...operation, user: other }).token }, 404);
  }
  const fields = { title: CREATED_TITLE, description: 'Two cartons' };
  expectTask(await succeed({ kind: 'create', user: other, fields }), other, format);

  const request = write(list);
  const { status, tasks } = format.unauthenticated;
  const wrongSignature = `${request.token.slice(0, -8)}AAAAAAAA`;
  const refused = await sendRequest({ ...request, token: wrongSignature }, status);
  if (tasks !== null) expectList(JSON.parse(refused), user, tasks, format);
}
