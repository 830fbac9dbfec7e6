import { setMaxListeners } from 'node:events';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { openEmbedded } from '../dist/database/embedded/embedded.js';
import type { Changes } from '../test/support/changes.ts';
import { Relay } from '../test/support/relay.ts';
import { asAdmin, openPostgresAt, type Task } from '../test/support/service.ts';
import { statement } from '../test/support/statements.ts';
import type { Drill, Figures } from './support/drill.ts';
import type { DrillRun } from './support/drill-run.ts';
import { AUDIT, READ_AUDIT, READ_TASKS, READ_USERS } from './support/model/audit.ts';
import { Ids } from './support/model/choices.ts';
import { ClientMirror } from './support/model/client-mirror.ts';
import { Faults } from './support/model/faults.ts';
import { Fleet } from './support/model/fleet.ts';
import { History } from './support/model/history.ts';
import { Journal } from './support/model/journal.ts';
import { judgeMirror } from './support/model/judge-mirror.ts';
import { WriteJudge } from './support/model/judge-writes.ts';
import { Reader } from './support/model/reader.ts';
import { Spread } from './support/model/spread.ts';
import { Writer } from './support/model/writer.ts';
import { terminateConnections } from './support/postgres.ts';
import { Random } from './support/random.ts';
import type { ServiceUnderTest } from './support/service-under-test.ts';

type Table = readonly (readonly (string | null)[])[];

/** The database of the drill, which it may look into while no service uses it. */
interface Place {
  readonly service: ServiceUnderTest;
  readonly run: (statements: readonly string[]) => Promise<readonly Table[]>;
  readonly terminate: (most: number) => Promise<number>;
  /** @returns how many will be lost. */
  readonly loseDatabaseAnswer: () => number;
}

interface Size {
  readonly seconds: number;
  /** At least so many have to be answered, which takes longer on a busy machine. */
  readonly requests: number;
  readonly users: number;
  readonly writers: number;
  readonly readers: number;
  readonly clientMirrors: number;
  readonly processes: number;
  readonly pauseMs: number;
  /** How long a process is left alone after its start. */
  readonly restMs: number;
}

/** So few that writers come to it, and to the same number of deleted tasks, of which the oldest are blanked. */
const MAX_TASKS = 16;
/** How long a busy machine may take longer. */
const MAX_EXTRA_MS = 40_000;
const SETTINGS = { MAX_TASKS_PER_USER: String(MAX_TASKS) };

async function onPostgres(run: DrillRun): Promise<Place> {
  const server = await run.postgres();
  const url = server.url();
  await (await openPostgresAt(url)).remove();
  const relay = await Relay.start(url);
  run.onRelease(() => relay.close());
  const each = async (sql: string): Promise<Table> => {
    const { rows, fields } = await asAdmin(url, sql);
    return rows.map((row) => fields.map(({ name }) => row[name]));
  };
  return {
    service: run.service({ ...SETTINGS, DATABASE_URL: relay.urlOf(url) }),
    run: async (statements) => {
      const tables: Table[] = [];
      for (const sql of statements) tables.push(await each(sql));
      return tables;
    },
    terminate: (most) => terminateConnections(server, most),
    loseDatabaseAnswer: () => {
      relay.loseNextAnswer();
      return 1;
    },
  };
}

function embedded(run: DrillRun): Place {
  const service = run.service(SETTINGS);
  const note = (reason: unknown) => run.expect(false, String(reason));
  return {
    service,
    run: async (statements) => {
      const directory = join(service.directory, 'data');
      const database = await openEmbedded({ directory, onWarning: note, onFatal: note });
      const tables = await database.transaction(
        { kind: 'login-role' },
        statements.map((sql) => statement(sql)),
      );
      await database.close();
      return tables;
    },
    terminate: async () => 0,
    loseDatabaseAnswer: () => 0,
  };
}

