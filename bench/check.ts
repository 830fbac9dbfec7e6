import { type Api, type ApiRequest, type Operation, requestWriter } from './api.ts';
import { BIG_LIST, BIG_USER, CREATED_TITLE, pocketBaseUserId, TASKS_EACH, userId } from './data.ts';

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

/** @throws unless the server does the same work as all others: each kind of request, and some that must fail. */
export async function checkResponses(port: number, api: Api, secret: string): Promise<void> {
  const format = FORMATS[api.kind];
  const write = requestWriter(api, secret);
  async function send({ method, path, token, body }: ApiRequest, status: number): Promise<string> {
    const headers = { authorization: `Bearer ${token}`, ...(body && { 'content-type': 'application/json' }) };
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { method, headers, body });
    const text = await response.text();
    if (response.status === status) return text;
    throw new Error(`${method} ${path}: status ${response.status} instead of ${status}: ${text.slice(0, 200)}`);
  }
  const succeed = async (operation: Operation): Promise<Json> => {
    const request = write(operation);
    return JSON.parse(await send(request, request.status));
  };
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
    await send({ ...write(operation), token: write({ ...operation, user: other }).token }, 404);
  }
  const fields = { title: CREATED_TITLE, description: 'Two cartons' };
  expectTask(await succeed({ kind: 'create', user: other, fields }), other, format);

  const request = write(list);
  const { status, tasks } = format.unauthenticated;
  const wrongSignature = `${request.token.slice(0, -8)}AAAAAAAA`;
  const refused = await send({ ...request, token: wrongSignature }, status);
  if (tasks !== null) expectList(JSON.parse(refused), user, tasks, format);
}
