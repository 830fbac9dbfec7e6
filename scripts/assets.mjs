// Puts beside the compiled program what it reads at run time: the migrations, and an empty database to start from.
import { chmod, cp, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PGlite } from '@electric-sql/pglite';

const target = new URL('../dist/database/', import.meta.url);
const template = new URL('embedded/template/', target);
const stamp = new URL('embedded/template.version', target);
const { version } = JSON.parse(
  await readFile(new URL('../node_modules/@electric-sql/pglite/package.json', import.meta.url), 'utf8'),
);

await rm(new URL('schema/migrations/', target), { recursive: true, force: true });
await cp(new URL('../src/database/schema/migrations/', import.meta.url), new URL('schema/migrations/', target), {
  recursive: true,
});

const made = await readFile(stamp, 'utf8').catch(() => '');
if (made !== version) {
  const draft = new URL('embedded/template.new/', target);
  await rm(draft, { recursive: true, force: true });
  await rm(template, { recursive: true, force: true });
  await mkdir(draft, { recursive: true });
  const pglite = await PGlite.create(fileURLToPath(draft));
  await pglite.close();
  for (const entry of await readdir(draft, { recursive: true, withFileTypes: true })) {
    await chmod(join(entry.parentPath, entry.name), entry.isDirectory() ? 0o755 : 0o644); // whoever serves may be another user
  }
  await rename(draft, template);
  await writeFile(stamp, version);
}
