import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { RunningService, temporaryFolder } from './process.ts';
import { createPostgresDatabase, POSTGRES_URL, SECRET, signToken, type Task } from './service.ts';

const JWT_SECRET = new TextDecoder().decode(SECRET);

interface Place {
  readonly settings: Record<string, string>;
  readonly remove: () => Promise<void>;
}

/** The program with a database of its own, and the backup commands. */
export class Installation {
  readonly folder = temporaryFolder();
  readonly #place: Place;
  #service: RunningService | null = null;
  #origin = '';

  constructor(place: Place) {
    this.#place = place;
  }

  async start(): Promise<void> {
    this.#service = new RunningService({ JWT_SECRET, ...this.#place.settings }, this.folder.path);
    this.#origin = await this.#service.listening();
  }

  get settings(): Readonly<Record<string, string>> {
    return this.#place.settings;
  }

  async stop(): Promise<void> {
    assert.equal(await this.#service?.stop(), 0);
    this.#service = null;
  }

  async remove(): Promise<void> {
    await this.#service?.stop('SIGKILL');
    await this.#place.remove();
    this.folder.remove();
  }

  /** Starts `backup FILE` or `restore FILE` beside the service. */
  command(...args: string[]): RunningService {
    return new RunningService(this.#place.settings, this.folder.path, args);
  }

  async run(...args: string[]): Promise<{ code: number | null; said: string }> {
    const command = this.command(...args);
    return { code: await command.ended(), said: command.stderr };
  }

  send(sub: string, method: string, path = '', body?: object, claims = {}, more = {}): Promise<Response> {
    return this.#fetch(sub, method, `/api/tasks${path}`, body, claims, more);
  }

  /** The answer to a request about lists. */
  async askLists(sub: string, method = 'GET', path = '', body?: object, more = {}): Promise<string> {
    const answer = await this.#fetch(sub, method, `/api/lists${path}`, body, {}, more);
    const text = await answer.text();
    assert.ok(answer.ok, `${method} ${path} was answered ${answer.status}: ${text}`);
    return text;
  }

  async #fetch(sub: string, method: string, path: string, body?: object, claims = {}, more = {}): Promise<Response> {
    const headers = { authorization: `Bearer ${await signToken(sub, claims)}`, 'content-type': 'application/json' };
    return fetch(`${this.#origin}${path}`, {
      method,
      headers: { ...headers, ...more },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  async ask(sub: string, method = 'GET', path = '', body?: object, claims = {}): Promise<string> {
    const answer = await this.send(sub, method, path, body, claims);
    const text = await answer.text();
    assert.ok(answer.ok, `${method} ${path} was answered ${answer.status}: ${text}`);
    return text;
  }

  async create(sub: string, body: object, claims = {}): Promise<Task> {
    return JSON.parse(await this.ask(sub, 'POST', '', body, claims)) as Task;
  }
}

export const embedded = () => new Installation({ settings: {}, remove: async () => undefined });

export async function postgres(): Promise<Installation> {
  const { url, remove } = await createPostgresDatabase(POSTGRES_URL ?? '');
  return new Installation({ settings: { DATABASE_URL: url }, remove });
}

/** How to make an installation on each kind of database. */
export const INSTALLATIONS = [
  ['embedded', async () => embedded()],
  ...(POSTGRES_URL === null ? [] : [['postgres', postgres] as const]),
] as const;

/** Runs `create` for each index, 20 at a time. */
export async function inBatches(count: number, create: (index: number) => Promise<Task>): Promise<Task[]> {
  const tasks: Task[] = [];
  for (let start = 0; start < count; start += 20) {
    const length = Math.min(20, count - start);
    tasks.push(...(await Promise.all(Array.from({ length }, (_, index) => create(start + index)))));
  }
  return tasks;
}

/** The rows of a backup. */
export interface Rows {
  readonly users: { id: string; version: number; epoch: string; swept: number; tasks: number; trash: number }[];
  readonly lists: { id: string; user_id: string; name: string | null; version: number; deleted_at: string | null }[];
  readonly tasks: (Omit<Task, 'title'> & { title: string | null })[];
  readonly replies: { user_id: string; key: string; task: string | null }[];
}

export function readRows(path: string): Rows {
  const rows: Rows = { users: [], lists: [], tasks: [], replies: [] };
  for (const line of readFileSync(path, 'utf8').trimEnd().split('\n')) {
    const { user, list, task, reply } = JSON.parse(line) as Record<string, never>;
    if (user !== undefined) rows.users.push(user);
    if (list !== undefined) rows.lists.push(list);
    if (task !== undefined) rows.tasks.push(task);
    if (reply !== undefined) rows.replies.push(reply);
  }
  return rows;
}

/** The rows in the database of `place`, by a backup; checks that counts and versions are as the rows say. */
export async function rowsIn(place: Installation): Promise<Rows> {
  const { code, said } = await place.run('backup', 'rows.ndjson');
  assert.equal(code, 0, said);
  const rows = readRows(join(place.folder.path, 'rows.ndjson'));
  for (const user of rows.users) {
    const tasks = rows.tasks.filter(({ user_id }) => user_id === user.id);
    const live = tasks.filter(({ deleted_at }) => deleted_at === null);
    const trash = tasks.filter(({ deleted_at, title }) => deleted_at !== null && title !== null);
    assert.deepEqual([user.tasks, user.trash], [live.length, trash.length], `the counts of ${user.id}`);
    const lists = rows.lists.filter(({ user_id }) => user_id === user.id);
    const versions = [...tasks, ...lists].map(({ version }) => version);
    assert.equal(new Set(versions).size, versions.length, 'a version twice');
    assert.ok(Math.max(0, ...versions) <= user.version, 'a version above the counter');
  }
  return rows;
}

/** The tasks of a list in an answer. */
export const tasksIn = (list: string) => (JSON.parse(list) as { tasks: Task[] }).tasks;

/** A task without what a restore changes. */
export const unnumbered = ({ version: _, ...rest }: Task) => rest;
