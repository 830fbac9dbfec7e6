import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { codeBlocks } from './support/code-blocks.ts';

/** The files are type-checked and run with the real packages by test/system/adapters.test.ts. */
const source = (name: string, file: string) =>
  readFileSync(new URL(`../client/adapters/test/pages/${name}/${file}`, import.meta.url), 'utf8');

for (const name of ['tanstack-db', 'rxdb', 'watermelondb']) {
  test(`the code of docs/clients/${name}.md is what its tests run`, () => {
    const blocks = codeBlocks(`clients/${name}.md`).map(({ path, text }) => [path, text]);
    const files = ['tasks.ts', 'example.ts'].map((file) => [`src/${file}`, source(name, file)]);
    assert.deepEqual(blocks, files);
  });
}
