import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  cpSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { type EmbeddedDatabase, openEmbedded } from '../../dist/database/embedded/embedded.js';
import { HttpClient } from '../support/http-client.ts';
import { RunningService, temporaryFolder } from '../support/process.ts';
import { signToken } from '../support/service.ts';
import { runAs } from '../support/statements.ts';

const DIST = new URL('../../dist/', import.meta.url).pathname;
const JWT_SECRET = 'test-secret-of-more-than-thirty-two-bytes';
const DAMAGED = /Database files in DATA_DIR are damaged: restore a backup/;
const NOBODY = 65_534;
const PAGE_BYTES = 8_192;

const folder = temporaryFolder();
/** A directory with a database of two tasks. */
const used = join(folder.path, 'used');
let paths = 0;

function newPath(): string {
  paths += 1;
  return join(folder.path, `directory-${paths}`);
}

function put(directory: string, names: readonly string[]): void {
  for (const name of names) {
    mkdirSync(dirname(join(directory, name)), { recursive: true });
    writeFileSync(join(directory, name), '17\n');
  }
}

/** Names, sizes and modes of everything in `directory`. */
const look = (directory: string) =>
  readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((name) => {
      const { size, mode, uid } = lstatSync(join(directory, name));
      return `${name} ${size} ${mode} ${uid}`;
    });

const open = (directory: string) =>
  openEmbedded({ directory, onWarning: () => undefined, onFatal: (error) => assert.fail(error) });

const readTitles = async (database: EmbeddedDatabase) =>
  (await runAs(database, 'ann', 'select title from todo.tasks order by user_id, id')).flat();

/** Opens `directory`, reads the titles of all tasks, and closes it. */
async function titlesIn(directory: string): Promise<unknown[]> {
  const database = await open(directory);
  return readTitles(database).finally(() => database.close());
}

before(async () => {
  const database = await open(used);
  await runAs(database, 'ann', `insert into todo.users (id) values ('ann')`);
  const insert = `insert into todo.tasks (user_id, id, title)
    select 'ann', ('00000000-0000-4000-8000-00000000000' || n)::uuid, 'task ' || n from generate_series(1, 2) as n`;
  await runAs(database, 'ann', insert);
  await database.close();
});
after(() => folder.remove());

function copyOfUsed(change: (directory: string) => void): string {
  const directory = newPath();
  cpSync(used, directory, { recursive: true });
  change(directory);
  return directory;
}

describe('a data directory that is served', () => {
  test('without a database, with dot files, lost+found and remains of an interrupted start: one is made', async () => {
    const directory = newPath();
    put(directory, [
      '.gitkeep',
      'lost+found/x',
      'jwt-secret',
      'database.new.77/PG_VERSION',
      'reserve',
      'operator.sock',
    ]);
    assert.deepEqual(await titlesIn(directory), []);
    assert.deepEqual(readdirSync(directory).sort(), [
      '.gitkeep',
      'database',
      'database.made',
      'jwt-secret',
      'lost+found',
    ]);
  });

  test('made by version 0.1, with other files beside: its tasks are there, and the other files stay', async () => {
    const directory = copyOfUsed((path) => {
      rmSync(join(path, 'database.made'));
      put(path, ['reserve', 'operator.sock', 'notes.txt', 'backup.ndjson']);
    });
    assert.deepEqual(await titlesIn(directory), ['task 1', 'task 2']);
    assert.deepEqual(readdirSync(directory).sort(), ['backup.ndjson', 'database', 'database.made', 'notes.txt']);
  });

  test('made from a program that may only be read: its files may be written', async () => {
    const program = newPath();
    cpSync(DIST, program, { recursive: true });
    put(folder.path, ['package.json']);
    writeFileSync(join(folder.path, 'package.json'), '{"type":"module"}');
    symlinkSync(join(DIST, '../node_modules'), join(folder.path, 'node_modules'));
    const all = readdirSync(program, { recursive: true, encoding: 'utf8' }).map((name) => join(program, name));
    for (const path of all) chmodSync(path, lstatSync(path).isDirectory() ? 0o555 : 0o444);
    const directory = newPath();
    const service = new RunningService({ DATA_DIR: directory, JWT_SECRET }, folder.path, [], join(program, 'main.js'));
    await new HttpClient(await service.listening(), await signToken('ann')).create('x');
    assert.equal(await service.stop(), 0);
    const modes = readdirSync(join(directory, 'database'), { recursive: true, encoding: 'utf8' }).map((name) => {
      const { mode } = lstatSync(join(directory, 'database', name));
      return mode & 0o777;
    });
    for (const mode of modes) assert.equal(mode & 0o600, 0o600, mode.toString(8));
    for (const path of all) if (lstatSync(path).isDirectory()) chmodSync(path, 0o755);
  });
});

