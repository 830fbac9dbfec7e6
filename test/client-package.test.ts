import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { bundle } from './support/bundle.ts';
import { temporaryFolder } from './support/process.ts';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const SRC = join(ROOT, 'client/src');
const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
const source = (file: string) => readFileSync(join(SRC, file), 'utf8');
const run = promisify(execFile);

const MAX_BYTES = 12_000;

test('the client with mirror() and both storages is under 12 kB, minified and compressed', async () => {
  const code = await bundle(
    "export { createClient, mirror, indexedDbStorage, memoryStorage, changes, events, TodoApiError } from 'todo-api/client'",
  );
  const size = gzipSync(code, { level: 9 }).length;
  assert.ok(size < MAX_BYTES, `${size} bytes`);
});

test('a program that only calls the service carries no mirror', async () => {
  const code = await bundle("export { createClient } from 'todo-api/client'");
  assert.doesNotMatch(code, /indexedDB|BroadcastChannel|event-stream/);
  assert.match(code, /Idempotency-Key/);
});

test('the client imports nothing but its own files', () => {
  const foreign = files.flatMap((file) =>
    [...source(file).matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)]
      .map(([, specifier = '']) => specifier)
      .filter((specifier) => !specifier.startsWith('./') && !/^\.\.\/[\w-]+\.ts$/.test(specifier))
      .map((specifier) => `${file} imports ${specifier}`),
  );
  assert.deepEqual(foreign, []);
  const manifest: object = createRequire(import.meta.url)('../client/package.json');
  assert.ok(!('dependencies' in manifest));
});

test('no file of the client that is written by hand is past 300 lines', () => {
  assert.deepEqual(
    files.filter((file) => file !== 'api-types.ts' && source(file).split('\n').length > 301),
    [],
  );
});

test("the client's types are those of the service's OpenAPI document", async (t) => {
  const folder = temporaryFolder();
  t.after(folder.remove);
  const written = join(folder.path, 'api-types.ts');
  await run(process.execPath, [join(ROOT, 'scripts/client-types.mjs'), written]);
  assert.equal(source('api-types.ts'), readFileSync(written, 'utf8'), 'npm run client-types writes them');
});
