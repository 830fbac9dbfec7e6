import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { tsImport } from 'tsx/esm/api';
import { skipUnless } from '../support/requirements.ts';
import { POSTGRES_URL } from '../support/service.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const FOLDER = join(ROOT, 'client/adapters/test');
const STAMP = join(FOLDER, 'node_modules/.installed');
const TSCONFIG = join(FOLDER, 'tsconfig.json');

/** Installs what the adapters adapt to, unless it is there. @returns what went wrong, or null. */
function install(): string | null {
  const wanted = readFileSync(join(FOLDER, 'package-lock.json'), 'utf8');
  if (existsSync(STAMP) && readFileSync(STAMP, 'utf8') === wanted) return null;
  const npm = spawnSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: FOLDER,
    encoding: 'utf8',
    timeout: 300_000,
  });
  if (npm.status !== 0)
    return `The packages of client/adapters/test could not be installed: ${npm.error ?? npm.stderr}`;
  symlinkSync(ROOT, join(FOLDER, 'node_modules/todo-api'));
  symlinkSync(join(ROOT, 'client'), join(FOLDER, 'node_modules/todo-api-client'));
  writeFileSync(STAMP, wanted);
  return null;
}

const failure = POSTGRES_URL === null ? null : install();
const skip =
  skipUnless(POSTGRES_URL !== null, 'POSTGRES', 'TEST_DATABASE_URL is not set') ||
  skipUnless(failure === null, 'PACKAGES', failure ?? '');

test('the adapters and the code of their pages fit the types of the real packages', { skip }, () => {
  const { status, stdout } = spawnSync(
    process.execPath,
    [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', FOLDER, '--pretty', 'false'],
    { encoding: 'utf8' },
  );
  assert.equal(status, 0, stdout);
});

if (skip === false) {
  for (const name of ['tanstack-db', 'rxdb', 'watermelondb']) {
    await tsImport(join(FOLDER, `${name}.test.ts`), { parentURL: import.meta.url, tsconfig: TSCONFIG });
  }
}
