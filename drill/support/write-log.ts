import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Checks } from './checks.ts';
import type { Client, Response } from './client.ts';

/** Fewer than the limit of a list, so that one list has all tasks of a user. */
const TASKS_PER_USER = 500;
/** Users who write in turn: so many that none has over 8 requests in progress while the database does not answer. */
const WRITERS = 128;
const READ_BACK_TIMEOUT_MS = 5_000;

interface Writer {
  readonly user: string;
  /** The titles of all requests, whatever their outcome. */
  readonly sent: Set<string>;
  /** Task id to title, of the requests answered 201. */
  readonly acknowledged: Map<string, string>;
}

interface Task {
  readonly id: string;
  readonly user_id: string;
  readonly title: string;
}

const newWriter = (): Writer => ({ user: `writer_${randomUUID()}`, sent: new Set(), acknowledged: new Map() });

/** Creates tasks, remembers which were acknowledged, and verifies afterwards that these are stored. */
export class WriteLog {
  readonly #client: Client;
  readonly #writers: Writer[] = [];
  readonly #fields: object;
  sent = 0;

  /** @param fields what every task has besides its title. */
  constructor(client: Client, fields: object = {}) {
    this.#client = client;
    this.#fields = fields;
  }

  /** Creates one task at the service at `origin`. */
  async write(origin: string): Promise<Response> {
    const writer = this.#nextWriter();
    const title = `task ${this.sent}`;
    this.sent += 1;
    writer.sent.add(title);
    const body = { ...this.#fields, title };
    const response = await this.#client.request(`${origin}/api/tasks`, { method: 'POST', user: writer.user, body });
    if (response.status === 201) {
      const { id }: Task = JSON.parse(response.body);
      writer.acknowledged.set(id, title);
    }
    return response;
  }

  /**
   * Reads all tasks back from the service at `origin`, and checks that every acknowledged one is stored once, with its
   * title and owner, and that nothing else is.
   */
  async verify(origin: string, checks: Checks): Promise<Record<string, number>> {
    const totals = { acknowledged: 0, found: 0, lost: 0, unacknowledged: 0, wrong: 0 };
    for (const { user, sent, acknowledged } of this.#writers) {
      const list = await this.#readBack(origin, user);
      if (list.status !== 200) {
        checks.expect(false, `the tasks of ${user} cannot be read back: ${list.status} ${list.body.slice(0, 200)}`);
        return {};
      }
      const { tasks }: { tasks: Task[] } = JSON.parse(list.body);
      const titles = new Map(tasks.map(({ id, title }) => [id, title]));
      const found = [...acknowledged].filter(([id, title]) => titles.get(id) === title).length;
      const valid = tasks.filter(({ user_id, title }) => user_id === user && sent.has(title));
      const distinct = new Set(valid.map(({ title }) => title)).size;
      totals.acknowledged += acknowledged.size;
      totals.found += found;
      totals.lost += acknowledged.size - found;
      totals.unacknowledged += distinct - found;
      totals.wrong += tasks.length - distinct;
    }
    checks.expect(totals.lost === 0, `${totals.lost} acknowledged writes are lost`);
    checks.expect(totals.wrong === 0, `${totals.wrong} stored tasks are duplicates, or were never sent`);
    return {
      'acknowledged writes': totals.acknowledged,
      found: totals.found,
      lost: totals.lost,
      'stored without acknowledgement': totals.unacknowledged,
      'duplicate or foreign': totals.wrong,
    };
  }

  #nextWriter(): Writer {
    if (this.sent % (TASKS_PER_USER * WRITERS) === 0) this.#writers.push(...Array.from({ length: WRITERS }, newWriter));
    const [writer = newWriter()] = this.#writers.slice(-1 - (this.sent % WRITERS));
    return writer;
  }

  /** Retries 503 for 5 s: this is about durability; availability is checked by the drills. */
  async #readBack(origin: string, user: string): Promise<Response> {
    const deadline = performance.now() + READ_BACK_TIMEOUT_MS;
    for (;;) {
      const list = await this.#client.request(`${origin}/api/tasks`, { user });
      if (list.status !== 503 || performance.now() > deadline) return list;
      await delay(100);
    }
  }
}
