import type { Person, Task } from './service.ts';

export interface Change {
  readonly type: string;
  readonly id: string;
  readonly version: number;
  readonly deleted: boolean;
  readonly task: Task | null;
}

export interface Changes {
  readonly changes: readonly Change[];
  readonly cursor: string;
  readonly version: number;
  readonly epoch: string;
  readonly has_more: boolean;
}

/** The answer of `/api/changes` with `query`. */
export async function changesOf(person: Person, query: Record<string, string | number> = {}): Promise<Changes> {
  const parameters = new URLSearchParams(
    Object.entries(query).map(([name, value]): [string, string] => [name, String(value)]),
  );
  const answer = await person.send('GET', `/api/changes?${parameters}`);
  if (answer.statusCode !== 200) throw new Error(`changes was answered ${answer.statusCode}: ${answer.body}`);
  return answer.json<Changes>();
}

/** Every page from `cursor` on, of `limit` changes. */
export async function allPages(person: Person, limit: number, cursor?: string): Promise<Changes[]> {
  const pages = [await changesOf(person, { limit, ...(cursor === undefined ? {} : { cursor }) })];
  for (let last = pages[0]; last?.has_more; last = pages.at(-1)) {
    pages.push(await changesOf(person, { limit, cursor: last.cursor }));
  }
  return pages;
}

/** What a client has that applies changes in order: its tasks by id. */
export function apply(changes: readonly Change[], tasks = new Map<string, Task>()): Map<string, Task> {
  for (const { id, deleted, task } of changes) {
    if (deleted || task === null) tasks.delete(id);
    else tasks.set(id, task);
  }
  return tasks;
}
