import { setTimeout as delay } from 'node:timers/promises';
import type { Checks } from '../checks.ts';
import type { Client } from '../client.ts';
import type { Random } from '../random.ts';
import { Choices, type Ids } from './choices.ts';
import type { Call, Journal } from './journal.ts';
import type { WireRequest } from './operation.ts';

interface WriterOptions {
  readonly name: string;
  readonly user: string;
  readonly ids: Ids;
  readonly random: Random;
  readonly client: Client;
  readonly origin: string;
  readonly journal: Journal;
  readonly checks: Checks;
  /** How long it pauses after each request, on average. */
  readonly pauseMs: number;
}

const GIVE_UP_MS = 30_000;
const MAX_KEPT = 40;

/** Sends requests one after another. Those with a key are sent until they are answered, some of them more often. */
export class Writer {
  readonly #options: WriterOptions;
  readonly #choices: Choices;
  readonly #answered: Call[] = [];
  #list: string | null = null;

  constructor(options: WriterOptions) {
    const { random, user, ids, journal } = options;
    this.#options = options;
    this.#choices = new Choices(random, user, ids, journal);
  }

  /** Resolves once `signal` is aborted and the last request is answered. */
  async run(signal: AbortSignal): Promise<void> {
    const { name, random, pauseMs } = this.#options;
    for (let count = 0; !signal.aborted; count += 1) {
      await this.#step(`${name}.${count}`);
      await delay(random.below(2 * pauseMs), undefined, { signal }).catch(() => undefined);
    }
  }

  async #step(name: string): Promise<void> {
    const { random } = this.#options;
    const request = this.#choices.request(name);
    const choice = random.below(100);
    const isRead = request.method === 'GET';
    if (isRead || choice < 25) await this.#once(name, request, isRead ? -1 : choice);
    else await this.#withKey(name, request, choice);
    const again = this.#answered[random.below(2 * MAX_KEPT)];
    if (again !== undefined) await this.#again(again, choice);
    if (choice < 8) await this.#readList(`${name}.list`);
  }

  /** Without a key: if the answer is lost, a guarded one may be sent again, and is then another request. */
  async #once(name: string, request: WireRequest, choice: number): Promise<void> {
    const isFinal = await this.#send(name, request);
    if (!isFinal && choice >= 0 && choice < 12) await this.#send(`${name}.again`, request);
  }

  async #withKey(name: string, plain: WireRequest, choice: number): Promise<void> {
    const { journal, user, random } = this.#options;
    const request = { ...plain, headers: { ...plain.headers, 'idempotency-key': name } };
    const copies = choice < 45 ? 2 : 1;
    const deadline = performance.now() + GIVE_UP_MS;
    await Promise.all(Array.from({ length: copies }, () => this.#send(name, request)));
    const call = journal.begin(name, user, request);
    call.sends -= 1;
    while (call.answers.length === 0) {
      if (performance.now() > deadline) throw new Error(`${name} was not answered in ${GIVE_UP_MS} ms`);
      await delay(20 + random.below(200));
      await this.#send(name, request);
    }
    this.#answered.push(call);
    if (this.#answered.length > MAX_KEPT) this.#answered.shift();
  }

  /** Sends a request that was answered again, or another with its key. */
  async #again({ name, request, answers }: Call, choice: number): Promise<void> {
    const isKept = answers.some(({ status }) => status !== 400);
    if (choice % 8 !== 0 || !isKept) {
      await this.#send(name, request);
      return;
    }
    const { client, origin, user, checks } = this.#options;
    const { method, path, headers } = request;
    const body = path === '/api/batch' ? { operations: [{ op: 'create', title: name }] } : { title: 'another' };
    const { status } = await client.request(origin + path, { method, user, headers, body });
    const isAsExpected = [0, 422, 429, 500, 503].includes(status);
    checks.expect(isAsExpected, `another request with the key of ${name} was answered ${status}`);
  }

  async #readList(name: string): Promise<void> {
    const headers = this.#list === null ? {} : { 'if-none-match': this.#list };
    await this.#send(name, { method: 'GET', path: '/api/tasks', headers, body: null });
  }

  async #send(name: string, request: WireRequest): Promise<boolean> {
    const { journal, client, origin, user, ids } = this.#options;
    const { method, path, headers, body } = request;
    const call = journal.begin(name, user, request);
    const answer = await client.request(origin + path, { method, user, headers, ...(body === null ? {} : { body }) });
    const header = (field: string) => answer.headers[field]?.toString() ?? null;
    const isFinal = journal.end(call, { status: answer.status, body: answer.body, header });
    if (!isFinal) return false;
    const found = [...answer.body.matchAll(/"id":"([0-9a-f-]{36})"/g)].map(([, id = '']) => id);
    if (path === '/api/tasks' && method === 'GET') {
      this.#list = header('etag');
      if (answer.status === 200) ids.list(found);
    }
    if (path === '/api/tasks' && answer.status === 201) found.map((id) => ids.give(id));
    if (answer.body.includes('"CONFLICT"') && method === 'PUT') ids.replace(path.slice(-36));
    return true;
  }
}