/** @returns the user's counter and tasks, by a first copy. */
async function currentOf(run: DrillRun, origin: string, user: string): Promise<{ counter: number; tasks: Task[] }> {
  const client = run.client();
  const tasks: Task[] = [];
  for (let cursor = ''; ; ) {
    const { status, body } = await client.request(`${origin}/api/changes?limit=1000${cursor}`, { user });
    if (status !== 200) throw new Error(`the changes of ${user} were answered ${status} ${body}`);
    const page: Changes = JSON.parse(body);
    tasks.push(...page.changes.flatMap(({ task }) => (task === null ? [] : [task])));
    if (!page.has_more) return { counter: page.version, tasks };
    cursor = `&cursor=${page.cursor}`;
  }
}

async function checkModel(run: DrillRun, place: Place, size: Size): Promise<Figures> {
  const { seed } = run;
  const random = (number: number) => new Random(seed * 1_000 + number);
  const { service } = place;
  await place.run(AUDIT);
  const spread = await Spread.start();
  run.onRelease(() => spread.close());
  const { origin } = spread;
  const fleet = new Fleet(service, spread, size.processes);
  await fleet.start();

  const journal = new Journal(run);
  const users = Array.from({ length: size.users }, (_, index) => `user_${index}`);
  const userOf = (index: number) => users[index % users.length] ?? '';
  const ids = new Map(users.map((user, index) => [user, new Ids(random(900 + index))]));
  const common = (user: string, name: string, number: number) => ({
    name,
    user,
    ids: ids.get(user) ?? new Ids(random(0)),
    random: random(number),
    client: run.client(),
    origin,
    journal,
    checks: run,
    pauseMs: size.pauseMs,
  });
  const numbers = (count: number) => [...Array(count).keys()];
  const writers = numbers(size.writers).map((index) => new Writer(common(userOf(index), `w${index}`, index)));
  const readers = numbers(size.readers).map((index) => new Reader(common(userOf(index), `m${index}`, 500 + index)));
  const mirrors = numbers(size.clientMirrors).map(
    (index) => new ClientMirror(common(userOf(size.readers + index), `c${index}`, 700 + index)),
  );
  const faults = new Faults({
    ...{ random: random(999), spread, fleet, size: size.processes, checks: run, restMs: size.restMs },
    terminate: place.terminate,
    loseDatabaseAnswer: place.loseDatabaseAnswer,
  });

  const ending = new AbortController();
  const end = ending.signal;
  setMaxListeners(0, end);
  const answered = () => journal.calls.filter(({ answers }) => answers.length > 0).length;
  const watch = async () => {
    await delay(size.seconds * 1_000);
    const deadline = performance.now() + MAX_EXTRA_MS;
    while (answered() < size.requests && performance.now() < deadline) await delay(100);
    ending.abort();
  };
  // Some mirrors begin in the middle.
  const later = (index: number) => delay((index % 3) * size.seconds * 250);
  await Promise.all([
    watch(),
    faults.run(end),
    ...writers.map((writer) => writer.run(end)),
    ...readers.map(async (reader, index) => later(index).then(() => reader.run(end))),
    ...mirrors.map(async (mirror, index) => later(index).then(() => mirror.run(end))),
  ]);
  await Promise.all(mirrors.map((mirror) => mirror.drained()));
  const current = new Map<string, Awaited<ReturnType<typeof currentOf>>>();
  for (const user of users) current.set(user, await currentOf(run, origin, user));
  await Promise.all([
    ...readers.map((reader) => reader.finish(current.get(reader.user)?.counter ?? 0)),
    ...mirrors.map((mirror) => mirror.finish(current.get(mirror.user)?.tasks ?? [])),
  ]);
  spread.close();
  const codes = await fleet.stop();
  run.expect(
    codes.every((code) => code === 0),
    `the processes exited with ${codes}`,
  );

  const [audit = [], tasks = [], counters = []] = await place.run([READ_AUDIT, READ_TASKS, READ_USERS]);
  const counts = { changes: 0, complete: 0, unknown: 0, told: 0 };
  for (const user of users) {
    const history = new History(
      user,
      audit.filter(([owner]) => owner === user),
      run,
    );
    const calls = journal.calls.filter((call) => call.user === user);
    counts.changes += history.counter;
    counts.unknown += new WriteJudge(history, calls, MAX_TASKS, run).judge().unknown;
    checkTables(run, history, tasks, counters);
    for (const reader of readers.filter((each) => each.user === user)) {
      const { complete, changes } = judgeMirror(reader, history, run);
      counts.complete += complete;
      counts.told += changes;
    }
  }
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  const sends = sum(journal.calls.map((call) => call.sends));
  const byStatus = [...journal.statuses]
    .sort(([a], [b]) => a - b)
    .map(([status, count]) => `${status || 'none'}: ${count}`);
  return {
    seed,
    requests: journal.calls.length,
    'sent, with those sent again': sends,
    'answers by status': byStatus.join(', '),
    'replayed answers': sum(journal.calls.map(({ answers }) => answers.filter(({ isReplayed }) => isReplayed).length)),
    changes: counts.changes,
    'changes told to mirrors': counts.told,
    'copies compared': counts.complete,
    'without an answer, and nothing changed': counts.unknown,
    'writes of the client’s mirrors': sum(mirrors.map(({ written }) => written)),
    'of these refused': sum(mirrors.map(({ conflicts }) => conflicts)),
    'processes killed': fleet.killed,
    'processes stopped': fleet.stopped,
    'database connections terminated': faults.terminated,
    'database answers lost': faults.lostByDatabase,
    'client connections cut': faults.cut,
    'answers lost on purpose': faults.lost,
  };
}

