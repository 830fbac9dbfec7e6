import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { signToken } from '../../test/support/service.ts';
import type { Answer, Client } from './client.ts';

/** Fewer than a list shows, so that one list shows all tasks of a user. */
const TASKS_OF_ONE_USER = 500;

interface Person {
  readonly sub: string;
  readonly token: string;
  /** Titles that were sent, whatever became of them. */
  readonly sent: Set<string>;
  /** Titles by the ids of the tasks that were answered 201. */
  readonly acknowledged: Map<string, string>;
}

export interface Audit {
  readonly acknowledged: number;
  /** Acknowledged tasks that are there, with the title they were given. */
  readonly found: number;
  readonly lost: number;
  /** Tasks that are there without having been acknowledged: their answer was lost. */
  readonly unacknowledged: number;
  /** Tasks that are there twice, were never sent, or are another user's. */
  readonly wrong: number;
}

interface Task {
  readonly id: string;
  readonly user_id: string;
  readonly title: string;
}

async function meetSomebody(): Promise<Person> {
  const sub = `drill_${randomUUID()}`;
  return { sub, token: await signToken(sub), sent: new Set(), acknowledged: new Map() };
}

/** Writes tasks and remembers what the service said of each, to hold it to its word afterwards. */
export class Ledger {
  readonly #client: Client;
  readonly #people: Promise<Person>[] = [];
  readonly statuses = new Map<number, number>();
  readonly tookMs: number[] = [];
  sent = 0;

  constructor(client: Client) {
    this.#client = client;
  }

  /** Creates one task at the service at `origin`. */
  async write(origin: string): Promise<Answer> {
    const number = this.sent;
    this.sent += 1;
    const at = Math.floor(number / TASKS_OF_ONE_USER);
    this.#people[at] ??= meetSomebody();
    const person = await this.#people[at];
    const title = `task ${number}`;
    person.sent.add(title);
    const answer = await this.#client.ask(`${origin}/api/tasks`, {
      method: 'POST',
      token: person.token,
      body: { title },
    });
    this.statuses.set(answer.status, (this.statuses.get(answer.status) ?? 0) + 1);
    this.tookMs.push(answer.tookMs);
    if (answer.status === 201) person.acknowledged.set((JSON.parse(answer.body) as Task).id, title);
    return answer;
  }

  /**
   * Writes `perSecond` tasks a second to wherever `origin()` says, for `seconds` or until `signal` aborts, without waiting for
   * answers in between; settles when every one of them has been answered or has failed.
   */
  async writeSteadily(origin: () => string, perSecond: number, seconds: number, signal?: AbortSignal): Promise<void> {
    const from = performance.now();
    const underWay = new Set<Promise<unknown>>();
    let count = 0;
    while (performance.now() - from < seconds * 1000 && signal?.aborted !== true) {
      for (; count < ((performance.now() - from) / 1000) * perSecond; count += 1) {
        const write = this.write(origin()).finally(() => underWay.delete(write));
        underWay.add(write);
      }
      await delay(2);
    }
    await Promise.all(underWay);
  }

  /** Reads everything back from the service at `origin`. */
  async audit(origin: string): Promise<Audit> {
    const totals = { acknowledged: 0, found: 0, lost: 0, unacknowledged: 0, wrong: 0 };
    for (const person of await Promise.all(this.#people)) {
      const answer = await this.#client.ask(`${origin}/api/tasks`, { token: person.token });
      if (answer.status !== 200) throw new Error(`a list was answered ${answer.status}: ${answer.body}`);
      const { tasks } = JSON.parse(answer.body) as { tasks: Task[] };
      const titles = new Map(tasks.map(({ id, title }) => [id, title]));
      const found = [...person.acknowledged].filter(([id, title]) => titles.get(id) === title).length;
      const right = tasks.filter(({ user_id, title }) => user_id === person.sub && person.sent.has(title));
      totals.acknowledged += person.acknowledged.size;
      totals.found += found;
      totals.lost += person.acknowledged.size - found;
      totals.unacknowledged += new Set(right.map(({ title }) => title)).size - found;
      totals.wrong += tasks.length - new Set(right.map(({ title }) => title)).size;
    }
    return totals;
  }

  /** How many answers had a status other than these; 0 is no answer at all. */
  otherThan(...statuses: readonly number[]): number {
    let count = 0;
    for (const [status, times] of this.statuses) if (!statuses.includes(status)) count += times;
    return count;
  }

  /** The answers by status, for people: `201: 980, none: 20`. */
  answers(): string {
    return [...this.statuses]
      .sort(([a], [b]) => a - b)
      .map(([status, times]) => `${status === 0 ? 'none' : status}: ${times}`)
      .join(', ');
  }
}
