import { parseArgs } from 'node:util';
import type { Operator } from './admin-access.ts';
import { backUp, type Progress } from './backup.ts';
import type { Totals } from './file.ts';
import { restore } from './restore.ts';
import { patiently } from './retries.ts';

/** What the program was started to do. */
export type Command =
  | { readonly kind: 'serve' }
  | { readonly kind: 'help' }
  | { readonly kind: 'backup'; readonly path: string }
  | { readonly kind: 'restore'; readonly path: string; readonly existing: 'keep' | 'replace' };

export const USAGE = `node dist/main.js                            serves
node dist/main.js backup FILE                writes all users and tasks to FILE
node dist/main.js restore FILE [--replace]   puts the users and tasks of FILE into the database; a task that is there
                                             already stays as it is, or with --replace becomes what the file says
`;

/** @param args what followed the program's name. @throws {TypeError} when it is no command. */
export function parseCommand(args: readonly string[]): Command {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { replace: { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h', default: false } },
  });
  if (values.help) return { kind: 'help' };
  const [name, path, ...more] = positionals;
  if (name === undefined && !values.replace) return { kind: 'serve' };
  if (path !== undefined && more.length === 0) {
    if (name === 'backup' && !values.replace) return { kind: 'backup', path };
    if (name === 'restore') return { kind: 'restore', path, existing: values.replace ? 'replace' : 'keep' };
  }
  throw new TypeError(`There is no such command:\n\n${USAGE}`);
}

const EVERY_MS = 1_000;
const number = new Intl.NumberFormat('en');
const told = ({ users, tasks }: Totals) => `${number.format(users)} users, ${number.format(tasks)} tasks`;

/** @returns a function that tells people how far the work has come, once a second. */
function progressTo(say: (line: string) => void): (progress: Progress) => void {
  let last = performance.now();
  return ({ done, total }) => {
    if (performance.now() - last < EVERY_MS) return;
    last = performance.now();
    const share = total === null || total.tasks === 0 ? 1 : Math.min(1, done.tasks / total.tasks);
    say(`${total === null ? 'read' : `${Math.floor(share * 100)} %`}: ${told(done)}`);
  };
}

/**
 * Backs up or restores.
 * @param say is told how the work goes on, a line at a time.
 * @throws {BackupFault} when the file is no whole backup; {OperatorError} when the database gave no answer for a minute.
 */
export async function runCommand(
  command: Extract<Command, { path: string }>,
  operator: Operator,
  say: (line: string) => void,
): Promise<void> {
  const { path } = command;
  const patient = patiently(operator, say);
  const onProgress = progressTo(say);
  if (command.kind === 'backup') {
    say(`Backed up to ${path}: ${told(await backUp(patient, path, onProgress))}`);
    return;
  }
  const { total, put } = await restore(patient, { path, existing: command.existing, onProgress });
  const rest = { users: total.users - put.users, tasks: total.tasks - put.tasks };
  say(`Restored from ${path}: ${told(put)}; there already: ${told(rest)}`);
}
