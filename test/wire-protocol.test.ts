import assert from 'node:assert/strict';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import pg from 'pg';
import { asAdmin, type CreatedDatabase, createMigratedDatabase, openPostgresAt } from './support/postgres-database.ts';
import { onPostgres, type Person, type Service, startService, type Task } from './support/service.ts';

const HEADER_BYTES = 5;
const READY_FOR_QUERY = 'Z';
const DATA_ROW = 'D';
const PAUSE_MS = 20;

/** What is sent in place of one message; 'pause' delays it and what follows, 'close' ends the connection. */
type Mutation = (message: Buffer, type: string) => readonly Buffer[] | 'pause' | 'close';

/** Lets everything pass unchanged until a fault is set, then applies it to one message in `every`. */
class FaultyServer {
  mutation: Mutation = (message) => [message];
  /** One message in so many is mutated, after the first query of a connection. */
  every = Number.POSITIVE_INFINITY;
  mutated = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #target: URL;
  #seen = 0;

  private constructor(target: URL) {
    this.#target = target;
    this.#server = createServer((client) => this.#join(client));
  }

  static async start(target: string): Promise<FaultyServer> {
    const faulty = new FaultyServer(new URL(target));
    await new Promise<void>((resolve) => faulty.#server.listen(0, '127.0.0.1', resolve));
    return faulty;
  }

  get url(): string {
    const address = this.#server.address();
    const url = new URL(this.#target);
    if (typeof address === 'object' && address !== null) url.port = String(address.port);
    return url.href;
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }

  #join(client: Socket): void {
    const server = connect(Number(this.#target.port), this.#target.hostname);
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => this.#sockets.delete(socket));
    }
    client.on('data', (bytes) => server.write(bytes));
    client.once('close', () => server.destroy());
    server.once('close', () => client.destroy());
    let isStarted = false;
    let rest: Buffer = Buffer.alloc(0);
    server.on('data', (bytes: Buffer) => {
      rest = Buffer.concat([rest, bytes]);
      while (rest.length >= HEADER_BYTES && rest.length > rest.readInt32BE(1)) {
        const message = rest.subarray(0, rest.readInt32BE(1) + 1);
        rest = rest.subarray(message.length);
        const type = String.fromCharCode(message[0] ?? 0);
        this.#forward(client, server, message, isStarted ? type : '');
        if (type === READY_FOR_QUERY) isStarted = true;
      }
    });
  }

  #forward(client: Socket, server: Socket, message: Buffer, type: string): void {
    if (type !== '') this.#seen += 1;
    const isHit = type !== '' && this.#seen % this.every === 0;
    const sent = isHit ? this.mutation(message, type) : [message];
    if (isHit && (typeof sent === 'string' || sent.length !== 1 || sent[0] !== message)) this.mutated += 1;
    if (sent === 'close') {
      client.destroy();
    } else if (sent === 'pause') {
      server.pause();
      setTimeout(() => server.resume(), PAUSE_MS);
      client.write(message);
    } else {
      for (const each of sent) client.write(each);
    }
  }
}

const USERS = 8;
const ROUNDS = 10;

/** What several users see who create, read, list and toggle at once. */
async function useHeavily(people: readonly Person[], own: ReadonlyMap<Person, Task>, run: string) {
  const count = { answered: 0, failed: 0, foreign: 0 };
  const tally = (statusCode: number, isOwn: boolean) => {
    if (statusCode >= 500) count.failed += 1;
    else count.answered += 1;
    if (statusCode < 500 && !isOwn) count.foreign += 1;
  };
  const acknowledged: string[] = [];
  await Promise.all(
    people.map(async (person) => {
      const task = own.get(person);
      for (let round = 0; round < ROUNDS; round += 1) {
        const title = `${run} ${person.sub} ${round}`;
        const [one, all, created] = await Promise.all([
          person.send('GET', `/api/tasks/${task?.id}`),
          person.send('GET', '/api/tasks'),
          person.send('POST', '/api/tasks', { title }),
        ]);
        tally(one.statusCode, one.json<Task>().id === task?.id && one.json<Task>().user_id === person.sub);
        const tasks = all.statusCode === 200 ? all.json<{ tasks: Task[] }>().tasks : [];
        tally(
          all.statusCode,
          tasks.every(({ user_id }) => user_id === person.sub),
        );
        tally(created.statusCode, created.json<Task>().title === title);
        if (created.statusCode === 201) acknowledged.push(title);
      }
    }),
  );
  return { ...count, acknowledged };
}

const corrupted = (message: Buffer) => {
  const copy = Buffer.from(message);
  copy.writeInt16BE(0x7fff, HEADER_BYTES); // of a DataRow: the number of its columns
  return copy;
};

const FAULTS: readonly { name: string; every: number; mutation: Mutation; isHarmless?: boolean }[] = [
  {
    name: 'splits messages at every byte',
    every: 2,
    isHarmless: true,
    mutation: (m) => [...m].map((b) => Buffer.of(b)),
  },
  { name: 'doubles messages of every kind', every: 201, mutation: (m) => [m, m] },
  { name: 'doubles ReadyForQuery', every: 1, mutation: doubled(READY_FOR_QUERY, 59) },
  { name: 'doubles rows', every: 1, mutation: doubled(DATA_ROW, 61) },
  { name: 'drops messages of every kind', every: 401, mutation: () => [] },
  { name: 'closes between messages', every: 203, mutation: () => 'close' },
  { name: 'sends rows that cannot be parsed', every: 1, mutation: onEach(DATA_ROW, 67, (m) => [corrupted(m)]) },
  {
    name: 'sends messages of an unknown kind',
    every: 211,
    mutation: (m) => [Buffer.concat([Buffer.from('!'), m.subarray(1)])],
  },
  { name: 'delays messages', every: 53, isHarmless: true, mutation: () => 'pause' },
];

function onEach(wanted: string, nth: number, mutation: (message: Buffer) => readonly Buffer[]): Mutation {
  let seen = 0;
  return (message, type) => {
    if (type !== wanted) return [message];
    seen += 1;
    return seen % nth === 0 ? mutation(message) : [message];
  };
}

function doubled(type: string, nth: number): Mutation {
  return onEach(type, nth, (message) => [message, message]);
}

onPostgres('a database connection that breaks the protocol', () => {
  let created: CreatedDatabase;
  let faulty: FaultyServer;
  let service: Service;
  const people: Person[] = [];
  const own = new Map<Person, Task>();
  before(async () => {
    created = await createMigratedDatabase();
    faulty = await FaultyServer.start(created.url);
    service = await startService(await openPostgresAt(faulty.url, { statementTimeoutMs: 2_000 }));
    for (let index = 0; index < USERS; index += 1) {
      const person = await service.person(`user-${index}`);
      people.push(person);
      own.set(person, await person.create(`of ${person.sub}`));
    }
  });
  after(async () => {
    await service.close();
    faulty.close();
    await created.remove();
  });

  for (const { name, every, mutation, isHarmless = false } of FAULTS) {
    test(`${name}: nobody gets an answer that is not theirs, and no write is applied twice`, async () => {
      Object.assign(faulty, { every, mutation, mutated: 0 });
      const { answered, failed, foreign, acknowledged } = await useHeavily(people, own, name);
      faulty.every = Number.POSITIVE_INFINITY;
      assert.ok(faulty.mutated > 0, 'the fault occurred');
      assert.equal(foreign, 0);
      assert.equal(answered + failed, USERS * ROUNDS * 3);
      if (isHarmless) assert.equal(failed, 0);
      const admin = new pg.Client(created.url);
      await admin.connect();
      const { rows } = await admin.query<{ title: string; count: string }>(
        'select title, count(*) from todo.tasks where starts_with(title, $1) group by title',
        [name],
      );
      await admin.end();
      const stored = new Map(rows.map(({ title, count }) => [title, Number(count)]));
      assert.deepEqual([...new Set(stored.values())], [1], 'a title is stored once');
      for (const title of acknowledged) assert.ok(stored.has(title), `${title} was acknowledged`);
    });
  }
});

/** Applies `mutate` to whole answers: the messages up to ReadyForQuery. */
function onAnswers(mutate: (answer: Buffer) => readonly Buffer[]): Mutation {
  let answer: Buffer[] = [];
  return (message, type) => {
    answer.push(message);
    if (type !== READY_FOR_QUERY) return [];
    const whole = Buffer.concat(answer);
    answer = [];
    return mutate(whole);
  };
}

onPostgres('an answer displaced by one, before or behind an error that asks for a retry', () => {
  for (const fault of ['doubled', 'dropped'] as const) {
    test(`an answer is ${fault}: the write beside it is applied once`, async (t) => {
      const created = await createMigratedDatabase();
      const faulty = await FaultyServer.start(created.url);
      const service = await startService(
        await openPostgresAt(faulty.url, { connections: 1, statementTimeoutMs: 2_000 }),
      );
      t.after(async () => {
        await service.close();
        faulty.close();
        await created.remove();
      });
      const person = await service.person();
      const [loser, other] = [await person.create('loser'), await person.create('other')];
      const toggle = (task: Task) => person.send('POST', `/api/tasks/${task.id}/toggle`);
      for (const task of [loser, other]) for (let times = 0; times < 2; times += 1) await toggle(task);
      await asAdmin(
        created.url,
        `create table todo.applied (title text); grant insert on todo.applied to todo_app;
         create sequence todo.tries; grant usage on sequence todo.tries to todo_app;
         create function todo.lose() returns trigger language plpgsql as $$
         begin
           if new.title = 'loser' and nextval('todo.tries') = 1 then
             raise exception 'lost' using errcode = 'serialization_failure';
           end if;
           insert into todo.applied values (new.title);
           return new;
         end $$;
         create trigger lose before update on todo.tasks for each row execute function todo.lose()`,
      );
      let isArmed = true;
      const hit = (answer: Buffer) => {
        const isHit = isArmed && (fault === 'dropped' || answer.includes('C40001\0'));
        if (isHit) isArmed = false;
        if (!isHit) return [answer];
        return fault === 'doubled' ? [answer, answer] : [];
      };
      Object.assign(faulty, { every: 1, mutation: onAnswers(hit) });
      await Promise.all((fault === 'dropped' ? [other, loser] : [loser, other]).map(toggle));
      assert.equal(isArmed, false, 'the fault occurred');
      const { rows } = await asAdmin(
        created.url,
        `select count(*)::int as times from todo.applied where title = 'other'`,
      );
      assert.ok(rows[0]?.times <= 1, `applied ${rows[0]?.times} times`);
    });
  }
});
