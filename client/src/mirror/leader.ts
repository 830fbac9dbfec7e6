import type { BatchResults, List, Task } from '../api-types.ts';
import type { TodoClient } from '../client.ts';
import { isTransient, TodoApiError } from '../errors.ts';
import { backoff, linked, pause } from '../waiting.ts';
import type { LocalCopy } from './local-copy.ts';
import { type Decision, decided, isFinal, nextFlight, type OperationResult, refusedResult, settled } from './outbox.ts';
import { pull, startAgain } from './pull.ts';
import type { Flight, PendingWrite, Refusal } from './storage.ts';

/** A write that the service refused. */
export interface Conflict extends Refusal {
  readonly write: PendingWrite;
}

export type OnConflict = (conflict: Conflict) => Decision | Promise<Decision>;

export type Status = 'offline' | 'syncing' | 'live' | 'error' | 'closed';

interface LeaderOptions {
  readonly client: TodoClient;
  readonly local: LocalCopy;
  readonly onConflict: OnConflict;
  readonly onStatus: (status: Status, error: unknown) => void;
  readonly signal: AbortSignal;
}

const MAX_WAIT_MS = 60_000;

/** Keeps the copy current and sends the pending writes: what one window of a browser does for all. */
export class Leader {
  readonly #options: LeaderOptions;
  readonly #gone = new Map<string, number>();
  readonly #asked = new Set<number>();
  readonly #decisions = new Map<string, number>();
  #pulled: { readonly status: Status; readonly error: unknown } = { status: 'syncing', error: null };
  #drainError: unknown = null;
  #pulling = new AbortController();
  #waiting = new AbortController();

  constructor(options: LeaderOptions) {
    this.#options = options;
  }

  /** Resolves when the signal is aborted. */
  async run(): Promise<void> {
    this.#ask();
    await Promise.all([this.#pull(), this.#drain()]);
  }

  /** Sends what is pending, without waiting any longer. */
  drain(): void {
    this.#waiting.abort();
  }

  /** Connects again, sends what is pending, and asks again about the writes that were refused. */
  retry(): void {
    this.#pulling.abort();
    this.drain();
    this.#ask();
  }

  #report(status: Status, error: unknown): void {
    const wasLive = this.#pulled.status === 'live';
    this.#pulled = { status, error };
    this.#tell();
    if (status === 'live' && !wasLive) this.drain();
  }

  #tell(): void {
    const { status, error } = this.#pulled;
    if (this.#drainError === null) this.#options.onStatus(status, error);
    else this.#options.onStatus('error', this.#drainError);
  }

  async #pull(): Promise<void> {
    const { client, local, signal } = this.#options;
    for (let failures = 0; !signal.aborted; ) {
      const { controller, release } = linked(signal);
      this.#pulling = controller;
      const onSynced = () => {
        failures = 0;
        this.#report('live', null);
      };
      const onError = (error: unknown) => this.#report('offline', error);
      this.#report('syncing', null);
      try {
        await pull({ client, local, gone: this.#gone, signal: controller.signal }, onSynced, onError);
      } catch (error) {
        const isExpired = error instanceof TodoApiError && error.status === 410;
        if (!controller.signal.aborted) {
          failures += 1;
          if (!isExpired) this.#report(isTransient(error) ? 'offline' : 'error', error);
          else await startAgain(local, this.#gone).catch((cause: unknown) => this.#report('error', cause));
          if (!isExpired || failures > 1) await pause(this.#backoff(failures), controller.signal);
        }
      } finally {
        release();
      }
    }
  }

  async #drain(): Promise<void> {
    const { signal } = this.#options;
    for (let failures = 0; !signal.aborted; ) {
      const { controller, release } = linked(signal);
      this.#waiting = controller;
      try {
        const flight = await this.#takeFlight();
        if (flight !== null) await this.#fly(flight);
        else await pause(2 ** 31 - 1, controller.signal);
        failures = 0;
        this.#drained(null);
      } catch (error) {
        if (signal.aborted) return;
        failures += 1;
        this.#drained(isTransient(error) ? null : error); // what waiting mends is told by the connection that reads
        if (error instanceof TodoApiError && error.status === 0) this.#pulling.abort(); // which may be dead as well
        await pause(this.#backoff(failures), controller.signal);
      } finally {
        release();
      }
    }
  }

  #backoff(failures: number): number {
    return backoff(failures, { retryMs: this.#options.client.http.retryMs, maxMs: MAX_WAIT_MS });
  }

  #drained(error: unknown): void {
    if (error === this.#drainError) return;
    this.#drainError = error;
    this.#tell();
  }

  /** The request that was on its way, or a new one, recorded before it is sent. */
  async #takeFlight(): Promise<Flight | null> {
    const { local } = this.#options;
    let { flight } = local.contents;
    if (flight !== null) return flight;
    await local.commit((contents) => {
      const next = nextFlight(contents);
      flight = next?.flight ?? null;
      return next?.change ?? {};
    });
    return flight;
  }

  async #fly(flight: Flight): Promise<void> {
    const { local } = this.#options;
    const { results, version } = await this.#send(flight);
    await local.commit((contents) => settled(contents, flight, results, version, this.#gone));
    this.#ask();
    const later = results.find(({ status }) => status === 429 || status >= 500);
    if (later !== undefined) throw new TodoApiError(later.status, later);
  }

  async #send(flight: Flight): Promise<{ results: readonly OperationResult[]; version: number | null }> {
    const { client, signal } = this.#options;
    const options = { signal, attempts: 1 };
    try {
      if (flight.seqs.length > 1) return (await client.http.send<BatchResults>(flight, options)).body;
      const { status, headers, body } = await client.http.send<Task | List>(flight, options);
      if (flight.method !== 'DELETE') return { results: [{ status, item: body }], version: null };
      const version = /\d+/.exec(headers.get('ETag') ?? '')?.[0];
      return { results: [{ status }], version: version === undefined ? null : Number(version) };
    } catch (error) {
      if (!(error instanceof TodoApiError) || !isFinal(error)) throw error;
      return { results: flight.seqs.map(() => refusedResult(error)), version: null };
    }
  }

  /** Asks the application about each refused write that it has not been asked about. */
  #ask(): void {
    for (const write of this.#options.local.contents.writes) {
      if (write.refusal === null || this.#asked.has(write.seq)) continue;
      this.#asked.add(write.seq);
      // A handler that fails has not decided: it is asked again by retry() and at the next start.
      void this.#decide({ ...write.refusal, write })
        .catch((error: unknown) => this.#options.onStatus('error', error))
        .finally(() => this.#asked.delete(write.seq));
    }
  }

  async #decide(conflict: Conflict): Promise<void> {
    const { local, onConflict, signal } = this.#options;
    const { id, seq } = conflict.write;
    const decision = await onConflict(conflict);
    const before = this.#decisions.get(id) ?? 0;
    this.#decisions.set(id, before + 1);
    if (decision !== 'theirs' && before > 0) await pause(this.#backoff(before), signal);
    if (signal.aborted) return;
    await local.commit((contents) => decided(contents, seq, decision));
    this.drain();
  }
}
