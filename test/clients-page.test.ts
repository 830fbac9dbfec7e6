import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { tsImport } from 'tsx/esm/api';
import { codeBlock, codeBlocks, replaceOnce } from './support/code-blocks.ts';
import { projectOf, typeErrors } from './support/project.ts';
import { skipUnless } from './support/requirements.ts';
import {
  ANY_DATABASE,
  type Person,
  SECRET,
  type Service,
  signToken,
  startService,
  type Task,
} from './support/service.ts';
import { listen } from './support/socket.ts';

const LOCAL = 'http://127.0.0.1:8000';
const run = promisify(execFile);

/** What the block `lib/todo-api.ts` exports. */
interface Client {
  list(): Promise<Task[]>;
  get(id: string): Promise<Task>;
  create(task: object): Promise<Task>;
  update(id: string, change: object): Promise<Task>;
  toggle(id: string): Promise<Task>;
  remove(id: string): Promise<{ message: string; id: string }>;
  forgetUser(): void;
}
interface ClientModule {
  readonly todoApi: (baseUrl: string, getToken: () => Promise<string>) => Client;
  readonly TodoApiError: new (...values: never[]) => Error;
}

/** What the block `app/api/todo-token/route.ts` exports. */
interface TokenRoute {
  GET(request: Request): Promise<Response>;
}

/** A promise that others settle. */
function gate() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = () => resolve();
  });
  return { opened, open };
}

/** Who is signed in to a front end, and the tokens it was given. */
class SignIn {
  user: string;
  tokens = 0;
  claims = {};
  beforeToken: () => Promise<void> = async () => {};

  constructor(user: string) {
    this.user = user;
  }

  readonly getToken = async () => {
    this.tokens += 1;
    if (this.tokens > 20) throw new Error('The client fetches tokens without end');
    const { user, claims } = this;
    await this.beforeToken();
    return signToken(user, claims);
  };
}

const newName = (name: string) => `${name}_${randomBytes(6).toString('hex')}`;

/** Imports a TypeScript file of `folder`. */
const load = (folder: string, path: string) =>
  tsImport(join(folder, path), { parentURL: import.meta.url, tsconfig: join(folder, 'tsconfig.json') });

