import { randomUUID } from 'node:crypto';
import { signToken } from '../../test/support/service.ts';
import type { Answer, Client } from './client.ts';
import type { Findings } from './drill.ts';
import { steadily } from './steadily.ts';
import { Tally } from './tally.ts';

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
export class Ledger extends Tally {
  readonly #client: Client;
  readonly #people: Promise<Person>[] = [];
  readonly #rest: object;
  sent = 0;

  /** @param rest what every task has besides its title. */
  constructor(client: Client, rest: object = {}) {
    super();
    this.#client = client;
    this.#rest = rest;
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
    const body = { ...this.#rest, title };
    const answer = this.note(
      await this.#client.ask(`${origin}/api/tasks`, { method: 'POST', token: person.token, body }),
    );
    if (answer.status === 201) person.acknowledged.set((JSON.parse(answer.body) as Task).id, title);
    return answer;
  }

  /**
   * Writes `perSecond` tasks a second to wherever `origin()` says, for `seconds` or until `signal` aborts, without waiting for
   * answers in between; settles when every one of them has been answered or has failed.
   */
  async writeSteadily(origin: () => string, perSecond: number, seconds: number, signal?: AbortSignal): Promise<void> {
    await steadily({ perSecond, seconds, signal }, () => this.write(origin()));
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

  /** Reads everything back from the service at `origin`, and notes what is not as it was acknowledged. */
  async settle(origin: string, findings: Findings): Promise<Audit> {
    const audit = await this.audit(origin);
    findings.expect(audit.lost === 0, `${audit.lost} acknowledged writes are gone`);
    findings.expect(audit.wrong === 0, `${audit.wrong} tasks are there that nobody wrote, or twice`);
    return audit;
  }
}
