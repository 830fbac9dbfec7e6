import { z } from 'zod';
import type { Client, Response } from './client.ts';

const Change = z.looseObject({ id: z.string(), deleted: z.boolean(), task: z.unknown() });
const Changes = z.looseObject({ changes: z.array(Change), cursor: z.string(), has_more: z.boolean() });

/** A client that keeps a copy of the tasks of one user by `/api/changes`. */
export class Reader {
  readonly user: string;
  readonly #client: Client;
  readonly #service: { readonly origin: string };
  readonly #tasks = new Map<string, string>();
  #cursor: string | null = null;
  /** Changes received, and how often it had to start again. */
  received = 0;
  restarts = 0;

  constructor(client: Client, service: { readonly origin: string }, user: string) {
    this.user = user;
    this.#client = client;
    this.#service = service;
  }

  /** Reads one page. @returns whether there is more. @throws if the answer is neither 200 nor 410. */
  async readPage(limit: number): Promise<boolean> {
    const from = this.#cursor === null ? '' : `&cursor=${this.#cursor}`;
    const answer = await this.request('GET', `/api/changes?limit=${limit}${from}`);
    if (answer.status === 410) {
      this.#cursor = null;
      this.#tasks.clear();
      this.restarts += 1;
      return true;
    }
    if (answer.status !== 200) throw new Error(`changes was answered ${answer.status}: ${answer.body}`);
    const page = Changes.parse(JSON.parse(answer.body));
    for (const { id, deleted, task } of page.changes) {
      if (deleted) this.#tasks.delete(id);
      else this.#tasks.set(id, JSON.stringify(task));
    }
    this.received += page.changes.length;
    this.#cursor = page.cursor;
    return page.has_more;
  }

  async readAll(limit = 100): Promise<void> {
    while (await this.readPage(limit));
  }

  /** @returns whether its copy is what the service lists, of at most 1000 tasks. */
  async agrees(): Promise<boolean> {
    const { body } = await this.request('GET', '/api/tasks');
    const { tasks } = z.object({ tasks: z.array(z.unknown()) }).parse(JSON.parse(body));
    const sorted = (texts: Iterable<string>) => JSON.stringify([...texts].sort());
    return sorted(tasks.map((task) => JSON.stringify(task))) === sorted(this.#tasks.values());
  }

  request(method: string, path: string, body?: object): Promise<Response> {
    const options = { method, user: this.user, ...(body === undefined ? {} : { body }) };
    return this.#client.request(`${this.#service.origin}${path}`, options);
  }
}
