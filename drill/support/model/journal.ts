import type { Checks } from '../checks.ts';
import type { WireRequest } from './operation.ts';

/** An answer that says what became of a request. */
export interface Answer {
  /** When it was received. */
  readonly at: number;
  readonly status: number;
  readonly body: string;
  readonly etag: string | null;
  readonly location: string | null;
  readonly isReplayed: boolean;
}

/** A request, sent once or more often if it has a key. */
export interface Call {
  readonly name: string;
  readonly user: string;
  readonly request: WireRequest;
  readonly key: string | null;
  /** When it was first sent. */
  readonly at: number;
  /** The highest version of the user's that was known then. */
  readonly floor: number;
  readonly answers: Answer[];
  sends: number;
}

export interface Received {
  readonly status: number;
  readonly body: string;
  header(name: string): string | null;
}

const FINAL = [200, 201, 304, 400, 404, 409, 412];
/** Not answered, or not known whether it was executed. */
const PASSING = [0, 429, 500, 503];

/** Every request and its answers, and what they have shown, in the order of events in this process. */
export class Journal {
  readonly calls: Call[] = [];
  readonly #checks: Checks;
  readonly #byKey = new Map<string, Call>();
  readonly #floors = new Map<string, number>();
  readonly #versions = new Map<string, Map<string, number>>();
  readonly statuses = new Map<number, number>();
  #now = 0;

  constructor(checks: Checks) {
    this.#checks = checks;
  }

  /** The highest version of the user's that has been seen. */
  floorOf(user: string): number {
    return this.#floors.get(user) ?? 0;
  }

  /** The versions of the user's tasks that were seen last. */
  versionsOf(user: string): Map<string, number> {
    const versions = this.#versions.get(user) ?? new Map<string, number>();
    this.#versions.set(user, versions);
    return versions;
  }

  seen(user: string, version: number): void {
    if (version > this.floorOf(user)) this.#floors.set(user, version);
  }

  /** Called before a request is sent. Requests with one key are one call. */
  begin(name: string, user: string, request: WireRequest): Call {
    const key = request.headers['idempotency-key'] ?? null;
    const known = key === null ? undefined : this.#byKey.get(`${user} ${key}`);
    const call = known ?? {
      name,
      user,
      request,
      key,
      at: this.#tick(),
      floor: this.floorOf(user),
      answers: [],
      sends: 0,
    };
    call.sends += 1;
    if (known !== undefined) return known;
    this.calls.push(call);
    if (key !== null) this.#byKey.set(`${user} ${key}`, call);
    return call;
  }

  /** Called with each answer. @returns whether it says what became of the request. */
  end(call: Call, { status, body, header }: Received): boolean {
    this.statuses.set(status, (this.statuses.get(status) ?? 0) + 1);
    if (PASSING.includes(status)) {
      const isOurs = status !== 500 || body.includes('"code":"DATABASE_ERROR"');
      this.#checks.expect(isOurs, `${call.name} was answered ${status} ${body}`);
      return false;
    }
    if (!FINAL.includes(status)) {
      this.#checks.expect(false, `${call.name} ${call.request.method} ${call.request.path}: ${status} ${body}`);
      return false;
    }
    const etag = header('etag');
    const answer = {
      status,
      body,
      etag,
      location: header('location'),
      isReplayed: header('idempotency-replayed') === 'true',
    };
    call.answers.push({ at: this.#tick(), ...answer });
    if (!answer.isReplayed) this.#learn(call.user, etag, body);
    return true;
  }

  /** What the tasks in an answer show. */
  #learn(user: string, etag: string | null, body: string): void {
    const versions = this.versionsOf(user);
    for (const [, id = '', version] of body.matchAll(/"id":"([0-9a-f-]{36})","user_id"[^}]*"version":(\d+)/g)) {
      versions.set(id, Math.max(Number(version), versions.get(id) ?? 0));
      this.seen(user, Number(version));
    }
    for (const version of [/^"(\d+)"$/.exec(etag ?? '')?.[1], /"version":(\d+)\}+$/.exec(body)?.[1]]) {
      if (version !== undefined) this.seen(user, Number(version));
    }
  }

  #tick(): number {
    this.#now += 1;
    return this.#now;
  }
}
