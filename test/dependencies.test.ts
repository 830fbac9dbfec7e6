import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { productionPackages, readLockFile, withPackages } from '../scripts/production-packages.ts';

const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
const page = read('docs/dependencies.md');
const project: {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
} = JSON.parse(read('package.json'));
const locked = readLockFile();

/** What the first table under `heading` gives as reasons, by package; a row may name several. */
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

describe('the dependencies', () => {
  for (const [kind, heading] of [
    ['dependencies', 'At run time'],
    ['devDependencies', 'To develop'],
  ] as const) {
    test(`${kind} have exact versions, and the lock file has the same`, () => {
      assert.deepEqual(locked['']?.[kind], project[kind]);
      for (const [name, version] of Object.entries(project[kind])) {
        assert.match(version, /^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/, name);
        assert.equal(locked[`node_modules/${name}`]?.version, version, name);
      }
    });

    test(`${kind} have a reason each, and nothing else has`, () => {
      const reasons = reasonsUnder(heading);
      assert.deepEqual([...reasons.keys()].sort(), Object.keys(project[kind]).sort());
      assert.deepEqual(
        [...reasons].filter(([, reason]) => reason === ''),
        [],
      );
    });
  }

  test('are installed only as the bytes that the lock file knows', () => {
    const unknown = Object.entries(locked).filter(
      ([folder, { integrity }]) => folder !== '' && !/^sha512-[\w+/]{86}==$/.test(integrity ?? ''),
    );
    assert.deepEqual(unknown, []);
  });

  test('of production are those that the lock file does not keep for development', () => {
    const kept = Object.keys(locked).filter((folder) => folder !== '' && locked[folder]?.dev !== true);
    const found = productionPackages(locked).map(({ folder }) => folder);
    assert.deepEqual(found.sort(), kept.sort());
  });

  test('of production are all in the documentation, with their versions', () => {
    assert.equal(page, withPackages(page, productionPackages(locked)));
  });
});
