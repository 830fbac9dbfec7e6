import { signToken } from '../../test/support/service.ts';
import { type Answer, Client } from './client.ts';
import type { Findings } from './drill.ts';
import { Ledger } from './ledger.ts';
import { steadily } from './steadily.ts';
import { Tally } from './tally.ts';

/** One request of a load; times are `performance.now()`. */
export interface Seen {
  readonly kind: 'read' | 'write';
  readonly status: number;
  readonly sentAt: number;
  readonly answeredAt: number;
}

export const isGood = ({ kind, status }: Seen) => status === (kind === 'read' ? 200 : 201);

/** The code that an answer of each status must carry. */
const CODES: ReadonlyMap<number, string> = new Map([
  [500, '"code":"DATABASE_ERROR"'],
  [503, '"code":"SERVICE_UNAVAILABLE"'],
]);

function isToTheLetter({ status, headers, body }: Answer): boolean {
  if (status === 503 && headers['retry-after'] === undefined) return false;
  return body.includes(CODES.get(status) ?? '');
}

/** Reads and writes in turn, and what was answered to them. */
export class Load {
  readonly #origin: () => string;
  readonly #client = new Client();
  readonly #token: Promise<string>;
  readonly #seen: Seen[] = [];
  readonly ledger = new Ledger(this.#client);
  readonly reads = new Tally();
  #misworded = 0;
  #count = 0;
  #stop: AbortController | null = null;
  #running: Promise<void> = Promise.resolve();

  /** @param origin where the service listens */
  constructor(origin: () => string) {
    this.#origin = origin;
    this.#token = signToken('drill_reader');
  }

  async read(): Promise<Seen> {
    const token = await this.#token;
    const answer = await this.#client.ask(`${this.#origin()}/api/tasks`, { token });
    this.reads.note(answer);
    return this.#note('read', answer);
  }

  async write(): Promise<Seen> {
    return this.#note('write', await this.ledger.write(this.#origin()));
  }

  /** Reads and writes, half of `perSecond` each, until `stop`. */
  start(perSecond: number): void {
    this.#stop = new AbortController();
    const pace = { perSecond, seconds: Number.POSITIVE_INFINITY, signal: this.#stop.signal };
    this.#running = steadily(pace, () => this.one());
  }

  /** Sends no more, and waits until everything has been answered. */
  async stop(): Promise<void> {
    this.#stop?.abort();
    await this.#running;
  }

  /** A read or a write, in turn. */
  one(): Promise<Seen> {
    this.#count += 1;
    return this.#count % 2 === 0 ? this.read() : this.write();
  }

  /** What was sent between two moments, and has been answered. */
  sentBetween(from: number, to: number): readonly Seen[] {
    return this.#seen.filter(({ sentAt }) => sentAt >= from && sentAt <= to);
  }

  /**
   * Milliseconds from `moment` to the last answer that was no good, or to the first good read or write, whichever came last;
   * infinite where none came. To be asked while nothing else goes wrong.
   */
  wholeAfter(moment: number): number {
    const later = this.#seen.filter(({ answeredAt }) => answeredAt > moment);
    const firstGood = (wanted: Seen['kind']) =>
      later.find((seen) => seen.kind === wanted && isGood(seen))?.answeredAt ?? Number.POSITIVE_INFINITY;
    const lastBad = later.findLast((seen) => !isGood(seen))?.answeredAt ?? moment;
    return Math.round(Math.max(firstGood('read'), firstGood('write'), lastBad) - moment);
  }

  /** To be called last: holds the service to its answers, notes what is wrong, and tells the figures. */
  async settle(findings: Findings): Promise<Record<string, number | string>> {
    const audit = await this.ledger.settle(this.#origin(), findings);
    this.#client.close();
    const unanswered = this.#seen.filter(({ status }) => status === 0).length;
    findings.expect(unanswered === 0, `${unanswered} requests were not answered`);
    findings.expect(this.#misworded === 0, `${this.#misworded} errors had another code than they must have`);
    return {
      'requests sent': this.#seen.length,
      'answers to reads': this.reads.answers(),
      'answers to writes': this.ledger.answers(),
      'longest read ms': this.reads.slowestMs(),
      'longest write ms': this.ledger.slowestMs(),
      ...audit,
    };
  }

  #note(kind: Seen['kind'], answer: Answer): Seen {
    const answeredAt = performance.now();
    const seen = { kind, status: answer.status, sentAt: answeredAt - answer.tookMs, answeredAt };
    if (!isToTheLetter(answer)) this.#misworded += 1;
    this.#seen.push(seen);
    return seen;
  }
}
