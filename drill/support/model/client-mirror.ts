import { setTimeout as delay } from 'node:timers/promises';
import { createClient, type Mirror, memoryStorage, mirror } from '../../../client/dist/index.js';
import type { Task } from '../../../test/support/service.ts';
import type { Checks } from '../checks.ts';
import type { Client } from '../client.ts';
import type { Random } from '../random.ts';
import { CHANGES, choosing, WHOLE } from './choices.ts';
import type { Journal } from './journal.ts';

interface ClientMirrorOptions {
  readonly name: string;
  readonly user: string;
  readonly random: Random;
  readonly client: Client;
  readonly origin: string;
  readonly journal: Journal;
  readonly checks: Checks;
  /** How long it pauses after each write, on average. */
  readonly pauseMs: number;
}

const CATCH_UP_MS = 20_000;

/** A mirror of the client package that writes too, and is closed and opened again, with what it had stored. */
export class ClientMirror {
  readonly #options: ClientMirrorOptions;
  readonly #storage = memoryStorage();
  readonly #shown = new Map<string, number>();
  /** What it has sent and received, for a failure. */
  readonly #told: string[] = [];
  #open: Mirror | null = null;
  #sent = 0;
  opened = 0;
  written = 0;
  conflicts = 0;

  constructor(options: ClientMirrorOptions) {
    this.#options = options;
  }

  get user(): string {
    return this.#options.user;
  }

  /** Resolves once `signal` is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { random, pauseMs } = this.#options;
    while (!signal.aborted) {
      const local = await this.#opened();
      const writes = 1 + random.below(40);
      for (let write = 0; write < writes && !signal.aborted; write += 1) {
        await delay(random.below(4 * pauseMs), undefined, { signal }).catch(() => undefined);
        await this.#write(local);
      }
      if (random.below(2) === 0) await this.#close();
    }
  }

  /** Waits until all is sent and everything up to `counter` has arrived. */
  async finish(expected: readonly Task[]): Promise<void> {
    const { checks, name } = this.#options;
    const local = await this.#opened();
    local.sync();
    const deadline = performance.now() + CATCH_UP_MS;
    const has = (tasks: readonly Task[], task: Task) =>
      tasks.some((other) => JSON.stringify(other) === JSON.stringify(task));
    const missing = () => expected.filter((task) => !has(local.tasks(), task));
    const wrong = () => local.tasks().filter((task) => !has(expected, task));
    const isThere = () => missing().length + wrong().length + local.pending().length === 0;
    while (!isThere() && performance.now() < deadline) await delay(20);
    const state = `${local.status} ${local.error}, pending ${JSON.stringify(local.pending())}`;
    const difference = `lacks ${JSON.stringify(missing())}, has ${JSON.stringify(wrong())}`;
    const told = this.#told.filter((line) => [...missing(), ...wrong()].some(({ id }) => line.includes(id))).slice(-12);
    checks.expect(isThere(), `${name} is ${state}, and ${difference}\n  ${told.join('\n  ')}`);
    await this.#close();
  }

  /** Waits until nothing is to be sent. */
  async drained(): Promise<void> {
    const local = await this.#opened();
    local.sync();
    const deadline = performance.now() + CATCH_UP_MS;
    while (local.pending().length > 0 && performance.now() < deadline) await delay(20);
    this.#options.checks.expect(
      local.pending().length === 0,
      `${this.#options.name}: ${local.pending().length} pending`,
    );
  }

  async #opened(): Promise<Mirror> {
    if (this.#open !== null) return this.#open;
    const { client, user, origin } = this.#options;
    const token = async () => (await client.authorization(user)).slice('Bearer '.length);
    const fetch = (url: string, init: RequestInit) => this.#fetch(url, init);
    const api = createClient({ url: origin, user, token, fetch, retryMs: 20 });
    const decisions = ['mine', 'theirs'] as const;
    const onConflict = () => {
      this.conflicts += 1;
      return decisions[this.#options.random.below(2)] ?? 'theirs';
    };
    const opened = await mirror({ client: api, storage: this.#storage, onConflict });
    opened.subscribe(() => this.#look(opened));
    this.#open = opened;
    this.opened += 1;
    return opened;
  }

  async #close(): Promise<void> {
    await this.#open?.close();
    this.#open = null;
  }

  /** No task that nothing is pending of goes back to an older version. */
  #look(local: Mirror): void {
    const pending = new Set(local.pending().map(({ id }) => id));
    for (const { id, version } of local.tasks()) {
      if (pending.has(id)) continue;
      const shown = this.#shown.get(id) ?? 0;
      this.#options.checks.expect(version >= shown, `${this.#options.name}: ${id} went from ${shown} to ${version}`);
      this.#shown.set(id, version);
    }
  }

  async #write(local: Mirror): Promise<void> {
    const { random, name } = this.#options;
    const tasks = local.tasks();
    const id = tasks[random.below(tasks.length)]?.id;
    const title = `${name}.${this.written}`;
    const choice = random.below(10);
    this.written += 1;
    // The task may have gone meanwhile.
    const ignore = () => undefined;
    const fields = choosing(random, choice % 2 === 0 ? WHOLE : CHANGES, 2);
    if (id === undefined || choice < 3) await local.create({ title, ...choosing(random, WHOLE, 1) });
    else if (choice < 6) await local.update(id, { title, ...fields }).catch(ignore);
    else if (choice < 8) await local.toggle(id).catch(ignore);
    else await local.delete(id).catch(ignore);
  }

  /** Notes what the mirror writes, and what it is answered. */
  async #fetch(url: string, init: RequestInit): Promise<Response> {
    const { journal, user, name } = this.#options;
    const path = url.slice(this.#options.origin.length);
    const method = init.method ?? 'GET';
    if (method === 'GET') return this.#listen(path, await fetch(url, init));
    const { authorization: _, ...headers } = Object.fromEntries(new Headers(init.headers));
    const body = typeof init.body === 'string' ? init.body : null;
    this.#sent += 1;
    const call = journal.begin(`${name}#${this.#sent}`, user, { method, path, headers, body });
    const response = await fetch(url, init);
    const text = await response.text();
    const header = (field: string) => response.headers.get(field);
    journal.end(call, { status: response.status, body: text, header });
    this.#told.push(`${method} ${path} ${JSON.stringify(headers)} ${body} -> ${response.status} ${text}`);
    return new Response(text, { status: response.status, headers: response.headers });
  }

  #listen(path: string, { status, headers, body }: Response): Response {
    const decoder = new TextDecoder();
    const note = (bytes: Uint8Array) => {
      this.#told.push(`GET ${path} -> ${status} ${decoder.decode(bytes, { stream: true })}`);
    };
    const heard = body?.pipeThrough(
      new TransformStream<Uint8Array, Uint8Array>({
        transform: (bytes, controller) => {
          note(bytes);
          controller.enqueue(bytes);
        },
      }),
    );
    return new Response(heard ?? null, { status, headers });
  }
}
