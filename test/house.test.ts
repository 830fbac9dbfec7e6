import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const SRC = fileURLToPath(new URL('../src/', import.meta.url));

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
const source = (file: string) => readFileSync(join(SRC, file), 'utf8');

/** What `file` imports of ours, types included, as paths below src. */
function importsOf(file: string): string[] {
  const specifiers = source(file).matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g);
  return [...specifiers].map(([, specifier = '']) => normalize(join(dirname(file), specifier)));
}

/** Which of ours each room may import; a room may always import itself. */
const MAY_IMPORT: readonly { readonly room: RegExp; readonly from: RegExp | null }[] = [
  { room: /^core\//, from: null },
  { room: /^config\.ts$/, from: null },
  { room: /^log\.ts$/, from: null },
  { room: /^database\//, from: /^core\// },
  { room: /^auth\//, from: /^core\// },
  { room: /^writes\//, from: /^(core\/|database\/(database|sql|errors)\.ts$)/ },
  { room: /^tasks\//, from: /^(core\/|writes\/|database\/(database|sql|errors)\.ts$)/ },
  { room: /^lists\//, from: /^(core\/|writes\/|database\/(database|sql|errors)\.ts$|tasks\/(columns|parts-sql)\.ts$)/ },
  {
    room: /^batch\//,
    from: /^(core\/|writes\/|database\/sql\.ts$|(tasks\/(task|fields|example|placement|task-effects)|lists\/list(-effects)?)\.ts$)/,
  },
  {
    room: /^changes\//,
    from: /^(core\/|database\/(database|sql|errors|notifications)\.ts$|tasks\/(task|fields|example|columns)\.ts$|lists\/list(-sql)?\.ts$)/,
  },
  { room: /^exchange\//, from: /^(core\/|writes\/|tasks\/|lists\/|database\/(database|sql|errors)\.ts$)/ },
  { room: /^jobs\//, from: /^(core\/|writes\/job\.ts$)/ },
  { room: /^http\//, from: /^(core\/|auth\/)/ },
  {
    room: /^doors\/(\w+)\//,
    from: /^(core\/|http\/|(tasks\/(task|fields|example|list-query|task-service)|lists\/list(-service)?)\.ts$|batch\/batch(-service)?\.ts$|changes\/(change|feed|page)\.ts$|exchange\/(format|record|import-plan|import-report|(erase|export|import)-service)\.ts$|writes\/outcome\.ts$)/,
  },
  { room: /^backup\//, from: /^(core\/|database\/(database|sql|errors)\.ts$)/ },
  { room: /^app\.ts$/, from: /^(?!main\.ts$|serve\.ts$|backup\/|database\/(embedded\/|postgres\.ts$))/ },
  { room: /^serve\.ts$/, from: /^(app|config|log)\.ts$|^auth\/development-secret\.ts$|^backup\/admin-|^database\// },
  { room: /^main\.ts$/, from: /^(serve|config|backup\/command)\.ts$/ },
];

const roomOf = (file: string) => /^(doors\/\w+\/|\w+\/)/.exec(file)?.[0] ?? file;

test('every file imports only what its room may', () => {
  const faults = files.flatMap((file) => {
    const rule = MAY_IMPORT.find(({ room }) => room.test(file));
    if (rule === undefined) return [`${file} is in no known room`];
    return importsOf(file)
      .filter((target) => roomOf(target) !== roomOf(file) && rule.from?.test(target) !== true)
      .map((target) => `${file} imports ${target}`);
  });
  assert.deepEqual(faults, []);
});

test('no import cycle, types included', () => {
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    assert.ok(!path.includes(file), `a cycle: ${[...path, file].join(' -> ')}`);
    if (done.has(file)) return;
    for (const target of importsOf(file)) visit(target, [...path, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
  assert.equal(done.size, files.length);
});

test('only main.ts reads the environment and arguments, and only serve.ts signals', () => {
  const readers = (pattern: RegExp) => files.filter((file) => pattern.test(source(file)));
  assert.deepEqual(readers(/process\.(env|argv|loadEnvFile)\b/), ['main.ts']);
  assert.deepEqual(readers(/process\.(on|once)\b/), ['serve.ts']);
});

/** Files of a room within database/ that others may import. */
const OPEN_FILES = /^database\/(pool\/pool|schema\/(ready|verify)|embedded\/embedded)\.ts$/;

test('the rooms of database/ are entered by their open files alone', () => {
  const faults = files.flatMap((file) =>
    importsOf(file)
      .filter((target) => /^database\/\w+\//.test(target) && !OPEN_FILES.test(target))
      .filter((target) => dirname(target) !== dirname(file))
      .map((target) => `${file} imports ${target}`),
  );
  assert.deepEqual(faults, []);
});

const MAY_HOLD_SQL = /^(database\/|\w+\/\w+-sql\.ts$|tasks\/columns\.ts$|writes\/effect\.ts$)/;

test('SQL stands in the rooms that may hold it, and no file is past 300 lines', () => {
  const withSql = files.filter((file) =>
    /\b(select|insert into|delete from|update) [\s\S]*?\b(from|set|values)\b/i.test(
      source(file).replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, ''),
    ),
  );
  assert.deepEqual(
    withSql.filter((file) => !MAY_HOLD_SQL.test(file)),
    [],
  );
  const long = files.filter((file) => source(file).split('\n').length > 301);
  assert.deepEqual(long, []);
});

test('docs/architecture.md draws the tree as it is', () => {
  const page = readFileSync(new URL('../docs/architecture.md', import.meta.url), 'utf8');
  const tree = /## Tree\n\n```\nsrc\/\n([\s\S]*?)```/.exec(page)?.[1] ?? '';
  let folder = '';
  const drawn = tree.split('\n').flatMap((line) => {
    const [, room, names = ''] = /^ {2}(?:(\S+\/) +| +)?(.*)$/.exec(line) ?? [];
    folder = room ?? folder;
    return names
      .split(/ +/)
      .filter((name) => name !== '')
      .map((name) => `${folder}${name}`);
  });
  assert.deepEqual(drawn.sort(), [...files].sort());
});
