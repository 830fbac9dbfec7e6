// The packages that a production install has. Prints them; with --write, puts them into docs/dependencies.md.
import { readFileSync, writeFileSync } from 'node:fs';
import { argv, stdout } from 'node:process';
import { fileURLToPath } from 'node:url';

const DOCUMENT = new URL('../docs/dependencies.md', import.meta.url);
const LOCK_FILE = new URL('../package-lock.json', import.meta.url);

type Versions = Readonly<Record<string, string>>;

/** What `package-lock.json` says of one folder of `node_modules`. */
interface LockedPackage {
  readonly version?: string;
  readonly integrity?: string;
  readonly dev?: boolean;
  readonly dependencies?: Versions;
  readonly devDependencies?: Versions;
  readonly optionalDependencies?: Versions;
}

/** The entries of `package-lock.json`, by folder; that of the project itself is the empty one. */
export type LockedPackages = Readonly<Record<string, LockedPackage>>;

export interface ProductionPackage {
  readonly folder: string;
  readonly name: string;
  readonly version: string;
  readonly isDirect: boolean;
  /** The direct dependencies that bring it, itself included, in order. */
  readonly broughtBy: readonly string[];
}

export function readLockFile(): LockedPackages {
  const { packages }: { packages: LockedPackages } = JSON.parse(readFileSync(LOCK_FILE, 'utf8'));
  return packages;
}

const FOLDER = 'node_modules/';
const nameOf = (folder: string) => folder.slice(folder.lastIndexOf(FOLDER) + FOLDER.length);

/** Where Node finds `name` from inside `from`: in its own folder, or in one around it; null where it is not installed. */
function resolve(packages: LockedPackages, name: string, from: string): string | null {
  for (let around = from; ; around = around.slice(0, Math.max(around.lastIndexOf(`/${FOLDER}`), 0))) {
    const folder = `${around === '' ? '' : `${around}/`}${FOLDER}${name}`;
    if (packages[folder] !== undefined) return folder;
    if (around === '') return null;
  }
}

/** `folder` and the folders of all that it brings, at any depth. */
function foldersBrought(packages: LockedPackages, folder: string): ReadonlySet<string> {
  const found = new Set([folder]);
  for (const each of found) {
    const { dependencies, optionalDependencies } = packages[each] ?? {};
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
      const needed = resolve(packages, name, each);
      if (needed !== null) found.add(needed);
    }
  }
  return found;
}

/**
 * What `npm ci --omit=dev` installs, by name and version.
 * @throws when a direct dependency is not in the lock file.
 */
export function productionPackages(packages: LockedPackages): ProductionPackage[] {
  const broughtBy = new Map<string, string[]>();
  const directs = Object.keys(packages['']?.dependencies ?? {}).sort();
  for (const direct of directs) {
    const start = resolve(packages, direct, '');
    if (start === null) throw new Error(`package-lock.json has no ${direct}`);
    for (const folder of foldersBrought(packages, start)) {
      broughtBy.set(folder, [...(broughtBy.get(folder) ?? []), direct]);
    }
  }
  return [...broughtBy]
    .map(([folder, by]) => ({
      folder,
      name: nameOf(folder),
      version: packages[folder]?.version ?? '',
      isDirect: directs.some((direct) => folder === `${FOLDER}${direct}`),
      broughtBy: by,
    }))
    .sort((a, b) => (`${a.name} ${a.version} ${a.folder}` < `${b.name} ${b.version} ${b.folder}` ? -1 : 1));
}

const HEADING = '### All that is installed\n';
const NEXT_HEADING = '\n## ';

function section(packages: readonly ProductionPackage[]): string {
  const rows = packages.map(({ name, version, isDirect, broughtBy }) => {
    const by = isDirect ? 'itself' : broughtBy.map((direct) => `\`${direct}\``).join(', ');
    return `| \`${name}\` | ${version} | ${by} |`;
  });
  return `${HEADING}
\`npm ci --omit=dev\` installs these ${packages.length} packages and no other; a name that stands here twice is there in two folders.
\`node --import tsx scripts/production-packages.ts --write\` makes the list from \`package-lock.json\`; a test fails while it
is out of date.

| package | version | brought by |
| --- | --- | --- |
${rows.join('\n')}
`;
}

/** @returns `page` with the list of `packages` in its section. @throws when the page has no such section. */
export function withPackages(page: string, packages: readonly ProductionPackage[]): string {
  const start = page.indexOf(HEADING);
  const end = page.indexOf(NEXT_HEADING, start);
  if (start === -1 || end === -1) throw new Error(`docs/dependencies.md has no section ${HEADING}`);
  return page.slice(0, start) + section(packages) + page.slice(end);
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  const packages = productionPackages(readLockFile());
  if (argv.includes('--write')) writeFileSync(DOCUMENT, withPackages(readFileSync(DOCUMENT, 'utf8'), packages));
  else stdout.write(packages.map(({ name, version }) => `${name}@${version}\n`).join(''));
}
