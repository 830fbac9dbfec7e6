// Puts beside the compiled program what it reads at run time: the migrations, and an empty database to start from.
import { createHash } from 'node:crypto';
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
const sources = new URL('../src/database/schema/migrations/', import.meta.url);
const migrations = new URL('schema/migrations/', target);

await rm(migrations, { recursive: true, force: true });
await cp(sources, migrations, { recursive: true });

const hash = createHash('sha256')
  .update(version)
  .update(await readFile(new URL(import.meta.url)));
for (const name of (await readdir(migrations)).sort())
  hash.update(name).update(await readFile(new URL(name, migrations)));
const wanted = hash.digest('hex');

/**
 * A database as the service leaves it, with the schema of all migrations, and without the databases that CREATE DATABASE
 * copies: two thirds of the files, which a first start would copy and flush.
 */
async function makeDatabase(draft) {
  await rm(template, { recursive: true, force: true });
  await mkdir(draft, { recursive: true });
  const pglite = await PGlite.create(fileURLToPath(draft));
  await pglite.exec('update pg_database set datistemplate = false');
  for (const name of ['template0', 'template1']) await pglite.exec(`drop database ${name}`);
  await pglite.close();
  await rename(draft, template);
  const { openEmbedded } = await import('../dist/database/embedded/embedded.js');
  const directory = new URL('embedded/template.data/', target);
  await rm(directory, { recursive: true, force: true });
  const fail = (error) => {
    throw error;
  };
  const database = await openEmbedded({ directory: fileURLToPath(directory), onWarning: console.warn, onFatal: fail });
  await database.close();
  await rm(template, { recursive: true });
  await rename(new URL('database/', directory), draft);
  await rm(directory, { recursive: true });
}

const made = await readFile(stamp, 'utf8').catch(() => '');
if (made !== wanted) {
  const draft = new URL('embedded/template.new/', target);
  await rm(draft, { recursive: true, force: true });
  await makeDatabase(draft);
  await chmod(draft, 0o755);
  for (const entry of await readdir(draft, { recursive: true, withFileTypes: true })) {
    await chmod(join(entry.parentPath, entry.name), entry.isDirectory() ? 0o755 : 0o644); // whoever serves may be another user
  }
  await rename(draft, template);
  await writeFile(stamp, wanted);
}
