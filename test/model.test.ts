import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import pg from 'pg';
import { commandsOfUser, type Session, type UserCommand } from './support/model-commands.ts';
import { Relay, startServiceThrough } from './support/relay.ts';
import {
  createPostgresDatabase,
  onEachDatabase,
  onPostgres,
  POSTGRES_URL,
  type Service,
  type Task,
} from './support/service.ts';
import { ExpectedTasks } from './support/task-model.ts';

/*
 * Several users concurrently send allowed and forbidden requests, and every response is compared with a model in
 * memory. MODEL_RUNS sets the number of runs; MODEL_SEED and MODEL_PATH, which a failure prints, replay the commands
 * of one run.
 */

const USERS = 5;
const COMMANDS = 60;
const RUNS = Number(process.env.MODEL_RUNS ?? 12);
const SEED = process.env.MODEL_SEED;
const PATH = process.env.MODEL_PATH;

const TERMINATE = `select pg_terminate_backend(pid) from pg_stat_activity
  where datname = current_database() and pid <> pg_backend_pid() order by random() limit $1`;

const nothing = async () => undefined;

type Script = Iterable<UserCommand>;

/** A fault of the service's database connections, injected after the given number of responses. */
interface Fault {
  readonly afterResponses: number;
  /** The server terminates one connection, or all; or its next response is lost, after the statements have run. */
  readonly kind: 'one' | 'all' | 'response';
}

const scripts = fc.array(commandsOfUser(COMMANDS), { minLength: USERS, maxLength: USERS });
const faults: fc.Arbitrary<Fault[]> = fc.array(
  fc.record({ afterResponses: fc.nat(USERS * COMMANDS), kind: fc.constantFrom('one', 'all', 'response') }),
  {
    minLength: 10,
    maxLength: 30,
  },
);

async function runConcurrently(
  service: Service,
  users: readonly Script[],
  session: Omit<Session, 'person' | 'everyTask'>,
) {
  const everyTask: Task[] = [];
  await Promise.all(
    users.map(async (script) => {
      const person = await service.person();
      const expected = new ExpectedTasks(person.sub);
      await fc.asyncModelRun(() => ({ model: expected, real: { person, everyTask, ...session } }), script);
      for (;;) {
        const answer = await person.send('GET', '/api/tasks');
        if (answer.statusCode === 200) return expected.isListed(answer.json<{ tasks: Task[] }>().tasks);
        assert.ok(session.mayFail, `the final list was answered ${answer.statusCode}`);
      }
    }),
  );
}

/** Checks the property; a failure says how to replay its commands. */
async function check<Ts>(property: fc.IAsyncProperty<Ts>): Promise<void> {
  const replayed = SEED === undefined ? {} : { seed: Number(SEED), ...(PATH === undefined ? {} : { path: PATH }) };
  const details = await fc.check(property, { numRuns: RUNS, endOnFailure: true, ...replayed });
  if (!details.failed) return;
  const replay = `MODEL_SEED=${details.seed} MODEL_PATH=${details.counterexamplePath} npm test -- test/model.test.ts`;
  const report = await fc.asyncDefaultReportMessage(details);
  const message = `${report}\n\nTo replay the same commands (their interleaving differs from run to run): ${replay}`;
  throw new Error(message, { cause: details.errorInstance });
}

onEachDatabase('concurrent requests of several users', (service) => {
  test('every response to a user agrees with a model of that user’s tasks alone', () =>
    check(
      fc.asyncProperty(scripts, (users) =>
        runConcurrently(service(), users, { mayFail: false, onAnswer: nothing, settled: nothing }),
      ),
    ));
});

onPostgres('concurrent requests of several users while database connections are lost', () => {
  let created: { url: string; remove: () => Promise<void> };
  let relay: Relay;
  let service: Service;
  let admin: pg.Client;
  before(async () => {
    created = await createPostgresDatabase(POSTGRES_URL ?? '');
    relay = await Relay.start(created.url);
    service = await startServiceThrough(relay, created.url, 4);
    admin = new pg.Client(created.url);
    await admin.connect();
  });
  after(async () => {
    await admin.end();
    await service.close();
    relay.close();
    await created.remove();
  });

  const inject = async ({ kind }: Fault): Promise<void> => {
    if (kind === 'response') relay.loseNextAnswer();
    else await admin.query(TERMINATE, [kind === 'one' ? 1 : 100]);
  };

  test('no acknowledged write is lost, none is applied twice, no foreign task is seen', () =>
    check(
      fc.asyncProperty(scripts, faults, async (users, planned) => {
        let responses = 0;
        const onAnswer = async () => {
          responses += 1;
          for (const one of planned) if (one.afterResponses === responses) await inject(one);
        };
        await runConcurrently(service, users, { mayFail: true, onAnswer, settled: () => relay.settled() });
      }),
    ));
});
