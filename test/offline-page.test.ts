import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { codeBlock, codeBlocks, replaceOnce } from './support/code-blocks.ts';
import { temporaryFolder } from './support/process.ts';
import { skipUnless } from './support/requirements.ts';
import { ANY_DATABASE, type Person, type Service, startService } from './support/service.ts';
import { listen } from './support/socket.ts';

const ROOT = new URL('../', import.meta.url).pathname;
const PAGE = 'offline.md';
const run = promisify(execFile);
const block = (language: string, part: string) => codeBlock(language, part, PAGE);

const TODOS = block('ts', '// lib/todos.ts');
const CONFLICTS = block('ts', '// lib/conflicts.ts');
const USE = block('ts', 'todos.subscribe');
const SIGN_OUT = block('ts', 'todos.clear()');
const CALLS = block('ts', 'client.batch');
const FEED = block('ts', 'of events(client');
const INSTALL = block('sh', 'npm install');
const CURL = block('sh', 'Idempotency-Key');

describe('docs/offline.md', () => {
  let service: Service;
  let url = '';
  let person: Person;
  before(async () => {
    service = await startService(ANY_DATABASE);
    url = `http://127.0.0.1:${await listen(service.app)}`;
  });
  after(() => service.close());

  /** A project beside the repository in which the page's command has installed the client. */
  async function project(context: TestContext, program: string): Promise<string> {
    person = await service.person(`user_${randomBytes(6).toString('hex')}`);
    const folder = temporaryFolder();
    context.after(folder.remove);
    symlinkSync(ROOT, join(folder.path, 'todo-api'));
    const app = join(folder.path, 'app');
    const compilerOptions = {
      ...{ target: 'es2022', lib: ['es2023', 'dom'], module: 'esnext', moduleResolution: 'bundler' },
      ...{ types: ['node'], typeRoots: [join(ROOT, 'node_modules/@types')] },
      ...{ strict: true, noEmit: true, skipLibCheck: false, allowImportingTsExtensions: true },
    };
    for (const [path, text] of Object.entries({
      'package.json': '{ "type": "module", "private": true }',
      'tsconfig.json': JSON.stringify({ compilerOptions }),
      'lib/token.ts': `export const getToken = async () => '${person.token}';\n`,
      'lib/todos.ts': TODOS,
      'lib/conflicts.ts': CONFLICTS,
      'program.ts': program,
    })) {
      mkdirSync(dirname(join(app, path)), { recursive: true });
      writeFileSync(join(app, path), text);
    }
    const install = INSTALL.trim().replace('npm install', 'npm install --offline --no-audit --no-fund --no-save');
    await run('sh', ['-c', install], { cwd: app });
    return app;
  }

  const given = () => `const url: string = '${url}';\nconst user: string = '${person.sub}';\n`;

  /** Type-checks the project and runs its program, in which IndexedDB is replaced by memory. @returns what it printed. */
  async function output(app: string): Promise<string> {
    const program = join(app, 'program.ts');
    writeFileSync(program, given() + readFileSync(program, 'utf8'));
    await run(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', app, '--pretty', 'false']).catch(
      ({ stdout }: { stdout: string }) => assert.fail(stdout),
    );
    const todos = join(app, 'lib/todos.ts');
    writeFileSync(todos, TODOS.replaceAll('indexedDbStorage', 'memoryStorage'));
    const { stdout } = await run(process.execPath, ['--import', 'tsx', program], { cwd: ROOT });
    return stdout;
  }

  const IMPORTS = "import { changes, createClient, events, TodoApiError } from 'todo-api-client';\n";

  test('has no other snippets than those that are run here', () => {
    assert.deepEqual(
      codeBlocks(PAGE)
        .map(({ text }) => text)
        .sort(),
      [TODOS, CONFLICTS, USE, SIGN_OUT, CALLS, FEED, INSTALL, CURL].sort(),
    );
  });

  test('opens the copy, writes, reads and signs out', async (t) => {
    const wait = `await new Promise<void>((done) => {
      const look = () => { if (todos.status === 'live' && todos.pending().length === 0) done(); };
      todos.subscribe(look); look();
    });\n`;
    const app = await project(t, `import { openTodos } from './lib/todos.ts';\n${USE}${wait}stop();\n${SIGN_OUT}`);
    assert.match(await output(app), /^live 1 tasks, 0 to be sent$/m);
    assert.deepEqual(
      (await person.list()).map(({ title, description, is_completed }) => [title, description, is_completed]),
      [['Buy oat milk', 'Two cartons', true]],
    );
  });

  test('merges a title that was changed on both sides', async (t) => {
    const app = await project(
      t,
      `import { createClient, type Conflict } from 'todo-api-client';
      import { onConflict } from './lib/conflicts.ts';
      import { getToken } from './lib/token.ts';
      const task = await createClient({ url, user, token: getToken }).create({ title: 'Theirs' });
      const write = { type: 'task', kind: 'update', id: task.id, base: 0, at: '', refusal: null, seq: 1 } as const;
      const refused = { status: 412, code: '', message: 'Changed', details: [], current: task };
      const ask = (fields: Conflict['write']['fields'], rest: Partial<Conflict> = {}) =>
        onConflict({ ...refused, ...rest, write: { ...write, fields } });
      console.log(JSON.stringify([ask({ title: 'Mine' }), ask({ is_completed: true }), ask({}, { status: 404, current: null })]));`,
    );
    assert.match(await output(app), /\[\{"fields":\{"title":"Theirs \/ Mine"\}\},"mine","theirs"\]/);
  });

  test('calls, and feeds a store', async (t) => {
    const app = await project(t, `${IMPORTS}import { getToken } from './lib/token.ts';\n${CALLS}${FEED}`);
    const printed = await output(app);
    assert.match(printed, /^\[ 200, 201 \]$/m);
    assert.match(printed, /Call Bob$/m);
    assert.match(printed, /and that is all for now$/m);
  });

  const isInstalled = (program: string) => spawnSync(program, ['--version']).status === 0;

  test('does the same with curl', {
    skip: skipUnless(['curl', 'bash', 'python3'].every(isInstalled), 'CURL', 'curl, bash or python3 is not installed'),
  }, async () => {
    person = await service.person(`user_${randomBytes(6).toString('hex')}`);
    const quiet = CURL.replaceAll('curl ', 'curl --silent --show-error --fail-with-body -w "\\n" ');
    const script = replaceOnce(quiet, '-N --max-time 1', '-N --max-time 2');
    const { stdout } = await run('bash', ['-euo', 'pipefail', '-c', script], {
      env: { PATH: process.env.PATH, TOKEN: person.token, API: url },
    });
    const [created, completed, page, ...stream] = stdout.split('\n');
    assert.equal(JSON.parse(created ?? '').version, 1);
    assert.equal(JSON.parse(completed ?? '').is_completed, true);
    assert.equal(JSON.parse(page ?? '').changes.length, 1);
    assert.match(stream.join('\n'), /event: change[\s\S]*event: synced/);
  });
});