describe('the code in docs/clients.md', () => {
  let service: Service;
  let base: string;
  before(async () => {
    service = await startService(ANY_DATABASE);
    base = `http://127.0.0.1:${await listen(service.app)}`;
  });
  after(() => service.close());

  test('type-checks: every file that it names, and the example of its use', (t) => {
    const files: Record<string, string> = {};
    for (const { path, text } of codeBlocks()) {
      if (path !== null) files[path in files ? path.replace('.ts', '-2.ts') : path] = text;
    }
    assert.deepEqual(Object.keys(files).sort(), [
      ...['app/api/todo-token/route.ts', 'lib/auth.ts', 'lib/todo-api.ts', 'lib/token-2.ts', 'lib/token.ts'],
    ]);
    const imports = "import { todoApi } from './todo-api';\nimport { authClient, getToken } from './token-2';\n";
    const folder = projectOf({ ...files, 'lib/use.ts': imports + codeBlock('ts', 'api.forgetUser();') });
    t.after(folder.remove);
    assert.equal(typeErrors(folder.path), '');
  });

  describe('todoApi', () => {
    const folder = projectOf({ 'lib/todo-api.ts': codeBlock('ts', '// lib/todo-api.ts') });
    let client: ClientModule;
    before(async () => {
      client = await load(folder.path, 'lib/todo-api.ts');
    });
    after(folder.remove);

    /** A client of the service at which `user` is signed in. */
    const open = (user = newName('user')) => {
      const signIn = new SignIn(user);
      return { signIn, api: client.todoApi(base, signIn.getToken) };
    };

    test('calls every route of a task', async () => {
      const { signIn, api } = open();
      const task = await api.create({ title: '🥛 Buy oat milk' });
      assert.deepEqual([task.title, task.user_id], ['🥛 Buy oat milk', signIn.user]);
      assert.deepEqual(await api.list(), [task]);
      assert.deepEqual(await api.get(task.id), task);
      assert.equal((await api.update(task.id, { description: 'Two' })).description, 'Two');
      assert.equal((await api.toggle(task.id)).is_completed, true);
      assert.deepEqual(await api.remove(task.id), { message: 'Task deleted successfully', id: task.id });
      assert.deepEqual(await api.list(), []);
      assert.equal(signIn.tokens, 1);
    });

    test('fetches one token for five concurrent first calls', async () => {
      const { signIn, api } = open();
      const titles = ['1', '2', '3', '4', '5'];
      const tasks = await Promise.all(titles.map((title) => api.create({ title })));
      assert.deepEqual(
        tasks.map(({ title }) => title),
        titles,
      );
      assert.equal(signIn.tokens, 1);
    });

    test('fetches a new token once if five concurrent calls are rejected with 401', async () => {
      const { signIn, api } = open();
      signIn.claims = { exp: 1 };
      signIn.beforeToken = async () => {
        signIn.claims = {};
      };
      await Promise.all(Array.from({ length: 5 }, () => api.list()));
      assert.equal(signIn.tokens, 2);
    });

    test('repeats a call once if the new token is rejected too, and asks for another at the next call', async () => {
      const { signIn, api } = open();
      signIn.claims = { exp: 1 };
      const expired = {
        name: 'Error',
        status: 401,
        code: 'TOKEN_EXPIRED',
        message: 'Authentication token has expired',
      };
      await assert.rejects(api.list(), expired);
      assert.equal(signIn.tokens, 2);
      signIn.claims = {};
      assert.deepEqual(await api.list(), []);
      assert.equal(signIn.tokens, 3);
    });

    test('rejects with the status, code, message and details of the service', async () => {
      const { api } = open();
      await assert.rejects(api.create({ title: ' ' }), (error) => {
        assert.ok(error instanceof client.TodoApiError);
        const details = [{ field: 'title', message: 'Title cannot be empty' }];
        assert.deepEqual({ ...error }, { status: 400, code: 'VALIDATION_ERROR', details });
        assert.equal(error.message, 'Validation failed');
        return true;
      });
      const unknown = { status: 404, code: 'NOT_FOUND', message: 'Task not found' };
      await assert.rejects(api.get('00000000-0000-4000-8000-000000000000'), unknown);
    });

    test('tries again after a token could not be fetched', async () => {
      const { signIn, api } = open();
      signIn.beforeToken = () => Promise.reject(new Error('Not signed in'));
      await assert.rejects(Promise.all([api.list(), api.list()]), /Not signed in/);
      signIn.beforeToken = async () => {};
      assert.deepEqual(await api.list(), []);
    });

    for (const moment of ['while the token is fetched', 'before the request is sent', 'when the response arrives']) {
      test(`gives nobody the former user's tasks if the user changes ${moment}`, async (t) => {
        const [ann, bob] = [await service.person(newName('ann')), await service.person(newName('bob'))];
        await ann.create("Ann's");
        await bob.create("Bob's");
        const { signIn, api } = open(ann.sub);
        const [reached, released] = [gate(), gate()];
        const hold = async (at: string) => {
          if (at !== moment) return;
          reached.open();
          await released.opened;
        };
        signIn.beforeToken = () => hold('while the token is fetched');
        const { fetch } = globalThis;
        t.mock.method(globalThis, 'fetch', async (...request: Parameters<typeof fetch>) => {
          await hold('before the request is sent');
          const response = await fetch(...request);
          await hold('when the response arrives');
          return response;
        });
        const late = assert.rejects(api.list(), { name: 'AbortError' });
        await reached.opened;
        signIn.user = bob.sub;
        signIn.beforeToken = async () => {};
        api.forgetUser();
        const lists = [api.list(), api.list()];
        released.open();
        await late;
        lists.push(api.list());
        for (const list of await Promise.all(lists)) {
          assert.deepEqual(
            list.map(({ title }) => title),
            ["Bob's"],
          );
        }
        assert.equal(signIn.tokens, 2);
      });
    }
  });

  test('the Next.js route signs a token that the service accepts, for the user of the session alone', async (t) => {
    const session =
      'type Asked = { headers: Headers };\n' +
      'const userOf = (id: string | null) => (id === null ? null : { user: { id, email: id } });\n' +
      "export const auth = { api: { getSession: async ({ headers }: Asked) => userOf(headers.get('cookie')) } };\n";
    const route = codeBlock('ts', '// app/api/todo-token/route.ts');
    const folder = projectOf({ 'app/api/todo-token/route.ts': route, 'lib/auth.ts': session });
    t.after(folder.remove);
    const before = process.env.JWT_SECRET;
    process.env.JWT_SECRET = new TextDecoder().decode(SECRET);
    const { GET }: TokenRoute = await load(folder.path, 'app/api/todo-token/route.ts').finally(() => {
      if (before === undefined) delete process.env.JWT_SECRET;
      else process.env.JWT_SECRET = before;
    });
    const url = 'http://localhost:3000/api/todo-token';
    assert.equal((await GET(new Request(url))).status, 401);
    const cookie = newName('ann');
    const response = await GET(new Request(url, { headers: { cookie } }));
    assert.equal(response.headers.get('cache-control'), 'no-store');
    const { token }: { token: string } = JSON.parse(await response.text());
    const created = await fetch(`${base}/api/tasks`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: '{"title":"x"}',
    });
    assert.equal(created.status, 201);
    assert.equal((await service.person(cookie).then((person) => person.list())).length, 1);
  });

  const isInstalled = (program: string) => spawnSync(program, ['--version']).status === 0;

  describe('for a user with a task', () => {
    let person: Person;
    let task: Task;
    before(async () => {
      person = await service.person();
      task = await person.create('Old');
    });
    const titles = async () => (await person.list()).map(({ title, is_completed }) => [title, is_completed]);

    test('the curl commands list, create, complete, toggle and delete', {
      skip: skipUnless(isInstalled('curl') && isInstalled('bash'), 'CURL', 'curl or bash is not installed'),
    }, async () => {
      const block = codeBlock('sh', 'curl -X POST');
      const settings = replaceOnce(replaceOnce(block, 'eyJ…', person.token), LOCAL, base);
      const script = settings.replaceAll('\ncurl ', '\ncurl --silent --show-error --fail-with-body -w "\\n" ');
      const { stdout } = await run('bash', ['-euo', 'pipefail', '-c', script], {
        env: { PATH: process.env.PATH, ID: task.id },
      });
      const answers = stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
      assert.equal(answers.length, 5);
      const [list, created, completed, toggled, deleted] = answers;
      assert.deepEqual(list, { tasks: [task] });
      assert.equal(created.title, 'Buy oat milk');
      assert.deepEqual([completed.is_completed, toggled.is_completed], [true, false]);
      assert.equal(deleted.id, task.id);
    });

    test('the Python class creates, toggles, lists, and raises an error with its code', {
      skip: skipUnless(isInstalled('python3'), 'PYTHON', 'python3 is not installed'),
    }, async () => {
      const block = codeBlock('python', 'class TodoApi:');
      const program = replaceOnce(replaceOnce(block, 'eyJ…', person.token), LOCAL, base);
      const faulty =
        'try:\n    api.call("POST", "/api/tasks", {"title": ""})\n' +
        'except TodoApiError as error:\n    print(error, error.status, error.code, error.details)\n';
      const before = await titles();
      const { stdout } = await run('python3', ['-c', program + faulty], { env: { PATH: process.env.PATH } });
      assert.match(stdout, /^400 VALIDATION_ERROR: Validation failed 400 VALIDATION_ERROR \[\{'field': 'title'/m);
      assert.deepEqual(await titles(), [['Buy oat milk', true], ...before]);
    });
  });
});
