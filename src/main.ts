import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type BackupCommand, runBackupCommand } from './backup/command.ts';
import { loadConfig } from './config.ts';
import { openDatabase, serve } from './serve.ts';

const USAGE = `node dist/main.js                            serves the API
node dist/main.js backup FILE                writes all users and tasks to FILE
node dist/main.js restore FILE [--replace]   inserts the users and tasks of FILE into the database; a task that exists
                                             is kept, or with --replace is overwritten; clients start again
node dist/main.js restore FILE --move        moves the users and tasks of FILE into an empty database; clients go on
node dist/main.js new-epoch                  lets clients start again, after a restore by other means
`;

type Command = BackupCommand | { readonly kind: 'serve' } | { readonly kind: 'help' };

/** @throws {TypeError} if `args` is not a command. */
function parseCommand(args: readonly string[]): Command {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      replace: { type: 'boolean', default: false },
      move: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return { kind: 'help' };
  const { replace, move } = values;
  const [name, path, ...more] = positionals;
  if (name === 'restore' && path !== undefined && more.length === 0 && !(replace && move)) {
    return { kind: 'restore', path, existing: move ? 'move' : replace ? 'replace' : 'keep' };
  }
  if (!replace && !move && more.length === 0) {
    if (name === undefined) return { kind: 'serve' };
    if (name === 'backup' && path !== undefined) return { kind: 'backup', path };
    if (name === 'new-epoch' && path === undefined) return { kind: 'new-epoch' };
  }
  throw new TypeError(`Unknown command. Commands:\n\n${USAGE}`);
}

/** Prints the error and exits with code 1, without waiting for work in flight. */
function exitWithError(error: unknown): never {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}

async function main(): Promise<void> {
  const command = parseCommand(process.argv.slice(2));
  if (command.kind === 'help') {
    process.stdout.write(USAGE);
    return;
  }
  if (existsSync('.env')) process.loadEnvFile('.env');
  const config = loadConfig(process.env);
  if (command.kind === 'serve') return serve(config, exitWithError);
  const print = (line: string) => void process.stderr.write(`${line}\n`);
  const database = { onWarning: print, onFatal: exitWithError };
  await runBackupCommand(command, {
    database: config.database,
    openDatabase: () => openDatabase(config.database, 'admin', database),
    print,
  });
}

main().catch(exitWithError);
