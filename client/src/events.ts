import type { Change } from './api-types.ts';
import type { TodoClient } from './client.ts';
import { isTransient, localError, TodoApiError } from './errors.ts';
import { EventStreamParser } from './event-stream.ts';
import { backoff, linked, pause } from './waiting.ts';

export interface Arrival {
  readonly changes: readonly Change[];
  /** Everything up to here has been handed over. */
  readonly cursor: string;
  /** Whether what was missed has been handed over: from here on, changes arrive as they happen. */
  readonly synced: boolean;
}

export interface EventsOptions {
  /** Where to begin; without it, everything that is there comes first. */
  readonly cursor?: string | null;
  readonly signal?: AbortSignal;
  /** Told of each failed attempt to connect, before the next. */
  readonly onError?: (error: unknown) => void;
}

/** The service sends something every 15 s. */
const SILENCE_MS = 40_000;
const AT_ONCE_MS = 5_000;
const MAX_FAILED_STREAMS = 3;
/** How many times to wait with `?wait=` before a stream is tried again. */
const POLLS = 40;
const WAIT_SECONDS = 25;

/** One connection to the stream. */
class Connection {
  /** Whether the service accepted it. */
  opened = false;
  delivered = false;
  /** Whether the service announced the end. */
  inOrder = false;
  #synced = false;
  readonly #client: TodoClient;
  readonly #parser = new EventStreamParser();
  readonly #began = performance.now();

  constructor(client: TodoClient) {
    this.#client = client;
  }

  /** How long to wait before the next connection. */
  get retryMs(): number {
    return Math.random() * (this.#parser.retryMs ?? 1_000);
  }

  /** Whether something on the way seems to forbid streams. */
  get failed(): boolean {
    const atOnce = performance.now() - this.#began < AT_ONCE_MS;
    return this.opened && !this.inOrder && (atOnce || !this.delivered);
  }

  /** @throws {TodoApiError} NETWORK when it is lost, TIMEOUT when nothing comes any more. */
  async *arrivals(cursor: string | null, signal: AbortSignal): AsyncGenerator<Arrival, void, undefined> {
    const { controller, release } = linked(signal);
    const silent = () => controller.abort(localError('TIMEOUT', 'The stream is silent'));
    let timer = setTimeout(silent, SILENCE_MS);
    const headers = { Accept: 'text/event-stream', ...(cursor === null ? {} : { 'Last-Event-ID': cursor }) };
    try {
      const { body } = await this.#client.http.open({ method: 'GET', path: '/api/events', headers }, controller.signal);
      this.opened = true;
      const reader = body?.getReader();
      const decoder = new TextDecoder();
      while (!this.inOrder) {
        const piece = await reader?.read().catch((error: unknown) => {
          controller.signal.throwIfAborted();
          throw localError('NETWORK', 'The stream was cut', error);
        });
        if (piece?.value === undefined) return;
        clearTimeout(timer);
        timer = setTimeout(silent, SILENCE_MS);
        yield* this.#take(decoder.decode(piece.value, { stream: true }));
      }
    } finally {
      clearTimeout(timer);
      controller.abort();
      release();
    }
  }

  *#take(text: string): Generator<Arrival, void, undefined> {
    const events = this.#parser.parse(text);
    this.inOrder = events.some(({ event }) => event === 'close');
    const known = events.filter(({ event }) => event === 'change' || event === 'synced');
    const cursor = known.at(-1)?.id;
    if (typeof cursor !== 'string') return;
    this.delivered = true;
    const changes = known.filter(({ event }) => event === 'change').map(({ data }): Change => JSON.parse(data));
    this.#synced ||= known.some(({ event }) => event === 'synced'); // sent once; what follows has just happened
    yield { changes, cursor, synced: this.#synced };
  }
}

const retryAfterMs = (error: unknown) => (error instanceof TodoApiError ? (error.retryAfterMs ?? 0) : 0);

/**
 * Everything that changes from now on, for as long as it is read: by a stream that is resumed where it ended, or,
 * after three streams that were closed at once (some proxies do), by requests that wait. Nothing is missed and nothing
 * comes twice.
 * @throws {TodoApiError} what waiting does not mend: 401, 403, 410 `CURSOR_EXPIRED`, `TOKEN`, `USER_CHANGED`.
 */
export async function* events(
  client: TodoClient,
  options: EventsOptions = {},
): AsyncGenerator<Arrival, void, undefined> {
  const signal = options.signal ?? new AbortController().signal;
  let cursor = options.cursor ?? null;
  let failedStreams = 0;
  let failures = 0;
  let polls = 0;

  async function* poll(): AsyncGenerator<Arrival, void, undefined> {
    polls += 1;
    const page = await client.changes({ cursor, wait: WAIT_SECONDS, signal });
    yield { changes: page.changes, cursor: page.cursor, synced: !page.has_more };
  }

  while (!signal.aborted) {
    const stream = failedStreams < MAX_FAILED_STREAMS || polls >= POLLS ? new Connection(client) : null;
    let waitMs = 0;
    try {
      for await (const arrival of stream?.arrivals(cursor, signal) ?? poll()) {
        failures = 0;
        cursor = arrival.cursor;
        yield arrival;
      }
      waitMs = stream?.retryMs ?? 0;
    } catch (error) {
      if (signal.aborted) return;
      if (!isTransient(error)) throw error;
      options.onError?.(error);
      failures += 1;
      waitMs = retryAfterMs(error) + backoff(failures, { retryMs: client.http.retryMs, maxMs: 30_000 });
      if (stream !== null && error instanceof TodoApiError && error.status === 429) failedStreams += 1;
    }
    if (stream !== null) polls = 0;
    if (stream?.failed) failedStreams += 1;
    else if (stream?.opened) failedStreams = 0;
    await pause(waitMs, signal);
  }
}
