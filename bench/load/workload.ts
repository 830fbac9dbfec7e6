import type { Api } from '../api.ts';

export const REQUEST_KINDS = ['list', 'list1000', 'get', 'create', 'update', 'toggle', 'mix'] as const;
/** The last three are of this service alone: no other contender has them. */
export type RequestKind = (typeof REQUEST_KINDS)[number] | 'notModified' | 'changes' | 'batch100';

export const REQUEST_LABELS: Readonly<Record<RequestKind, string>> = {
  list: 'list of 20',
  list1000: 'list of 1000',
  get: 'get one',
  create: 'create',
  update: 'update',
  toggle: 'toggle',
  mix: 'mix, 80 % reads',
  notModified: 'list of 20, not modified (304)',
  changes: 'changes, one new',
  batch100: 'batch of 100 creates',
};

/** Kinds that change the database. */
export const WRITES: readonly RequestKind[] = ['create', 'update', 'toggle', 'mix', 'batch100'];

/** The users whose tokens are sent: `count` of them, `stride` numbers apart. */
export interface UserSample {
  readonly count: number;
  readonly stride: number;
}

/** One closed-loop run: each connection sends its next request when the previous one is answered. */
export interface LoadCommand {
  readonly port: number;
  readonly api: Api;
  readonly kind: RequestKind;
  readonly connections: number;
  /** 0: each connection sends one request. */
  readonly milliseconds: number;
  readonly users: UserSample;
}

export interface LoadResult {
  /** Number of responses, all with the expected status. */
  readonly responses: number;
  /** From the first request to the last response. */
  readonly milliseconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export type LoadReply = { readonly result: LoadResult } | { readonly error: string };
