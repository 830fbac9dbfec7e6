import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type EmbeddedDatabase, openEmbedded } from '../../dist/database/embedded/embedded.js';
import { createTaskService } from '../../dist/tasks/task-service.js';
import { statement } from '../../test/support/statements.ts';
import { type Ledger, patient, readTasks } from './ledger.ts';

const TIMEOUT_MS = 60_000;
const LOGIN_ROLE = { kind: 'login-role' } as const;

/** Reads every page of every table; their checksums are verified. */
const READ_ALL = `do $$ declare name regclass; begin
  for name in select oid from pg_class where relkind in ('r', 't') loop
    execute format('select count(*) from %s', name);
  end loop;
end $$`;
const WITHOUT = (method: string) => `select set_config('enable_${method}scan', 'off', true)`;
const COUNT = 'select count(*) from todo.tasks';

/** How many tasks are stored, according to the table and to its index. */
async function countTasks(database: EmbeddedDatabase): Promise<readonly (string | null | undefined)[]> {
  const count = async (methods: readonly string[], text: string) => {
    const statements = [...methods.map(WITHOUT), text].map((each) => statement(each));
    return (await patient(database).transaction(LOGIN_ROLE, statements)).at(-1)?.[0]?.[0];
  };
  const byTable = ['index', 'indexonly', 'bitmap'];
  await count(byTable, READ_ALL);
  return [await count(byTable, COUNT), await count(['seq', 'bitmap'], COUNT)];
}

async function inspect(
  database: EmbeddedDatabase,
  ledger: Ledger,
  isAcknowledged: (answer: string) => boolean,
): Promise<string[]> {
  const lists = await readTasks(database, ledger.users);
  const faults = ledger.faultsOf(lists, isAcknowledged);
  const listed = [...lists.values()].reduce((sum, { size }) => sum + size, 0);
  const counts = await countTasks(database);
  if (counts.some((count) => count !== String(listed))) {
    faults.push(`${listed} tasks are listed, ${counts.join(' and ')} are in the table and its index`);
  }
  for (const user of ledger.users.slice(0, 1))
    await createTaskService(patient(database), 0).create(user, { title: 'after the crash' });
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
