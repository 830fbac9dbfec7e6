import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { RunningService, temporaryFolder } from '../support/process.ts';
import { SECRET, signToken, type Task } from '../support/service.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const JWT_SECRET = new TextDecoder().decode(SECRET);

/** The three places that docs/architecture.md names, and what a new field adds: lines after others, or a file. */
const PLACES = {
  'src/tasks/fields.ts': [
    [
      '  is_completed: isCompleted,\n',
      "  energy: z.enum(['low', 'high']).nullable().meta({ examples: [EXAMPLE.energy] }),\n",
    ],
  ],
  'src/tasks/example.ts': [['  is_completed: false,\n', "  energy: 'low',\n"]],
  'src/tasks/columns.ts': [
    ["  is_completed: { type: 'boolean', emptySql: 'false' },\n", "  energy: { type: 'text', emptySql: 'null' },\n"],
  ],
  'src/database/schema/migrations/': {
    file: '9000_energy.sql',
    text: "alter table todo.tasks add column energy text check (energy in ('low', 'high'));\n",
  },
} as const;

type EnergyTask = Task & { readonly energy: string | null };
type Schema = { readonly properties: object; readonly examples?: readonly Partial<EnergyTask>[] };

/** A copy of the program with the field. @returns the path of its `main.js`. */
function buildWithField(folder: string): string {
  for (const name of ['src', 'client', 'scripts', 'dist', 'package.json', 'tsconfig.json', 'tsconfig.build.json']) {
    const filter = (path: string) => !path.endsWith('/node_modules');
    cpSync(join(ROOT, name), join(folder, name), { recursive: true, filter });
  }
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  for (const [path, place] of Object.entries(PLACES)) {
    if ('file' in place) {
      writeFileSync(join(folder, path, place.file), place.text);
      continue;
    }
    let source = readFileSync(join(folder, path), 'utf8');
    for (const [after, line] of place) {
      assert.equal(source.split(after).length, 2, path);
      source = source.replace(after, after + line);
    }
    writeFileSync(join(folder, path), source);
  }
  const build = spawnSync('npm', ['run', 'build'], { cwd: folder, encoding: 'utf8' });
  assert.equal(build.status, 0, build.stdout + build.stderr);
  return join(folder, 'dist/main.js');
}

test('docs/architecture.md names the places to which a new field is added', () => {
  const page = readFileSync(join(ROOT, 'docs/architecture.md'), 'utf8');
  const section = /\*\*A field of a task\*\*(?<text>[\s\S]*?)(?=\n- \*\*|\n#)/.exec(page)?.groups?.text ?? '';
  const named = [...section.matchAll(/`(src\/[^`]+)`/g)].map(([, path]) => path);
  assert.deepEqual(named, Object.keys(PLACES));
});

describe('a program with one more field of a task', () => {
  const folder = temporaryFolder();
  const settings = { JWT_SECRET, DATA_DIR: join(folder.path, 'data') };
  let main = '';
  let old: Task;
  let service: RunningService;
  let origin = '';

  async function send(method: string, path: string, body?: object): Promise<{ status: number; json: unknown }> {
    const response = await fetch(`${origin}${path}`, {
      method,
      headers: { authorization: `Bearer ${await signToken('ann')}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, json: await response.json() };
  }

  async function start(program?: string, directory = settings.DATA_DIR): Promise<void> {
    service = new RunningService({ ...settings, DATA_DIR: directory }, folder.path, [], program);
    origin = await service.listening();
  }

  async function command(directory: string, args: readonly string[], program?: string): Promise<void> {
    const process = new RunningService({ ...settings, DATA_DIR: directory }, folder.path, args, program);
    assert.equal(await process.ended(), 0, process.stderr);
  }

  before(async () => {
    await start();
    old = (await send('POST', '/api/tasks', { title: 'old' })).json as Task;
    await command(settings.DATA_DIR, ['backup', 'old.ndjson']);
    await service.stop();
    main = buildWithField(join(folder.path, 'program'));
    await start(main);
  });
  after(async () => {
    await service.stop();
    folder.remove();
  });

  test('stores the field, answers it, validates it and documents it', async () => {
    assert.deepEqual((await send('GET', `/api/tasks/${old.id}`)).json, { ...old, energy: null });
    const created = await send('POST', '/api/tasks', { title: 'new', energy: 'high' });
    assert.equal(created.status, 201);
    const task = created.json as EnergyTask;
    assert.equal(task.energy, 'high');
    const lowered = (await send('PATCH', `/api/tasks/${task.id}`, { energy: 'low' })).json as EnergyTask;
    assert.deepEqual([lowered.energy, lowered.title], ['low', 'new']);
    const cleared = (await send('PUT', `/api/tasks/${task.id}`, { energy: null })).json as EnergyTask;
    assert.equal(cleared.energy, null);
    const refused = await send('PATCH', `/api/tasks/${task.id}`, { energy: 'none' });
    assert.equal(refused.status, 400);
    assert.deepEqual(
      (refused.json as { details: { field: string }[] }).details.map(({ field }) => field),
      ['energy'],
    );
    const { json } = await send('GET', '/openapi.json');
    const { schemas } = (json as { components: { schemas: Record<string, Schema> } }).components;
    for (const name of ['Task', 'TaskCreate', 'TaskUpdate']) {
      assert.ok(Object.keys(schemas[name]?.properties ?? {}).includes('energy'), name);
    }
    assert.equal(schemas.Task?.examples?.[0]?.energy, 'low');
  });

  test('backs the field up and restores it, also from a backup made before there was the field', async () => {
    await send('POST', '/api/tasks', { title: 'kept', energy: 'low' });
    const list = (await send('GET', '/api/tasks')).json;
    await command(settings.DATA_DIR, ['backup', 'new.ndjson'], main);
    const copy = join(folder.path, 'copy');
    await command(copy, ['restore', 'new.ndjson', '--move'], main);
    const older = join(folder.path, 'older');
    await command(older, ['restore', 'old.ndjson'], main);
    await service.stop();
    await start(main, copy);
    assert.deepEqual((await send('GET', '/api/tasks')).json, list);
    await service.stop();
    await start(main, older);
    const { tasks } = (await send('GET', '/api/tasks')).json as { tasks: Task[] };
    assert.ok((tasks[0]?.version ?? 0) > 2 ** 32);
    assert.deepEqual(tasks, [{ ...old, version: tasks[0]?.version, energy: null }]);
  });

  test('leaves a database that the program before refuses, and a backup that it refuses too', async () => {
    await service.stop();
    const before = new RunningService(settings, folder.path);
    assert.equal(await before.ended(), 1);
    assert.match(before.stderr, /migrated to version 9000 by a newer todo-api/);
    const elsewhere = { ...settings, DATA_DIR: join(folder.path, 'elsewhere') };
    const restore = new RunningService(elsewhere, folder.path, ['restore', 'new.ndjson']);
    assert.equal(await restore.ended(), 1);
    assert.match(restore.stderr, /new\.ndjson cannot be restored\. Line \d+: column "energy" .* does not exist/);
  });
});
