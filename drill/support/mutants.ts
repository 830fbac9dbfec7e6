import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOT = new URL('../../', import.meta.url).pathname;
const COPIED = ['src', 'test', 'dist', 'package.json', 'tsconfig.json', 'tsconfig.build.json'];
const SQL = 'src/tasks/task-sql.ts';

/** A place in a statement that names the owner; what stands in for it names nobody and still uses `$1`. */
const OWNER_CONDITION = /\b(?:user_)?id = \$1(?!\d)/g;
const NO_CONDITION = '$1::text is not null';

export interface Mutant {
  /** Which statement, and which of its conditions. */
  readonly name: string;
  /** The whole file with this one condition dropped. */
  readonly source: string;
}

/** @returns the file of statements without one owner condition, once for each there is. @throws where a statement has none. */
export function findMutants(): Mutant[] {
  const source = readFileSync(join(ROOT, SQL), 'utf8');
  const starts = [...source.matchAll(/defineStatement\(\s*'(\w+)'/g)];
  return starts.flatMap(({ index, 1: statement = '' }, number) => {
    const end = starts[number + 1]?.index ?? source.length;
    const conditions = [...source.slice(index, end).matchAll(OWNER_CONDITION)];
    if (conditions.length === 0) throw new Error(`The statement ${statement} names no owner`);
    return conditions.map((condition, place) => {
      const at = index + condition.index;
      return {
        name: conditions.length === 1 ? statement : `${statement}, condition ${place + 1}`,
        source: source.slice(0, at) + NO_CONDITION + source.slice(at + condition[0].length),
      };
    });
  });
}

/** A copy of the repository to spoil. */
export class ScratchCopy {
  readonly #folder = mkdtempSync(join(tmpdir(), 'todo-api-mutant-'));

  constructor() {
    for (const name of COPIED) cpSync(join(ROOT, name), join(this.#folder, name), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules'), join(this.#folder, 'node_modules'));
  }

  get main(): string {
    return join(this.#folder, 'dist/main.js');
  }

  /** Builds the copy with `mutant` in it. @throws when it does not compile. */
  build(mutant: Mutant): void {
    writeFileSync(join(this.#folder, SQL), mutant.source);
    const compiler = join(ROOT, 'node_modules/.bin/tsc');
    const built = spawnSync(compiler, ['-p', 'tsconfig.build.json'], { cwd: this.#folder, encoding: 'utf8' });
    if (built.status !== 0) throw new Error(`${mutant.name} does not compile: ${built.stdout}`);
  }

  /** Runs test files in the copy. @returns the names of the tests that failed. */
  test(files: readonly string[], databaseUrl: string): string[] {
    const tests = spawnSync(
      process.execPath,
      ['--import', 'tsx', '--test', '--test-reporter=tap', ...files.map((file) => `test/${file}`)],
      { cwd: this.#folder, env: { PATH: process.env.PATH ?? '', TEST_DATABASE_URL: databaseUrl }, encoding: 'utf8' },
    );
    const failed = [...tests.stdout.matchAll(/^\s*not ok \d+ - (.*)$/gm)].map(([, name = '']) => name);
    if (tests.status !== 0 && failed.length === 0) throw new Error(`The tests did not run: ${tests.stderr}`);
    return failed;
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
