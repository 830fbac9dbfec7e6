import { BIG_USER, CREATED_TITLE, TASKS_EACH, taskId, tokenOf } from '../data.ts';
import type { People, RequestKind } from './order.ts';

/** A request ready to be written, and the status it must be answered with. */
export interface PreparedRequest {
  readonly bytes: Buffer;
  readonly status: number;
}

type SingleKind = Exclude<RequestKind, 'mix'>;

/** Of 100 requests of the mix; 80 read. */
const MIX: Readonly<Record<SingleKind, number>> = {
  list: 40,
  list1000: 0,
  get: 40,
  create: 7,
  update: 7,
  toggle: 6,
};

const RING = 5000;

/** The same sequence every time (a linear congruential generator, as in C's `rand`). */
function sequence(): (below: number) => number {
  let state = 20_250_101;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return (state >>> 8) % below;
  };
}

function kindsOf(kind: RequestKind, random: (below: number) => number): SingleKind[] {
  if (kind !== 'mix') return Array.from({ length: RING }, () => kind);
  const shares = Object.entries(MIX).flatMap(([name, share]) => Array.from({ length: share }, () => name));
  return Array.from({ length: RING }, () => shares[random(shares.length)] as SingleKind);
}

/** Writes requests as bytes, once for each user and kind that is asked for. */
export class RequestBook {
  readonly #secret: string;
  readonly #tokens = new Map<number, string>();
  readonly #rings = new Map<string, readonly PreparedRequest[]>();

  constructor(secret: string) {
    this.#secret = secret;
  }

  /** Requests to be sent round and round. */
  ring(kind: RequestKind, people: People): readonly PreparedRequest[] {
    const key = JSON.stringify([kind, people]);
    const known = this.#rings.get(key);
    if (known !== undefined) return known;
    const random = sequence();
    const ring = kindsOf(kind, random).map((single) => this.#request(single, people, random));
    this.#rings.set(key, ring);
    return ring;
  }

  /** Creates come from the next users on, so that lists of 20 stay lists of 20. */
  #request(kind: SingleKind, people: People, random: (below: number) => number): PreparedRequest {
    const user = random(people.count) * people.stride;
    const task = () => `/api/tasks/${taskId(user, 1 + random(TASKS_EACH))}`;
    switch (kind) {
      case 'list':
        return this.#write(user, 200, 'GET', '/api/tasks');
      case 'list1000':
        return this.#write(BIG_USER, 200, 'GET', '/api/tasks');
      case 'get':
        return this.#write(user, 200, 'GET', task());
      case 'create':
        return this.#write(user + 1, 201, 'POST', '/api/tasks', { title: CREATED_TITLE, description: 'Two cartons' });
      case 'update':
        return this.#write(user, 200, 'PUT', task(), { title: 'Buy oat milk', is_completed: random(2) === 1 });
      case 'toggle':
        return this.#write(user, 200, 'POST', `${task()}/toggle`);
    }
  }

  #token(user: number): string {
    const token = this.#tokens.get(user) ?? tokenOf(user, this.#secret);
    this.#tokens.set(user, token);
    return token;
  }

  #write(user: number, status: number, method: string, path: string, body?: object): PreparedRequest {
    const json = body === undefined ? '' : JSON.stringify(body);
    const head = [`${method} ${path} HTTP/1.1`, 'Host: 127.0.0.1', `Authorization: Bearer ${this.#token(user)}`];
    if (body !== undefined) head.push('Content-Type: application/json');
    if (method !== 'GET') head.push(`Content-Length: ${Buffer.byteLength(json)}`);
    return { bytes: Buffer.from(`${head.join('\r\n')}\r\n\r\n${json}`), status };
  }
}
