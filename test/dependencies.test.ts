import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
const page = read('docs/dependencies.md');
const project: Record<'dependencies' | 'devDependencies', Readonly<Record<string, string>>> = JSON.parse(
  read('package.json'),
);
const lockFile: { readonly packages: Readonly<Record<string, { readonly integrity?: string }>> } = JSON.parse(
  read('package-lock.json'),
);

/** The reasons in the first table under `heading`, by package; one row may name several packages. */
function reasonsUnder(heading: string): Map<string, string> {
  const [, section = ''] = page.split(`## ${heading}\n`);
  const [table = ''] = section.split(/^##/m);
  const rows = [...table.matchAll(/^\| (`.+`) \|(.*)\|$/gm)];
  return new Map(
    rows.flatMap(([, names = '', reason = '']) =>
      names.split(', ').map((name) => [name.replaceAll('`', ''), reason.trim()] as const),
    ),
  );
}

for (const [kind, heading] of [
  ['dependencies', 'At run time'],
  ['devDependencies', 'To develop'],
] as const) {
  test(`${kind} have exact versions`, () => {
    for (const [name, version] of Object.entries(project[kind])) {
      assert.match(version, /^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/, name);
    }
  });

  test(`each of the ${kind} has a reason in docs/dependencies.md, and no other package has`, () => {
    const reasons = reasonsUnder(heading);
    assert.deepEqual([...reasons.keys()].sort(), Object.keys(project[kind]).sort());
    assert.ok([...reasons.values()].every((reason) => reason !== ''));
  });
}

test('the lock file has a SHA-512 for every package', () => {
  const unverified = Object.entries(lockFile.packages).filter(
    ([folder, { integrity }]) => folder !== '' && !/^sha512-[\w+/]{86}==$/.test(integrity ?? ''),
  );
  assert.deepEqual(unverified, []);
});
