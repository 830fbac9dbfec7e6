import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type BenchDatabase, DATABASE } from './database.ts';
import { LIST, SET_USER, type Statement } from './floor/statements.ts';
import { onCores } from './machine.ts';
import { type Cell, type Competitor, perResponse } from './measure.ts';

const run = promisify(execFile);

/** More connections make PostgreSQL slower on few cores. */
const MAX_CONNECTIONS = 4;

/** A statement on one line, for the user of the script, without colons that pgbench would read as variables. */
function scriptLine({ text }: Statement): string {
  const line = text.replace(/\s+/g, ' ').replace(/:(?=[A-Z])/g, `' || chr(58) || '`);
  return `${line.replace(/\$1/g, `md5('bench user ' || :user::int)`)};`;
}

/** pgbench prepares all statements at the first one, which must be outside of the pipeline. */
function script({ users }: Cell): string {
  return [
    '\\if :unprepared',
    'select 1;',
    '\\set unprepared 0',
    '\\endif',
    `\\set user random(0, ${users.count - 1}) * ${users.stride}`,
    '\\startpipeline',
    'begin;',
    scriptLine(SET_USER),
    scriptLine(LIST),
    'commit;',
    '\\endpipeline',
    '',
  ].join('\n');
}

function figure(text: string, pattern: RegExp): number {
  const found = pattern.exec(text)?.[1];
  if (found === undefined) throw new Error(`pgbench did not print ${pattern.source}: ${text.slice(-300)}`);
  return Number(found);
}

/** The database without a server: the transaction of a list of 20, sent by pgbench in one round trip. */
export function pgbenchCompetitor(
  program: string,
  { database, folder, cores }: { database: BenchDatabase; folder: string; cores: readonly number[] | null },
): Competitor {
  return {
    name: 'pgbench',
    kinds: ['list'],
    usesPostgres: true,
    measure: async (cell, milliseconds) => {
      const file = join(folder, 'list.pgbench');
      writeFileSync(file, script(cell));
      const seconds = Math.max(1, Math.round(milliseconds / 1000));
      const clients = Math.min(cell.connections, MAX_CONNECTIONS);
      const address = ['-h', '127.0.0.1', '-p', String(database.port), '-U', 'postgres'];
      const how = ['-n', '-M', 'prepared', '-D', 'unprepared=1', '-f', file, '-c', String(clients)];
      const [command, ...args] = onCores(cores, [program, ...address, ...how, '-T', String(seconds), DATABASE]);
      const before = database.cpuMicroseconds();
      const { stdout } = await run(command, args, { timeout: (seconds + 30) * 1000 });
      if (figure(stdout, /failed transactions: (\d+)/) > 0) throw new Error('pgbench reported failed transactions');
      const transactions = figure(stdout, /transactions actually processed: (\d+)/);
      return {
        responses: transactions,
        requestsPerSecond: figure(stdout, /tps = ([\d.]+)/),
        p50Ms: null,
        p99Ms: null,
        serverMicros: null,
        databaseMicros: perResponse(before, database.cpuMicroseconds(), transactions),
        residentMiB: null,
      };
    },
  };
}
