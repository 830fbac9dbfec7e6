// Checks the OpenAPI document of the running service with tools made by others: see docs/clients.md. Each installs what
// it needs, in pinned versions, into a temporary folder. Exits with 1 if one of them found a fault.
import { accessSync, constants, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { parseArgs } from 'node:util';
import { SignJWT } from 'jose';
import { RunningService } from '../../test/support/process.ts';
import { ENGINES } from './engines.ts';
import { FUZZERS } from './fuzzers.ts';
import { GENERATORS } from './generators.ts';
import { type Bench, type ExecOptions, exec, type Judge } from './judge.ts';
import { LINTERS } from './linters.ts';

const JUDGES: readonly Judge[] = [...LINTERS, ...ENGINES, ...GENERATORS, ...FUZZERS];

const HELP = `npm run openapi-tools -- [options] [name…]

  --keep      leave the temporary folder, with everything generated, and print its path

  Names: ${JUDGES.map(({ name }) => name).join(', ')}
`;

const SECRET = 'a secret of the check of the OpenAPI document';

const isOnPath = (program: string) =>
  (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });

/** The environment of the tools: what they need to install packages, and nothing of the service's settings. */
function environment(home: string): Record<string, string> {
  const inherited = Object.entries(process.env).filter(
    ([name]) =>
      /^(PATH|LANG|HOME)$/.test(name) || /proxy|cert|index|registry|^(GO|CARGO|RUSTUP|PIP_|PYENV)/i.test(name),
  );
  const values = Object.fromEntries(inherited.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
  return { ...values, TMPDIR: home, NO_COLOR: '1', CI: '1', PYTHONDONTWRITEBYTECODE: '1' };
}

/** Makes what `judge` works with, in a folder below `root`. */
async function benchOf(judge: Judge, root: string, origin: string): Promise<Bench> {
  const folder = join(root, judge.name);
  mkdirSync(folder);
  const token = await new SignJWT()
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(judge.name)
    .setExpirationTime('2h')
    .sign(new TextEncoder().encode(SECRET));
  const inherited = environment(root);
  const PATH = [join(folder, 'venv/bin'), inherited.PATH].join(delimiter);
  const base = { ...inherited, PATH, API_URL: origin, API_TOKEN: token };
  const inFolder = (program: string, args: readonly string[], options: ExecOptions = {}) =>
    exec(program, args, { cwd: folder, ...options, env: { ...base, ...options.env } });
  return {
    folder,
    document: join(root, 'openapi.json'),
    origin,
    token,
    exec: inFolder,
    async python(...packages) {
      await inFolder('python3', ['-m', 'venv', 'venv']);
      const python = join(folder, 'venv/bin/python');
      await inFolder(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...packages]);
      return python;
    },
    async npm(...packages) {
      writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module', private: true }));
      await inFolder('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error', ...packages]);
    },
  };
}

async function runJudges(judges: readonly Judge[], root: string, origin: string): Promise<number> {
  let failed = 0;
  for (const judge of judges) {
    const missing = judge.needs.filter((program) => !isOnPath(program));
    const from = performance.now();
    let outcome: string;
    try {
      if (missing.length > 0) throw new Error(`not on the PATH: ${missing.join(', ')}`);
      outcome = `ok      ${await judge.run(await benchOf(judge, root, origin))}`;
    } catch (error) {
      failed += 1;
      outcome = `FAILED  ${error instanceof Error ? error.message : String(error)}`;
    }
    const seconds = Math.round((performance.now() - from) / 1000);
    process.stdout.write(`${judge.name.padEnd(30)}${String(seconds).padStart(4)} s  ${outcome}\n`);
  }
  process.stdout.write(`\n${judges.length - failed} of ${judges.length} found no fault\n`);
  return failed === 0 ? 0 : 1;
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { keep: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } },
  });
  const unknown = positionals.filter((name) => JUDGES.every((judge) => judge.name !== name));
  if (values.help || unknown.length > 0) {
    process.stdout.write(HELP);
    return values.help ? 0 : 1;
  }
  const judges = positionals.length === 0 ? JUDGES : JUDGES.filter(({ name }) => positionals.includes(name));
  const root = mkdtempSync(join(tmpdir(), 'todo-api-openapi-'));
  process.once('exit', () => {
    if (values.keep) process.stdout.write(`kept: ${root}\n`);
    else rmSync(root, { recursive: true, force: true });
  });
  const settings = { DATA_DIR: join(root, 'data'), JWT_SECRET: SECRET };
  const service = new RunningService(settings, root);
  try {
    const origin = await service.listening();
    writeFileSync(join(root, 'openapi.json'), await (await fetch(`${origin}/openapi.json`)).text());
    return await runJudges(judges, root, origin);
  } finally {
    await service.stop();
  }
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

process.exitCode = await main();
