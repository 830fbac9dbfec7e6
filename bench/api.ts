import { readFileSync } from 'node:fs';
import { LIST_REVISION } from '../src/tasks/task.ts';
import { BIG_USER, epochOf, pocketBaseTaskId, pocketBaseUserId, TASKS_EACH, taskId, tokenOf } from './data.ts';

/** The HTTP API of a contender; plain data, because the load process needs it too. */
export type Api =
  | { readonly kind: 'tasks' }
  /** `tokensFile` has one token per line, in the order of the users' numbers; the last is that of `BIG_USER`. */
  | { readonly kind: 'pocketbase'; readonly tokensFile: string; readonly skipTotal: boolean };

interface NewTask {
  readonly title: string;
  readonly description: string;
}

/** `user` and `task` are the numbers of data.ts. */
export type Operation = { readonly user: number } & (
  | { readonly kind: 'list' }
  | { readonly kind: 'get'; readonly task: number }
  | { readonly kind: 'create'; readonly fields: NewTask }
  | {
      readonly kind: 'update';
      readonly task: number;
      readonly fields: { readonly title: string; readonly is_completed: boolean };
    }
  /** `is_completed` is for APIs without a toggle: their clients send the new value. */
  | { readonly kind: 'toggle'; readonly task: number; readonly is_completed: boolean }
  /** The list, if it is not that of the tables as they were filled. */
  | { readonly kind: 'notModified' }
  /** The changes since the last but one of the tables as they were filled. */
  | { readonly kind: 'changes' }
  | { readonly kind: 'batch'; readonly fields: readonly NewTask[] }
);

export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH';
  readonly path: string;
  readonly token: string;
  /** The `If-None-Match` header. */
  readonly known: string | null;
  readonly body: string | null;
  /** Expected status code of the response. */
  readonly status: number;
}

export type RequestWriter = (operation: Operation) => ApiRequest;

type Parts = [method: ApiRequest['method'], path: string, body?: object | null, status?: number, known?: string];

function toRequest(token: string, [method, path, body = null, status = 200, known]: Parts): ApiRequest {
  return { method, path, token, known: known ?? null, body: body === null ? null : JSON.stringify(body), status };
}

/** The entity tag of the list of a user whose tasks are as they were filled in. */
const listTag = (user: number) => `"${LIST_REVISION}.newest.${epochOf(user)}.${TASKS_EACH}"`;

function tasksParts(operation: Operation): Parts {
  const path = '/api/tasks';
  const task = 'task' in operation ? `${path}/${taskId(operation.user, operation.task)}` : path;
  switch (operation.kind) {
    case 'list':
    case 'get':
      return ['GET', task];
    case 'create':
      return ['POST', path, operation.fields, 201];
    case 'update':
      return ['PUT', task, operation.fields];
    case 'toggle':
      return ['POST', `${task}/toggle`];
    case 'notModified':
      return ['GET', path, null, 304, listTag(operation.user)];
    case 'changes':
      return ['GET', `/api/changes?since=${TASKS_EACH - 1}&epoch=${epochOf(operation.user)}`];
    case 'batch':
      return ['POST', '/api/batch', { operations: operation.fields.map((fields) => ({ op: 'create', ...fields })) }];
  }
}

function pocketBaseParts(operation: Operation, skipTotal: boolean): Parts {
  const path = '/api/collections/tasks/records';
  const task = 'task' in operation ? `${path}/${pocketBaseTaskId(operation.user, operation.task)}` : path;
  switch (operation.kind) {
    case 'list':
      return ['GET', `${path}?sort=-created&perPage=1000${skipTotal ? '&skipTotal=1' : ''}`];
    case 'get':
      return ['GET', task];
    case 'create':
      return ['POST', path, { ...operation.fields, owner: pocketBaseUserId(operation.user) }];
    case 'update':
      return ['PATCH', task, operation.fields];
    case 'toggle':
      return ['PATCH', task, { is_completed: operation.is_completed }];
    case 'notModified':
    case 'changes':
    case 'batch':
      throw new Error(`PocketBase has no ${operation.kind}`);
  }
}

/** @param secret of the HS256 tokens of the `tasks` API. */
export function requestWriter(api: Api, secret: string): RequestWriter {
  if (api.kind === 'tasks') {
    const tokens = new Map<number, string>();
    const tokenFor = (user: number) => {
      const token = tokens.get(user) ?? tokenOf(user, secret);
      tokens.set(user, token);
      return token;
    };
    return (operation) => toRequest(tokenFor(operation.user), tasksParts(operation));
  }
  const tokens = readFileSync(api.tokensFile, 'utf8').trim().split('\n');
  const tokenFor = (user: number) => tokens.at(user === BIG_USER ? -1 : user) ?? '';
  return (operation) => toRequest(tokenFor(operation.user), pocketBaseParts(operation, api.skipTotal));
}
