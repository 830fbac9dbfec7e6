import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type EmbeddedDatabase, openEmbedded } from '../../dist/database/embedded/embedded.js';
import { statement } from '../../test/support/statements.ts';
import { type Ledger, patient, readTasks, tasksOn } from './ledger.ts';

const TIMEOUT_MS = 60_000;
const LOGIN_ROLE = { kind: 'login-role' } as const;

/** Reads every page of every table; their checksums are verified. */
const READ_ALL = `do $$ declare name regclass; begin
  for name in select oid from pg_class where relkind in ('r', 't') loop
    execute format('select count(*) from %s', name);
  end loop;
end $$`;
const WITHOUT = (method: string) => `select set_config('enable_${method}scan', 'off', true)`;
const ALL = 'select count(*) from todo.tasks';
const LIVE = `${ALL} where deleted_at is null`;
const DELETED = `${ALL} where deleted_at is not null and title is not null`;
/** Users who have a number that is above their counter, or one twice. */
const MISNUMBERED = `select count(*) from todo.users where version < (
    select coalesce(max(tasks.version), 0) from todo.tasks where user_id = users.id
  ) or (select count(distinct tasks.version) <> count(*) from todo.tasks where user_id = users.id)`;

/** What is wrong with the numbers of tasks, of which `listed` are in lists: in the table, its indexes, and the counters. */
async function faultsOfCounts(database: EmbeddedDatabase, listed: number): Promise<string[]> {
  const count = async (methods: readonly string[], text: string) => {
    const statements = [...methods.map(WITHOUT), text].map((each) => statement(each));
    return (await patient(database).transaction(LOGIN_ROLE, statements)).at(-1)?.[0]?.[0];
  };
  const byTable = ['index', 'indexonly', 'bitmap'];
  const byIndex = ['seq', 'bitmap'];
  await count(byTable, READ_ALL);
  const [all, live, deleted] = [await count(byTable, ALL), await count(byTable, LIVE), await count(byTable, DELETED)];
  const counts: Readonly<Record<string, readonly [string | null | undefined, string | null | undefined]>> = {
    'tasks by table and listed': [live, String(listed)],
    'tasks by table and by index': [live, await count(byIndex, LIVE)],
    'deleted tasks by table and by index': [deleted, await count(byIndex, DELETED)],
    'rows by table and by index': [all, await count(byIndex, ALL)],
    'tasks by table and by counter': [live, await count([], 'select coalesce(sum(tasks), 0) from todo.users')],
    'deleted tasks by table and by counter': [
      deleted,
      await count([], 'select coalesce(sum(trash), 0) from todo.users'),
    ],
    'users whose versions are wrong, and none': [await count([], MISNUMBERED), '0'],
  };
  return Object.entries(counts).flatMap(([what, [one, other]]) => (one === other ? [] : [`${what}: ${one}, ${other}`]));
}

async function inspect(
  database: EmbeddedDatabase,
  ledger: Ledger,
  isAcknowledged: (answer: string) => boolean,
): Promise<string[]> {
  const lists = await readTasks(database, ledger.users);
  const faults = ledger.faultsOf(lists, isAcknowledged);
  const listed = [...lists.values()].reduce((sum, { size }) => sum + size, 0);
  faults.push(...(await faultsOfCounts(database, listed)));
  for (const user of ledger.users.slice(0, 1)) {
    const { outcome } = await tasksOn(database).create(user, { title: 'after the crash' }, null);
    if (outcome.kind !== 'created') faults.push(`the next create is ${outcome.kind}`);
  }
  return faults;
}

/** Opens the database that a crash has left in the folder `state`, as the service does. @returns what is wrong. */
export async function faultsAfterCrash(
  state: string,
  ledger: Ledger,
  isAcknowledged: (answer: string) => boolean,
): Promise<string[]> {
  const reasons: unknown[] = [];
  const note = (reason: unknown) => void reasons.push(reason);
  const work = async () => {
    const database = await openEmbedded({
      directory: join(state, 'data'),
      onWarning: (message, error) => note(`${message}: ${error}`),
      onFatal: note,
    });
    const faults = await inspect(database, ledger, isAcknowledged).catch((error: unknown) => {
      note(error instanceof Error && error.cause !== undefined ? error.cause : error);
      return ['it cannot be used'];
    });
    await database.close();
    return faults;
  };
  const timeout = delay(TIMEOUT_MS, ['it does not open in time'], { ref: false });
  const faults = await Promise.race([work(), timeout]).catch((error: unknown) => [String(error)]);
  return faults.map((fault) => (reasons.length === 0 ? fault : `${fault} (${reasons.join('; ')})`));
}
