import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
const page = read('docs/dependencies.md');
const project: Record<
  'dependencies' | 'devDependencies' | 'overrides' | 'engines',
  Readonly<Record<string, string>>
> = JSON.parse(read('package.json'));
interface LockedPackage {
  readonly integrity?: string;
  readonly link?: boolean;
  readonly engines?: { readonly node?: string };
}

const lockFile: { readonly packages: Readonly<Record<string, LockedPackage>> } = JSON.parse(read('package-lock.json'));

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
    ([folder, { integrity, link }]) =>
      folder.startsWith('node_modules/') && !link && !/^sha512-[\w+/]{86}==$/.test(integrity ?? ''),
  );
  assert.deepEqual(unverified, []);
});

/** Whether `version` is in the semver range, of those that packages write for Node. */
function isInRange(version: string, range: string): boolean {
  const numbers = (text: string) => text.split('.').map((part) => (/^\d+$/.test(part) ? Number(part) : 0));
  const compare = (other: string) => {
    const [a, b] = [numbers(version), numbers(other)];
    return [0, 1, 2].map((index) => (a[index] ?? 0) - (b[index] ?? 0)).find((difference) => difference !== 0) ?? 0;
  };
  const holds = (operator: string, other: string) => {
    const samePart = (parts: number) =>
      numbers(version).slice(0, parts).join() === numbers(other).slice(0, parts).join();
    if (operator === '>=') return compare(other) >= 0;
    if (operator === '>') return compare(other) > 0;
    if (operator === '<') return compare(other) < 0;
    if (operator === '<=') return compare(other) <= 0;
    if (operator === '^') return samePart(1) && compare(other) >= 0;
    if (operator === '~') return samePart(2) && compare(other) >= 0;
    return samePart(other.split('.').filter((part) => part !== 'x').length);
  };
  return range.split('||').some((alternative) => {
    const comparators = [...alternative.matchAll(/([<>]=?|\^|~)?\s*v?(\d[\d.x]*|\*)/g)];
    return comparators.every(([, operator = '', other = '']) => other === '*' || holds(operator, other));
  });
}

test('every package of the lock file supports the oldest Node that the service does', () => {
  for (const [version, range, expected] of [
    ['20.19.0', '>=22', false],
    ['20.19.0', '^20.17.0 || >=22.9.0', true],
    ['20.19.0', '20 || >=22', true],
    ['20.19.0', '>= 18.3.0 <20', false],
    ['20.19.0', '^20.20.0', false],
    ['20.19.0', '*', true],
  ] as const) {
    assert.equal(isInRange(version, range), expected, range);
  }
  const oldest = `${/\d+\.\d+/.exec(project.engines.node ?? '')?.[0]}.0`;
  const unsupported = Object.entries(lockFile.packages).flatMap(([folder, { engines }]) =>
    isInRange(oldest, engines?.node ?? '*') ? [] : [`${folder} needs Node ${engines?.node}`],
  );
  assert.deepEqual(unsupported, []);
});

test('each override has a reason in docs/dependencies.md, and an exact version', () => {
  assert.deepEqual([...reasonsUnder('Overrides').keys()].sort(), Object.keys(project.overrides).sort());
  for (const version of Object.values(project.overrides)) assert.match(version, /^\d+\.\d+\.\d+$/);
});