describe('a data directory that is refused, and left as it is', () => {
  const refused: readonly (readonly [what: string, make: () => string, message: RegExp])[] = [
    [
      'other files and no database, as a home or project folder',
      () => {
        const directory = newPath();
        put(directory, ['.profile', 'a.txt', 'b/c.txt', 'd.txt', 'e.txt']);
        return directory;
      },
      /has no database, but other files \(a\.txt, b, d\.txt, …\), .*: set DATA_DIR to a new or empty directory/,
    ],
    [
      'a backup and no database',
      () => {
        const directory = newPath();
        put(directory, ['all.ndjson']);
        return directory;
      },
      /has no database, but other files \(all\.ndjson\)/,
    ],
    [
      "a PostgreSQL server's files",
      () => {
        const directory = newPath();
        put(directory, ['PG_VERSION', 'base/5/1', 'global/pg_control']);
        return directory;
      },
      /has the files of a PostgreSQL server: set DATABASE_URL/,
    ],
    [
      'a folder "database" of something else',
      () => {
        const directory = newPath();
        put(directory, ['database/migrations/1.sql']);
        return directory;
      },
      /has a folder "database" that is no database \(migrations\): remove it if it is not needed, or set DATA_DIR/,
    ],
    [
      'an empty folder "database"',
      () => {
        const directory = newPath();
        mkdirSync(join(directory, 'database'), { recursive: true });
        return directory;
      },
      /has a folder "database" that is no database \(empty\)/,
    ],
    [
      'a file in place of the directory',
      () => {
        put(folder.path, ['a-file']);
        return join(folder.path, 'a-file');
      },
      /DATA_DIR .*a-file is not a directory: set DATA_DIR to a new or empty directory/,
    ],
    [
      'a file in place of "database"',
      () => {
        const directory = newPath();
        put(directory, ['database']);
        return directory;
      },
      /is a file, not a folder/,
    ],
    ...(
      [
        [
          'a database of which only database.made is left',
          (path) => rmSync(path, { recursive: true }),
          /lost its database/,
        ],
        ['a database without PG_VERSION', (path) => rmSync(join(path, 'PG_VERSION')), DAMAGED],
        ['a database with an empty PG_VERSION', (path) => truncateSync(join(path, 'PG_VERSION')), DAMAGED],
        ['a database without pg_notify', (path) => rmSync(join(path, 'pg_notify'), { recursive: true }), DAMAGED],
        ['a database without postgresql.conf', (path) => rmSync(join(path, 'postgresql.conf')), DAMAGED],
        ['a database without global', (path) => rmSync(join(path, 'global'), { recursive: true }), DAMAGED],
        [
          'a database of PostgreSQL 17',
          (path) => put(path, ['PG_VERSION']),
          /is of PostgreSQL 17; this todo-api has PostgreSQL \d+: back it up with the todo-api that made it/,
        ],
        [
          'a symbolic link to a database',
          (path) => {
            renameSync(path, `${path}.moved`);
            symlinkSync(`${path}.moved`, path);
          },
          /database is a symbolic link, which is not followed/,
        ],
        [
          'a database with a symbolic link in it',
          (path) => {
            renameSync(join(path, 'pg_wal'), `${path}.wal`);
            symlinkSync(`${path}.wal`, join(path, 'pg_wal'));
          },
          /pg_wal is a symbolic link, which is not followed/,
        ],
      ] as readonly [string, (path: string) => void, RegExp][]
    ).map(
      ([what, change, message]) =>
        [what, () => copyOfUsed((directory) => change(join(directory, 'database'))), message] as const,
    ),
  ];
  for (const [what, make, message] of refused) {
    test(what, async () => {
      const directory = make();
      const isFolder = lstatSync(directory).isDirectory();
      const before = isFolder ? look(directory) : [];
      await assert.rejects(open(directory), message);
      assert.deepEqual(isFolder ? look(directory) : [], before);
    });
  }
});

