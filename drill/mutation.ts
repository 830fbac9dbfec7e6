import { createPostgresDatabase, signToken } from '../test/support/service.ts';
import { Client } from './support/client.ts';
import { type Drill, Findings } from './support/drill.ts';
import { findMutants, ScratchCopy } from './support/mutants.ts';
import { Scene, startPostgres } from './support/scene.ts';

interface Task {
  readonly id: string;
  readonly user_id: string;
  readonly title: string;
}

interface Trespass {
  tries: number;
  /** Answers that showed or changed a row of somebody else's. */
  foreign: number;
}

/** Has one user try everything on another's tasks. */
async function trespass(origin: string, tally: Trespass): Promise<void> {
  const client = new Client();
  const [owner, other] = await Promise.all([signToken('owner'), signToken('other')]);
  const url = `${origin}/api/tasks`;
  const list = async (token: string): Promise<Task[]> => {
    const { status, body } = await client.ask(url, { token });
    if (status !== 200) throw new Error(`a list was answered ${status}: ${body}`);
    return (JSON.parse(body) as { tasks: Task[] }).tasks;
  };
  const create = (token: string, title: string) => client.ask(url, { method: 'POST', token, body: { title } });
  for (const title of ['first', 'second', 'third']) await create(owner, title);
  const before = await list(owner);
  if (before.length !== 3) throw new Error('the owner’s tasks are not there');
  const ways = [
    { method: 'GET', path: '' },
    { method: 'PUT', path: '', body: { title: 'mine' } },
    { method: 'PATCH', path: '', body: { is_completed: true } },
    { method: 'POST', path: '/toggle' },
    { method: 'DELETE', path: '' },
  ];
  for (const known of [false, true]) {
    if (known) await create(other, 'my own');
    tally.tries += 1;
    if ((await list(other)).some(({ user_id }) => user_id !== 'other')) tally.foreign += 1;
    for (const { id } of before) {
      for (const { path, ...way } of ways) {
        tally.tries += 1;
        const answer = await client.ask(`${url}/${id}${path}`, { ...way, token: other });
        if (answer.status !== 404) tally.foreign += 1;
      }
    }
  }
  if (JSON.stringify(await list(owner)) !== JSON.stringify(before)) tally.foreign += 1;
  client.close();
}

export const mutation: Drill = {
  name: 'mutation',
  holds:
    'each owner condition dropped from its SQL statement in turn: row-level security shows and changes nothing foreign, and the tests notice',
  within: { short: 120, long: 400 },
  run: async (scale) => {
    const findings = new Findings();
    const mutants = findMutants();
    const tally: Trespass = { tries: 0, foreign: 0 };
    let noticed = 0;
    const server = await startPostgres();
    const copy = new ScratchCopy();
    try {
      for (const mutant of mutants) {
        copy.build(mutant);
        const database = await createPostgresDatabase(server.url());
        for (const place of scale === 'long'
          ? [{}, { DATABASE_URL: database.url }]
          : [{ DATABASE_URL: database.url }]) {
          const scene = new Scene(place, copy.main);
          const before = tally.foreign;
          await scene.start();
          await trespass(scene.origin, tally).finally(() => scene.clear());
          findings.expect(tally.foreign === before, `${mutant.name}: foreign rows were shown or changed`);
        }
        const failed = copy.test(['owner-in-statement.test.ts'], server.url());
        if (failed.length > 0) noticed += 1;
        findings.expect(failed.length > 0, `${mutant.name}: no test failed`);
        if (scale === 'long') {
          const leaks = copy.test(['isolation.test.ts'], server.url());
          findings.expect(leaks.length === 0, `${mutant.name}: ${leaks.join(', ')}`);
        }
      }
    } finally {
      copy.remove();
      await server.remove();
    }
    const figures = {
      'conditions dropped': mutants.length,
      'tries at foreign rows': tally.tries,
      'shown or changed': tally.foreign,
      'noticed by the tests': noticed,
    };
    return { figures, faults: findings.faults };
  },
};
