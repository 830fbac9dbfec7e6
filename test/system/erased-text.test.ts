import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { test } from 'node:test';
import { asAdmin, type DatabaseKind, onEachDatabase, type Service, type Task } from '../support/service.ts';
import { statement } from '../support/statements.ts';

/** The relations of PostgreSQL, system tables and TOAST included, whose files contain `text`. */
async function relationsWith(url: string, text: string): Promise<string[]> {
  const { rows } = await asAdmin(
    url,
    `select oid::regclass::text as name from pg_class
     where pg_relation_filepath(oid) is not null
       and position('${text}'::bytea in pg_read_binary_file(pg_relation_filepath(oid), 0, 1000000000, true)) > 0`,
  );
  return rows.map(({ name }) => String(name));
}

/** The files of the embedded database that contain `text`; the WAL apart. */
function filesWith(folder: string, text: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => !name.includes('pg_wal'))
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile() && readFileSync(path).includes(text))
    .map((path) => relative(folder, path));
}

/** A plain vacuum leaves the bytes of old row versions in the free space of a page until that is used again. */
const VACUUM = 'vacuum (full, analyze) todo.users, todo.tasks, todo.task_words, todo.replies';

/** Where `text` is, after a vacuum and a checkpoint. */
async function placesOf({ opened }: Service, kind: DatabaseKind, text: string): Promise<string[]> {
  if (kind === 'postgres') {
    for (const sql of [VACUUM, 'checkpoint']) await asAdmin(opened.place, sql);
    return relationsWith(opened.place, text);
  }
  for (const sql of [VACUUM, 'checkpoint']) {
    await opened.database.transaction({ kind: 'login-role' }, [statement(sql)]);
  }
  return filesWith(opened.place, text);
}

onEachDatabase('text that is deleted for good', (service, kind) => {
  test('is in no table file after a vacuum and a checkpoint, replies to retries and statistics included', async () => {
    const person = await service().person();
    const text = `needle-${randomBytes(8).toString('hex')}`;
    const body = { title: text, description: `${text} ${randomBytes(900).toString('hex')}` };
    const send = (method: string, path: string, payload?: unknown, headers = {}) =>
      person.send(method, `/api/${path}`, payload, { 'idempotency-key': randomUUID(), ...headers });
    const created = await Promise.all(Array.from({ length: 20 }, () => send('POST', 'tasks', body)));
    const ids = created.map((answer) => answer.json<Task>().id);
    for (const id of ids) {
      assert.equal((await send('POST', `tasks/${id}/toggle`)).statusCode, 200);
      assert.equal((await send('PATCH', `tasks/${id}`, { title: 'x' }, { 'if-match': '"1"' })).statusCode, 412);
      await send('POST', 'batch', { operations: [{ op: 'update', id, description: `${text} again` }] });
    }
    await send('DELETE', `tasks/${ids[0]}`);
    const others = await Promise.all(Array.from({ length: 20 }, (_, at) => person.create(`kept ${at}`)));
    assert.ok((await placesOf(service(), kind, text)).length >= 2, 'it cannot be found where it must be');
    for (const id of ids) assert.equal((await send('DELETE', `tasks/${id}?permanent=true`)).statusCode, 200);
    assert.deepEqual(await placesOf(service(), kind, text), []);
    assert.equal((await person.list()).length, others.length);
  });
});
