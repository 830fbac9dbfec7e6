import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Checks } from './checks.ts';
import type { Client, Response } from './client.ts';
import type { Figures } from './drill.ts';
import { type Sample, Samples, succeeded } from './samples.ts';
import { WriteLog } from './write-log.ts';

/** So many that none has more than 8 requests in progress while the database does not answer. */
const READERS = 64;

/** Requests per second. */
type Rates = Readonly<Partial<Record<Sample['kind'], number>>>;

/** What the body of an error response must contain, by status. */
const ERROR_CODES: ReadonlyMap<number, string> = new Map([
  [500, '"code":"DATABASE_ERROR"'],
  [503, '"code":"SERVICE_UNAVAILABLE"'],
]);

function isWellFormed({ status, headers, body }: Response): boolean {
  if (status === 503 && headers['retry-after'] === undefined) return false;
  return body.includes(ERROR_CODES.get(status) ?? '');
}

/** Calls `send` so many times a second until `signal` aborts, without waiting for it. Settles when every call has. */
export async function atRate(perSecond: number, signal: AbortSignal, send: () => Promise<unknown>): Promise<void> {
  const startedAt = performance.now();
  const inFlight = new Set<Promise<unknown>>();
  for (let count = 0; !signal.aborted; await delay(2)) {
    for (; count < ((performance.now() - startedAt) / 1000) * perSecond; count += 1) {
      const request = send().finally(() => inFlight.delete(request));
      inFlight.add(request);
    }
  }
  await Promise.all(inFlight);
}

/** Sends reads, writes and health checks to a service, one at a time or at a steady rate, and records the responses. */
export class Load {
  readonly #client: Client;
  readonly #service: { readonly origin: string };
  readonly #readers = Array.from({ length: READERS }, () => `reader_${randomUUID()}`);
  readonly #samples: Sample[] = [];
  readonly #writeLog: WriteLog;
  #expectedInList = '';
  #malformed = 0;
  #count = 0;
  #reads = 0;
  #abort = new AbortController();
  #running: Promise<unknown> = Promise.resolve();

  /** @param fields what every written task has besides its title. */
  constructor(client: Client, service: { readonly origin: string }, fields: object) {
    this.#client = client;
    this.#service = service;
    this.#writeLog = new WriteLog(client, fields);
  }

  /** A copy of what has been recorded so far. */
  get samples(): Samples {
    return new Samples([...this.#samples]);
  }

  /** Creates the tasks that every later read must return. @throws when the service does not accept it. */
  async createTaskToRead(): Promise<void> {
    const body = { title: 'always listed' };
    const url = `${this.#service.origin}/api/tasks`;
    for (const user of this.#readers) {
      const created = await this.#client.request(url, { method: 'POST', user, body });
      if (created.status !== 201) throw new Error(`the first write was answered ${created.status}: ${created.body}`);
    }
    this.#expectedInList = body.title;
  }

  async read(): Promise<Sample> {
    this.#reads += 1;
    const user = this.#readers[this.#reads % READERS] ?? '';
    const list = await this.#client.request(`${this.#service.origin}/api/tasks`, { user });
    if (list.status === 200 && !this.#isOwn(list.body, user)) this.#malformed += 1;
    return this.#record('read', list);
  }

  async write(): Promise<Sample> {
    return this.#record('write', await this.#writeLog.write(this.#service.origin));
  }

  async checkHealth(): Promise<Sample> {
    return this.#record('health', await this.#client.request(`${this.#service.origin}/health`));
  }

  /** A write and a read in turn. */
  next(): Promise<Sample> {
    this.#count += 1;
    return this.#count % 2 === 0 ? this.read() : this.write();
  }

  /** Sends requests at these rates until `stop`. */
  start({ read = 0, write = 0, health = 0 }: Rates): void {
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    this.#running = Promise.all([
      atRate(read, signal, () => this.read()),
      atRate(write, signal, () => this.write()),
      atRate(health, signal, () => this.checkHealth()),
    ]);
  }

  /** Sends no more, and waits for all responses. */
  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#running;
  }

  /** Sends requests at these rates for `seconds`. @returns their samples, once all responses are there. */
  async run(rates: Rates, seconds: number): Promise<Samples> {
    const from = performance.now();
    this.start(rates);
    await delay(seconds * 1000);
    await this.stop();
    return this.samples.sentBetween(from, performance.now());
  }

  /** Writes and reads until both succeed. @returns the milliseconds until then, or null after `timeoutMs`. */
  async untilServing(timeoutMs: number): Promise<number | null> {
    const from = performance.now();
    while (performance.now() - from < timeoutMs) {
      const samples = await Promise.all([this.write(), this.read()]);
      if (samples.every(succeeded)) return Math.round(performance.now() - from);
      await delay(20);
    }
    return null;
  }

  /**
   * Milliseconds from `moment` to the last failed response, or to the first successful read or write, whichever is
   * latest; infinite when none succeeded. Valid while no other fault has been injected since.
   */
  recoveryMs(moment: number): number {
    const later = this.#samples.filter(({ receivedAt }) => receivedAt > moment);
    const firstSuccess = (kind: Sample['kind']) =>
      later.find((sample) => sample.kind === kind && succeeded(sample))?.receivedAt ?? Number.POSITIVE_INFINITY;
    const lastFailure = later.findLast((sample) => !succeeded(sample))?.receivedAt ?? moment;
    return Math.round(Math.max(firstSuccess('read'), firstSuccess('write'), lastFailure) - moment);
  }

  /** Checks the error bodies, and that no acknowledged write is lost. To be called last. */
  async verifyWrites(checks: Checks): Promise<Figures> {
    checks.expect(this.#malformed === 0, `${this.#malformed} responses had another body than their status requires`);
    return { 'writes sent': this.#writeLog.sent, ...(await this.#writeLog.verify(this.#service.origin, checks)) };
  }

  /** As `verifyWrites`, and checks that every request was answered. */
  async verify(checks: Checks): Promise<Figures> {
    const [all, reads, writes] = [this.samples, this.samples.of('read'), this.samples.of('write')];
    const unanswered = all.withStatus(0).count;
    checks.expect(unanswered === 0, `${unanswered} requests were not answered`);
    return {
      'requests sent': all.count,
      'reads by status': reads.byStatus(),
      'writes by status': writes.byStatus(),
      'slowest read, ms': reads.slowestMs(),
      'slowest write, ms': writes.slowestMs(),
      ...(await this.verifyWrites(checks)),
    };
  }

  /** Whether a list has the task to read, if there is one, and no other user's. */
  #isOwn(body: string, user: string): boolean {
    const { tasks }: { tasks: { readonly user_id: string }[] } = JSON.parse(body);
    return body.includes(this.#expectedInList) && tasks.every(({ user_id }) => user_id === user);
  }

  #record(kind: Sample['kind'], response: Response): Sample {
    const { requestId, status, error, sentAt, receivedAt } = response;
    const sample = { kind, requestId, status, error, sentAt, receivedAt };
    if (!isWellFormed(response)) this.#malformed += 1;
    this.#samples.push(sample);
    return sample;
  }
}
