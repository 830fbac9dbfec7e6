import assert from 'node:assert/strict';
import type { Person } from './service.ts';

export interface List {
  readonly id: string;
  readonly user_id: string;
  readonly name: string;
  readonly color: string | null;
  readonly position: string;
  readonly is_archived: boolean;
  readonly version: number;
  readonly created_at: string;
  readonly updated_at: string;
}

export async function createList(person: Person, name: string, rest: object = {}): Promise<List> {
  const answer = await person.send('POST', '/api/lists', { name, ...rest });
  assert.equal(answer.statusCode, 201, answer.body);
  return answer.json<List>();
}

export async function listsOf(person: Person): Promise<List[]> {
  const answer = await person.send('GET', '/api/lists');
  assert.equal(answer.statusCode, 200, answer.body);
  return answer.json<{ lists: List[] }>().lists;
}
