import type { Answered } from './envelope.ts';
import type { Task } from './service.ts';

/** Sends requests to the service at `origin` over keep-alive connections, with one user's token or none. */
export class HttpClient {
  readonly #origin: string;
  readonly #token: string | null;

  constructor(origin: string, token: string | null = null) {
    this.#origin = origin;
    this.#token = token;
  }

  /** Text is sent as it is, an object as JSON. */
  async send(method: string, path: string, body?: string | object): Promise<Answered> {
    const response = await fetch(this.#origin + path, {
      method,
      headers: {
        ...(this.#token === null ? {} : { authorization: `Bearer ${this.#token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    return {
      statusCode: response.status,
      headers: Object.fromEntries(response.headers),
      body: await response.text(),
    };
  }

  async create(title: string): Promise<Task> {
    const answer = await this.send('POST', '/api/tasks', { title });
    if (answer.statusCode !== 201) throw new Error(`create was answered ${answer.statusCode}: ${answer.body}`);
    const task: Task = JSON.parse(answer.body);
    return task;
  }

  /** The titles of the user's tasks, newest first. */
  async titles(): Promise<string[]> {
    const answer = await this.send('GET', '/api/tasks');
    if (answer.statusCode !== 200) throw new Error(`list was answered ${answer.statusCode}: ${answer.body}`);
    const { tasks }: { tasks: Task[] } = JSON.parse(answer.body);
    return tasks.map(({ title }) => title);
  }
}
