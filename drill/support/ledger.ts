import { setTimeout as delay } from 'node:timers/promises';
import { v7 as uuidv7 } from 'uuid';
import { ByteBudget } from '../../dist/core/byte-budget.js';
import { AppError } from '../../dist/core/errors.js';
import type { Principal, UserId } from '../../dist/core/user.js';
import type { Database } from '../../dist/database/database.js';
import type { TaskId } from '../../dist/tasks/task.js';
import { taskEffects } from '../../dist/tasks/task-effects.js';
import { createTaskService, type TaskService } from '../../dist/tasks/task-service.js';
import type { WriteResult } from '../../dist/writes/outcome.js';
import { createWriter } from '../../dist/writes/writer.js';
import { statement } from '../../test/support/statements.ts';

/** A state of a task that a request has made: its JSON, or null when it does not exist. */
interface Version {
  readonly json: string | null;
  /** The answer of the embedded database that acknowledged it; null for the state before all requests. */
  readonly answer: string | null;
}

/** A task with the states it went through, each acknowledged before the next was asked for. */
interface History {
  readonly user: Principal;
  readonly id: string;
  readonly versions: Version[];
}

const USERS = 8;
const WRITERS = 32;
const RETRY_MS = 50;
/** The service ignores the order of fields, so the text that it returns is compared. */
const normalize = (json: string) => JSON.stringify(JSON.parse(json));
const withoutVersion = (json: string | null) => json && JSON.stringify({ ...JSON.parse(json), version: 0 });
const UNGUARDED = { expected: null, retry: null } as const;
const principal = (name: string): Principal => ({ userId: name as UserId, email: `${name}@example.com` });

/** `database`, which sends again what a busy machine has let wait too long in the queue: it was not sent before. */
export const patient = (database: Database): Database => ({
  ...database,
  transaction: async (identity, statements) => {
    for (;;) {
      try {
        return await database.transaction(identity, statements);
      } catch (error) {
        if (!(error instanceof AppError && error.code === 'SERVICE_UNAVAILABLE')) throw error;
        await delay(RETRY_MS);
      }
    }
  },
});

/** The use cases on `patient(database)`, without limits. */
export function tasksOn(database: Database): TaskService {
  const own = patient(database);
  const writer = createWriter(own, () => undefined);
  const effects = taskEffects({ maxTasksPerUser: 0, deletedTasksDays: 30 }, Date.now);
  return createTaskService({
    database: own,
    writer,
    effects,
    unsent: new ByteBudget(Number.POSITIVE_INFINITY),
    clock: Date.now,
  });
}

/** @returns the task that a write was answered with. @throws if it was refused. */
function written({ outcome: { kind, id, json } }: WriteResult): { readonly id: string; readonly json: string } {
  if (id === null || json === null || (kind !== 'created' && kind !== 'changed')) throw new Error(`A write is ${kind}`);
  return { id, json: normalize(json) };
}

/** Writes tasks and remembers every state that was acknowledged, and by which answer; each user is a writer's. */
export class Ledger {
  readonly #histories: History[] = [];
  readonly #users = Array.from({ length: USERS }, (_, index) => principal(`writer-${index}`));
  readonly #lastAnswer: () => string;
  readonly #random: () => number;
  #count = 0;
  refused = 0;

  constructor(lastAnswer: () => string, random: () => number) {
    this.#lastAnswer = lastAnswer;
    this.#random = random;
  }

  get acknowledged(): number {
    return this.#histories.reduce((sum, { versions }) => sum + versions.length - 1, 0);
  }

  get users(): readonly Principal[] {
    return this.#users;
  }

