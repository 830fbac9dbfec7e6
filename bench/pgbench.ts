import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { BenchDatabase } from './database.ts';
import { BECOME_USER, LIST, type Statement } from './floor/statements.ts';
import { onCore } from './machine.ts';
import type { Cell, Competitor } from './measure.ts';

const run = promisify(execFile);

/** As many as the service has: more of them than that make PostgreSQL slower, not faster, on few cores. */
const MOST_CONNECTIONS = 4;

/** On one line, for the user the script chose, and with no colon that pgbench would take for a variable. */
function scriptLine({ text }: Statement): string {
  const line = text.replace(/\s+/g, ' ').replace(/:(?=[A-Z])/g, `' || chr(58) || '`);
  return `${line.replace(/\$1/g, `md5('bench user ' || :user::int)`)};`;
}

/** The first statement pgbench meets lets it prepare all of them, which it cannot do inside of a pipeline. */
function script({ people }: Cell): string {
  return [
    '\\if :unprepared',
    'select 1;',
    '\\set unprepared 0',
    '\\endif',
    `\\set user random(0, ${people.count - 1}) * ${people.stride}`,
    '\\startpipeline',
    'begin;',
    scriptLine(BECOME_USER),
    scriptLine(LIST),
    'commit;',
    '\\endpipeline',
    '',
  ].join('\n');
}

function figure(text: string, pattern: RegExp): number {
  const found = pattern.exec(text)?.[1];
  if (found === undefined) throw new Error(`pgbench printed no ${pattern.source}: ${text.slice(-300)}`);
  return Number(found);
}

/** What the database alone can do: the transaction of a list of 20, sent by pgbench in one round trip. */
export function pgbenchCompetitor(
  program: string,
  { database, folder, core }: { database: BenchDatabase; folder: string; core: number | null },
): Competitor {
  return {
    name: 'pgbench',
    takesPartIn: (cell) => cell.kind === 'list',
    measure: async (cell, milliseconds) => {
      const file = join(folder, 'list.pgbench');
      writeFileSync(file, script(cell));
      const seconds = Math.max(1, Math.round(milliseconds / 1000));
      const clients = Math.min(cell.connections, MOST_CONNECTIONS);
      const where = ['-h', '127.0.0.1', '-p', String(database.port), '-U', 'postgres'];
      const how = ['-n', '-M', 'prepared', '-D', 'unprepared=1', '-f', file, '-c', String(clients)];
      const [command, ...args] = onCore(core, [program, ...where, ...how, '-T', String(seconds), 'bench']);
      const before = database.cpuMicroseconds();
      const { stdout } = await run(command, args, { timeout: (seconds + 30) * 1000 });
      const after = database.cpuMicroseconds();
      if (figure(stdout, /failed transactions: (\d+)/) > 0) throw new Error('pgbench met failed transactions');
      const transactions = figure(stdout, /transactions actually processed: (\d+)/);
      return {
        answers: transactions,
        requestsPerSecond: figure(stdout, /tps = ([\d.]+)/),
        p50Ms: null,
        p99Ms: null,
        bodyBytesEach: null,
        serverMicrosEach: null,
        databaseMicrosEach: before === null || after === null ? null : (after - before) / transactions,
        residentMiB: null,
      };
    },
  };
}
