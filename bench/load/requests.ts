import { type Api, type ApiRequest, type Operation, type RequestWriter, requestWriter } from '../api.ts';
import { BIG_USER, CREATED_TITLE, TASKS_EACH } from '../data.ts';
import type { RequestKind, UserSample } from './workload.ts';

/** A serialized request and the expected status of its response. */
export interface PreparedRequest {
  readonly bytes: Buffer;
  readonly status: number;
}

type SingleKind = Exclude<RequestKind, 'mix'>;

/** Requests of each kind in 100 of the mix. */
const MIX: readonly (readonly [SingleKind, number])[] = [
  ['list', 40],
  ['get', 40],
  ['create', 7],
  ['update', 7],
  ['toggle', 6],
];
const MIX_OF_100 = MIX.flatMap(([kind, share]) => Array.from({ length: share }, () => kind));

const CYCLE_LENGTH = 5000;

/** The same pseudo-random numbers in every run (a linear congruential generator, as in C's `rand`). */
function randomNumbers(): (below: number) => number {
  let state = 20_250_101;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return (state >>> 8) % below;
  };
}

/** Creates are for the users next to the sampled ones, whose lists keep their 20 tasks; nothing is written by the third. */
function operationOf(kind: SingleKind, users: UserSample, random: (below: number) => number): Operation {
  const user = random(users.count) * users.stride;
  const task = 1 + random(TASKS_EACH);
  switch (kind) {
    case 'list':
      return { kind, user };
    case 'list1000':
      return { kind: 'list', user: BIG_USER };
    case 'get':
      return { kind, user, task };
    case 'create':
      return { kind, user: user + 1, fields: { title: CREATED_TITLE, description: 'Two cartons' } };
    case 'batch100':
      return {
        kind: 'batch',
        user: user + 1,
        fields: Array.from({ length: 100 }, () => ({ title: CREATED_TITLE, description: 'Two cartons' })),
      };
    case 'notModified':
    case 'changes':
      return { kind, user: user + 2 };
    case 'update':
      return { kind, user, task, fields: { title: 'Buy oat milk', is_completed: random(2) === 1 } };
    case 'toggle':
      return { kind, user, task, is_completed: random(2) === 1 };
  }
}

function serialize({ method, path, token, known, body, status }: ApiRequest): PreparedRequest {
  const head = [`${method} ${path} HTTP/1.1`, 'Host: 127.0.0.1', `Authorization: Bearer ${token}`];
  if (known !== null) head.push(`If-None-Match: ${known}`);
  if (body !== null) head.push('Content-Type: application/json');
  if (method !== 'GET') head.push(`Content-Length: ${Buffer.byteLength(body ?? '')}`);
  return { bytes: Buffer.from(`${head.join('\r\n')}\r\n\r\n${body ?? ''}`), status };
}

/** Prepares the requests of each workload once. */
export class RequestCache {
  readonly #secret: string;
  readonly #writers = new Map<string, RequestWriter>();
  readonly #cycles = new Map<string, readonly PreparedRequest[]>();

  constructor(secret: string) {
    this.#secret = secret;
  }

  cycle(workload: { api: Api; kind: RequestKind; users: UserSample }): readonly PreparedRequest[] {
    const { api, kind, users } = workload;
    const key = JSON.stringify([api, kind, users]);
    const known = this.#cycles.get(key);
    if (known !== undefined) return known;
    const write = this.#writer(api);
    const random = randomNumbers();
    const cycle = Array.from({ length: CYCLE_LENGTH }, () => {
      const single = kind === 'mix' ? MIX_OF_100[random(MIX_OF_100.length)] : kind;
      if (single === undefined) throw new Error('The mix is empty');
      return serialize(write(operationOf(single, users, random)));
    });
    this.#cycles.set(key, cycle);
    return cycle;
  }

  #writer(api: Api): RequestWriter {
    const key = JSON.stringify(api);
    const writer = this.#writers.get(key) ?? requestWriter(api, this.#secret);
    this.#writers.set(key, writer);
    return writer;
  }
}
