import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import pg from 'pg';
import { commandsOfUser, type Seat, type UserCommand } from './support/model-commands.ts';
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
 * Several users at once do what the contract allows and what it does not, and every answer is held against a model in memory.
 * MODEL_RUNS asks for more runs; MODEL_SEED and MODEL_PATH, which a failure prints, for the commands of one run again.
 */

const USERS = 5;
const COMMANDS = 60;
const RUNS = Number(process.env.MODEL_RUNS ?? 12);
const SEED = process.env.MODEL_SEED;
const PATH = process.env.MODEL_PATH;

const TERMINATE = `select pg_terminate_backend(pid) from pg_stat_activity
  where datname = current_database() and pid <> pg_backend_pid() order by random() limit $1`;

type Script = Iterable<UserCommand>;

/** What is done to the service's connections once so many answers have come in all. */
interface Cut {
  readonly afterAnswers: number;
  /** The server ends one, or all of them; or an answer of its is lost on the way, so that what it answered has happened. */
  readonly kind: 'one' | 'all' | 'answer';
}

const scripts = fc.array(commandsOfUser(COMMANDS), { minLength: USERS, maxLength: USERS });
const cuts: fc.Arbitrary<Cut[]> = fc.array(
  fc.record({ afterAnswers: fc.nat(USERS * COMMANDS), kind: fc.constantFrom('one', 'all', 'answer') }),
  {
    minLength: 10,
    maxLength: 30,
  },
);

async function everybodyAtOnce(service: Service, users: readonly Script[], seat: Omit<Seat, 'person' | 'everyTask'>) {
  const everyTask: Task[] = [];
  await Promise.all(
    users.map(async (script) => {
      const person = await service.person();
      const expected = new ExpectedTasks(person.sub);
      await fc.asyncModelRun(() => ({ model: expected, real: { person, everyTask, ...seat } }), script);
      for (;;) {
        const answer = await person.send('GET', '/api/tasks');
        if (answer.statusCode === 200) return expected.isListed(answer.json<{ tasks: Task[] }>().tasks);
        assert.ok(seat.mayFail, `the last list was answered ${answer.statusCode}`);
      }
    }),
  );
}

/** Runs the property, and says how to have the same commands again where it fails. */
async function hold<Ts>(property: fc.IAsyncProperty<Ts>): Promise<void> {
  const replayed = SEED === undefined ? {} : { seed: Number(SEED), ...(PATH === undefined ? {} : { path: PATH }) };
  const details = await fc.check(property, { numRuns: RUNS, endOnFailure: true, ...replayed });
  if (!details.failed) return;
  const again = `MODEL_SEED=${details.seed} MODEL_PATH=${details.counterexamplePath} npm test -- test/model.test.ts`;
  const told = await fc.asyncDefaultReportMessage(details);
  const message = `${told}\n\nThe same commands again (how they meet differs from run to run): ${again}`;
  throw new Error(message, { cause: details.errorInstance });
}

onEachDatabase('everything several users do at once', (service) => {
  test('is as one user’s model says, whatever the others do', () =>
    hold(
      fc.asyncProperty(scripts, (users) =>
        everybodyAtOnce(service(), users, { mayFail: false, onAnswer: async () => undefined }),
      ),
    ));
});

onPostgres('everything several users do at once while connections are ended', () => {
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

  const cut = async ({ kind }: Cut): Promise<void> => {
    if (kind === 'answer') relay.loseNextAnswer();
    else await admin.query(TERMINATE, [kind === 'one' ? 1 : 100]);
  };

  test('is as the model says: nothing acknowledged is lost, nothing happens twice, nothing foreign is seen', () =>
    hold(
      fc.asyncProperty(scripts, cuts, async (users, planned) => {
        let answers = 0;
        const onAnswer = async () => {
          answers += 1;
          for (const one of planned) if (one.afterAnswers === answers) await cut(one);
        };
        await everybodyAtOnce(service, users, { mayFail: true, onAnswer });
      }),
    ));
});
