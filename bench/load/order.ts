export const REQUEST_KINDS = ['list', 'list1000', 'get', 'create', 'update', 'toggle', 'mix'] as const;
export type RequestKind = (typeof REQUEST_KINDS)[number];

export const REQUEST_LABELS: Readonly<Record<RequestKind, string>> = {
  list: 'list of 20',
  list1000: 'list of 1000',
  get: 'get one',
  create: 'create',
  update: 'update',
  toggle: 'toggle',
  mix: 'mix, 80 % reads',
};

/** Kinds that leave something behind in the database. */
export const WRITES: readonly RequestKind[] = ['create', 'update', 'toggle', 'mix'];

/** Whose tokens the requests carry: `count` users, each `stride` numbers after the last. */
export interface People {
  readonly count: number;
  readonly stride: number;
}

/** One run of load: requests one after the other over each connection, until `milliseconds` have passed. */
export interface LoadOrder {
  readonly port: number;
  readonly kind: RequestKind;
  readonly connections: number;
  readonly milliseconds: number;
  readonly people: People;
}

export interface LoadReport {
  /** Answers, all with the status that was due. */
  readonly answers: number;
  /** From the first request to the last answer, so that slow answers count as much as fast ones. */
  readonly milliseconds: number;
  readonly bodyBytes: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** What the load process says back. */
export type LoadReply =
  | { readonly kind: 'report'; readonly report: LoadReport }
  | { readonly kind: 'failure'; readonly message: string };