/** The tables are as the last states that were kept of their rows, and the counters as the rows. */
function checkTables(run: DrillRun, history: History, tasks: Table, counters: Table): void {
  const { user, counter } = history;
  const last = [...history.allAt(counter).values()];
  const stored = new Map(tasks.filter(([owner]) => owner === user).map(([, id, , json]) => [id, json]));
  const same = last.filter(({ id, json }) => JSON.stringify(JSON.parse(stored.get(id) ?? 'null')) === json);
  run.expect(same.length === last.length && stored.size === last.length, `${user}: the table is not as its changes`);
  const live = last.filter(({ state }) => !state.isDeleted).length;
  const trash = last.filter(({ state }) => state.isDeleted && state.title !== null).length;
  const row = counters.find(([id]) => id === user) ?? [];
  const expected = [user, String(counter), String(live), String(trash)];
  run.expect(row.join() === expected.join(), `the counters are ${row.join()}, and not ${expected.join()}`);
}

export const modelSync: Drill = {
  name: 'model-sync',
  holds:
    'writers and mirrors of the same users, connections cut, answers lost, processes killed: every write made once or not, ' +
    'as the contract says, every mirror equal to the database',
  timeoutSeconds: { short: 150, long: 300 },
  run: async (run) =>
    checkModel(run, await onPostgres(run), {
      ...{ users: 4, writers: 20, readers: 3, clientMirrors: 2, processes: 2, pauseMs: 30, restMs: 1_000 },
      seconds: run.scale === 'short' ? 8 : 120,
      requests: 500,
    }),
};

export const modelSyncEmbedded: Drill = {
  name: 'model-sync-embedded',
  holds: 'the same on the embedded database, with one process',
  timeoutSeconds: { short: 150, long: 240 },
  run: (run) =>
    checkModel(run, embedded(run), {
      ...{ users: 3, writers: 9, readers: 3, clientMirrors: 1, processes: 1, pauseMs: 30, restMs: 4_000 },
      seconds: run.scale === 'short' ? 8 : 60,
      requests: 300,
    }),
};