/** Opens `directory` as an ordinary user. @returns the message of the error, or 'open'. */
function openAsOrdinaryUser(directory: string): string {
  const script = `const { openEmbedded } = await import(${JSON.stringify(`file://${DIST}database/embedded/embedded.js`)});
    if (process.getuid() === 0) {
      process.setgroups([]);
      process.setgid(${NOBODY});
      process.setuid(${NOBODY});
    }
    const options = { directory: ${JSON.stringify(directory)}, onWarning() {}, onFatal() {} };
    process.stdout.write(await openEmbedded(options).then(() => 'open', ({ message }) => message));
    process.exit(0);`;
  const child = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8', cwd: '/' });
  return child.stdout + child.stderr;
}

describe('a data directory whose modes do not let an ordinary user in', () => {
  before(() => chmodSync(folder.path, 0o755));
  for (const [what, path, mode] of [
    ['a file that may only be read', 'database/global/pg_control', 0o400],
    ['a file that may not be read', 'database/PG_VERSION', 0o000],
    ['a folder that may only be read', 'database/base/5', 0o500],
    ['the directory may not be read', '.', 0o300],
    ['the directory may not be written', '.', 0o500],
  ] as const) {
    test(`${what}: refused, with the path and chmod`, () => {
      const directory = copyOfUsed(() => undefined);
      if (process.getuid?.() === 0) {
        for (const name of readdirSync(directory, { recursive: true, encoding: 'utf8' })) {
          chownSync(join(directory, name), NOBODY, NOBODY);
        }
        chownSync(directory, NOBODY, NOBODY);
      }
      chmodSync(join(directory, path), mode);
      const message = openAsOrdinaryUser(directory);
      chmodSync(join(directory, path), 0o700);
      assert.match(
        message,
        /may not be read( and written by this process: change owner or mode \(chmod -R| \(EACCES\))/,
      );
      assert.ok(message.includes(join(directory, path).replace(/\/\.$/, '')), message);
    });
  }
});

describe('damaged files', () => {
  test('a missing PG_VERSION ends the program with 1 and the sentence, on standard error and in the log', async () => {
    const directory = copyOfUsed((path) => rmSync(join(path, 'database/PG_VERSION')));
    const service = new RunningService({ DATA_DIR: directory, JWT_SECRET }, folder.path);
    assert.equal(await service.ended(), 1);
    assert.match(service.stderr, DAMAGED);
    assert.match(service.stdout, /"level":"fatal".*Database files in DATA_DIR are damaged/);
    assert.ok(!readdirSync(directory).some((name) => name.startsWith('lock.')), 'the lock is left');
  });

  test("what PostgreSQL reports of files that it cannot open is in the log and the program's last words", async () => {
    const directory = copyOfUsed((path) => rmSync(join(path, 'database/pg_xact/0000')));
    const service = new RunningService({ DATA_DIR: directory, JWT_SECRET }, folder.path);
    assert.equal(await service.ended(), 1);
    assert.match(service.stderr, DAMAGED);
    assert.match(service.stderr, /PostgreSQL reports: FATAL: {2}could not access status of transaction/);
    assert.match(service.stdout, /"level":"fatal".*DETAIL: {2}Could not open file \\"pg_xact\/0000\\"/);
  });

  /** Where the file of `relation` is, in a data directory. */
  let pathOf: (relation: string) => string = () => '';
  before(async () => {
    const database = await open(used);
    const relations = ['todo.tasks', 'todo.tasks_pkey', 'todo.users', 'todo.users_pkey', 'todo.tasks_newest_first'];
    const found = new Map<string, string>();
    for (const relation of relations) {
      const [[path] = []] = await runAs(database, 'ann', `select pg_relation_filepath('${relation}')`);
      found.set(relation, `database/${path}`);
    }
    pathOf = (relation) => found.get(relation) ?? '';
    await database.close();
  });

  const tables: readonly (readonly [what: string, change: (directory: string) => void])[] = [
    ['a table cut to nothing', (path) => truncateSync(join(path, pathOf('todo.tasks')))],
    ['an index cut to its first page', (path) => truncateSync(join(path, pathOf('todo.tasks_pkey')), PAGE_BYTES)],
    ['a table that is gone', (path) => rmSync(join(path, pathOf('todo.users')))],
    [
      "an index with another index's file",
      (path) => cpSync(join(path, pathOf('todo.users_pkey')), join(path, pathOf('todo.tasks_newest_first'))),
    ],
    ['a table with a damaged page', (path) => damagePage(join(path, pathOf('todo.tasks')))],
  ];
  for (const [what, change] of tables) {
    test(`${what} is refused at the start, and never served as fewer tasks`, async () => {
      await assert.rejects(open(copyOfUsed(change)), DAMAGED);
    });
  }

  /** Opens a copy, changes its files, and has the engine replaced, whose answer would take too long. */
  async function damageWhileOpen(t: TestContext, change: (directory: string) => void) {
    const directory = copyOfUsed(() => undefined);
    const warnings: string[] = [];
    let onFatal: (error: Error) => void = () => undefined;
    const fatal = new Promise<Error>((resolve) => {
      onFatal = resolve;
    });
    const onWarning = (message: string) => void warnings.push(message);
    const database = await openEmbedded({ directory, statementTimeoutMs: 300, onWarning, onFatal });
    t.after(() => database.close());
    change(directory);
    await assert.rejects(runAs(database, 'ann', 'with x as (select pg_sleep(60)) select count(*) from x'));
    return { database, warnings, fatal };
  }

  test('a page damaged while serving: 500 for what needs it, the rest is served, and the log says so', async (t) => {
    const { database, warnings } = await damageWhileOpen(t, (path) => damagePage(join(path, pathOf('todo.tasks'))));
    while (!warnings.some((message) => DAMAGED.test(message))) {
      await assert.rejects(readTitles(database), { code: 'DATABASE_ERROR' });
    }
    assert.deepEqual(await runAs(database, 'ann', 'select id from todo.users'), [['ann']]);
    await assert.rejects(readTitles(database), { code: 'DATABASE_ERROR' });
  });

  for (const [what, change] of [
    ['PG_VERSION is gone', (path: string) => rmSync(join(path, 'database/PG_VERSION'))],
    ['pg_control is empty', (path: string) => truncateSync(join(path, 'database/global/pg_control'))],
  ] as const) {
    test(`files that cannot be opened again (${what}) end the program`, async (t) => {
      const { database, fatal } = await damageWhileOpen(t, change);
      await assert.rejects(readTitles(database));
      assert.match((await fatal).message, DAMAGED);
    });
  }
});

/** Changes a byte in the middle of the first page. */
function damagePage(path: string): void {
  const file = openSync(path, 'r+');
  writeSync(file, 'damage', PAGE_BYTES / 2);
  closeSync(file);
}
