import { spawnSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { temporaryFolder } from './process.ts';

const ROOT = new URL('../../', import.meta.url).pathname;

/** A folder in which `files` can import the packages of this project, and `@/` is the folder. */
export function projectOf(files: Readonly<Record<string, string>>) {
  const folder = temporaryFolder();
  const compilerOptions = {
    ...{ target: 'es2022', lib: ['es2023', 'dom'], module: 'esnext', moduleResolution: 'bundler', types: ['node'] },
    ...{ strict: true, noEmit: true, skipLibCheck: true, paths: { '@/*': ['./*'] } },
  };
  symlinkSync(join(ROOT, 'node_modules'), join(folder.path, 'node_modules'));
  for (const [path, text] of Object.entries({
    'package.json': '{ "type": "module" }',
    'tsconfig.json': JSON.stringify({ compilerOptions }),
    ...files,
  })) {
    mkdirSync(dirname(join(folder.path, path)), { recursive: true });
    writeFileSync(join(folder.path, path), text);
  }
  return folder;
}

/** @returns what is wrong with the types of the project in `folder`, or an empty text. */
export function typeErrors(folder: string): string {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', folder, '--pretty', 'false'],
    { encoding: 'utf8' },
  );
  return status === 0 ? '' : `${stdout}${stderr}`;
}