  /** Sends `requests` requests from 32 writers at once: creates, changes, deletions, restores, lists, refused writes. */
  async load(database: Database, requests: number): Promise<void> {
    const tasks = tasksOn(database);
    let left = requests;
    const write = async (writer: number) => {
      const user = this.#users[writer % USERS] ?? principal('nobody');
      const own: History[] = [];
      const deleted: History[] = [];
      while (left > 0) {
        left -= 1;
        await this.#next(database, tasks, user, own, deleted);
      }
    };
    await Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)));
  }

  /** Removes the row of every task, as `admin` may. */
  async removeAll(database: Database): Promise<readonly History[]> {
    const existing = this.#histories.filter(({ versions }) => versions.at(-1)?.json != null);
    await Promise.all(
      existing.map(async ({ user, id, versions }) => {
        const remove = statement('delete from todo.tasks where user_id = $1 and id = $2', [user.userId, id]);
        await patient(database).transaction({ kind: 'admin' }, [remove]);
        this.#acknowledge(versions, null);
      }),
    );
    return existing;
  }

  /**
   * Notes that `histories` are as they were before their last change, with other versions: a restore of a backup has
   * been acknowledged. @throws if they are not.
   */
  async restored(database: Database, histories: readonly History[]): Promise<void> {
    const answer = this.#lastAnswer();
    const lists = await readTasks(database, this.#users);
    for (const { user, id, versions } of histories) {
      const json = lists.get(user.userId)?.get(id) ?? null;
      const before = versions.at(-2)?.json ?? null;
      if (withoutVersion(json) !== withoutVersion(before)) throw new Error(`Restored as ${json} instead of ${before}`);
      versions.push({ json, answer });
    }
  }

  /**
   * What is wrong with `lists`, the stored tasks of each user by id, if `isAcknowledged` tells which answers had left:
   * each task must be in the state acknowledged last, or in the one asked for next.
   */
  faultsOf(
    lists: ReadonlyMap<UserId, ReadonlyMap<string, string>>,
    isAcknowledged: (answer: string) => boolean,
  ): string[] {
    const faults: string[] = [];
    const known = new Set<string>();
    for (const { user, id, versions } of this.#histories) {
      known.add(id);
      const found = lists.get(user.userId)?.get(id) ?? null;
      const last = versions.findLastIndex(({ answer }) => answer === null || isAcknowledged(answer));
      const allowed = versions.slice(last, last + 2);
      if (allowed.some(({ json }) => json === found)) continue;
      const expected = allowed.map(({ json }) => json ?? 'no task').join(' or ');
      faults.push(`task ${id} of ${user.userId} is ${found ?? 'missing'} instead of ${expected}`);
    }
    for (const [user, list] of lists) {
      for (const [id, json] of list) if (!known.has(id)) faults.push(`${user} has a task never acknowledged: ${json}`);
    }
    return faults;
  }

  async #next(
    database: Database,
    tasks: TaskService,
    user: Principal,
    own: History[],
    deleted: History[],
  ): Promise<void> {
    const choice = this.#random();
    const history = own[Math.floor(this.#random() * own.length)];
    if (choice < 0.05) await this.#beRefused(database, user);
    else if (choice < 0.15) await tasks.list(user, null);
    else if (choice < 0.6 || history === undefined) own.push(await this.#create(tasks, user));
    else if (choice < 0.75) {
      await this.#change(history, (id) => tasks.update(user, id, { description: this.#text() }, UNGUARDED));
    } else if (choice < 0.85) await this.#change(history, (id) => tasks.toggle(user, id, {}, UNGUARDED));
    else if (choice < 0.9 && deleted.length > 0) {
      const restored = deleted.pop() ?? history;
      await this.#change(restored, (id) => tasks.restore(user, id, UNGUARDED));
      own.push(restored);
    } else {
      own.splice(own.indexOf(history), 1);
      await this.#delete(tasks, history);
      deleted.push(history);
    }
  }

  /** Up to 2,000 characters, so that some records go over several pages of the WAL. */
  #text(): string {
    return `${this.#count++} `
      .repeat(1 + Math.floor(this.#random() ** 4 * 300))
      .slice(0, 2_000)
      .trim();
  }

  async #create(tasks: TaskService, user: Principal): Promise<History> {
    const task = { title: `task ${this.#count++}`, description: this.#text() };
    const { id, json } = written(await tasks.create(user, task, null));
    const history: History = { user, id, versions: [{ json: null, answer: null }] };
    this.#acknowledge(history.versions, json);
    this.#histories.push(history);
    return history;
  }

  async #change({ id, versions }: History, send: (id: TaskId) => Promise<WriteResult>): Promise<void> {
    this.#acknowledge(versions, written(await send(id as TaskId)).json);
  }

  async #delete(tasks: TaskService, { user, id, versions }: History): Promise<void> {
    const { outcome } = await tasks.delete(user, id as TaskId, UNGUARDED);
    if (outcome.kind !== 'deleted') throw new Error(`A deletion is ${outcome.kind}`);
    this.#acknowledge(versions, null);
  }

  /** A transaction that inserts a task and then rolls back. */
  async #beRefused(database: Database, user: Principal): Promise<void> {
    const insert = statement('insert into todo.tasks (user_id, id, title) values ($1, $2, $3)', [
      user.userId,
      uuidv7(),
      'refused',
    ]);
    const abort = statement(`select todo.abort('TD999', 'refused')`);
    const refused = await patient(database)
      .transaction({ kind: 'user', userId: user.userId }, [insert, abort])
      .then(
        () => false,
        () => true,
      );
    if (!refused) throw new Error('A transaction that rolls back was acknowledged');
    this.refused += 1;
  }

  #acknowledge(versions: Version[], json: string | null): void {
    versions.push({ json, answer: this.#lastAnswer() });
  }
}

/** The stored tasks of `users` by id, as the service lists them. */
export async function readTasks(
  database: Database,
  users: readonly Principal[],
): Promise<Map<UserId, ReadonlyMap<string, string>>> {
  const tasks = tasksOn(database);
  const lists = await Promise.all(users.map((user) => tasks.list(user, null)));
  return new Map(
    users.map(({ userId }, index) => {
      const { tasks: listed }: { tasks: { id: string }[] } = JSON.parse(String(lists[index]?.json));
      return [userId, new Map(listed.map((task) => [task.id, JSON.stringify(task)]))];
    }),
  );
}
