import type { ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { Clock } from '../core/clock.ts';
import type { Gauge } from './metrics.ts';
import { onceClosed } from './open-responses.ts';

type CloseReason = 'token_expired' | 'slow_reader' | 'shutting_down' | 'max_age';

const TICK_MS = 1_000;
/** In ticks; streams have theirs in the tick of their start, so that not all have it at once. */
const HEARTBEAT_TICKS = 15;
const MAX_AGE_MS = 3_600_000;
const SLOW_READER_MS = 20_000;
/** How long a client may take to read what is left when a stream is closed. */
const LINGER_MS = 1_000;
const MIN_RETRY_MS = 1_000;
const MAX_RETRY_MS = 5_000;

/** One event as text (HTML standard, 9.2.5). @param data without line breaks. */
export const eventText = (event: string, id: string, data: string) => `id: ${id}\nevent: ${event}\ndata: ${data}\n\n`;

/** Where the client is once it has read what it was sent. */
export interface Reached {
  readonly cursor: string;
  readonly version: number;
}

/** A response of Server-Sent Events. */
export class EventStream {
  readonly #raw: ServerResponse;
  readonly #startedAt = performance.now();
  readonly #expiresAtMs: number;
  #reached: Reached | null = null;
  /** Since when the client has not read what it was sent (`performance.now()`); null if it has. */
  #unreadSince: number | null = null;
  #onRead: ((isOpen: boolean) => void) | null = null;
  #isClosed = false;

  constructor(raw: ServerResponse, expiresAtMs: number) {
    this.#raw = raw;
    this.#expiresAtMs = expiresAtMs;
    raw.on('drain', () => this.#settle(true));
  }

  /** Sends events. @returns whether the stream is open, once the socket's buffer is empty. */
  send(events: string | Buffer, reached: Reached): Promise<boolean> {
    if (this.#isClosed) return Promise.resolve(false);
    this.#reached = reached;
    if (this.#raw.write(events)) return Promise.resolve(true);
    this.#unreadSince = performance.now();
    return new Promise((resolve) => {
      this.#onRead = resolve;
    });
  }

  /** The connection has gone. */
  closed(): void {
    this.#isClosed = true;
    this.#settle(false);
  }

  /** Ends the response, with an event if there is a `reason`; what is not read within a second is discarded. */
  close(reason: CloseReason | null): void {
    if (this.#isClosed) return;
    const cursor = this.#reached?.cursor ?? null;
    this.#raw.end(reason === null ? '' : `event: close\ndata: ${JSON.stringify({ reason, cursor })}\n\n`);
    this.closed();
    if (this.#raw.writableFinished) return;
    const timer = setTimeout(() => this.#raw.destroy(), LINGER_MS);
    this.#raw.once('close', () => clearTimeout(timer));
  }

  /** Whether the stream has to end, by the clocks `nowMs` and `performance.now()`. */
  closeReason(nowMs: number, now: number, slowReaderMs: number): CloseReason | null {
    if (nowMs >= this.#expiresAtMs) return 'token_expired';
    if (this.#unreadSince !== null && now - this.#unreadSince > slowReaderMs) return 'slow_reader';
    return now - this.#startedAt > MAX_AGE_MS ? 'max_age' : null;
  }

  beat(): void {
    if (!this.#isClosed && this.#unreadSince === null) this.#raw.write(`: ${this.#reached?.version ?? 0}\n\n`);
  }

  #settle(isOpen: boolean): void {
    const resolve = this.#onRead;
    this.#onRead = null;
    this.#unreadSince = null;
    resolve?.(isOpen);
  }
}

interface EventStreamOptions {
  readonly clock: Clock;
  /** How long a client may take to read what it was sent, in milliseconds; 20,000 if not given. */
  readonly slowReaderMs?: number | undefined;
}

/** The open streams of the process: one timer for the heartbeats and ends of all. */
export class EventStreams {
  readonly #app: FastifyInstance;
  readonly #clock: Clock;
  readonly #slowReaderMs: number;
  /** By the tick of their heartbeat. */
  readonly #streams: readonly Set<EventStream>[] = Array.from({ length: HEARTBEAT_TICKS }, () => new Set());
  #count = 0;
  #tick = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(app: FastifyInstance, { clock, slowReaderMs = SLOW_READER_MS }: EventStreamOptions) {
    this.#app = app;
    this.#clock = clock;
    this.#slowReaderMs = slowReaderMs;
    app.draining.addEventListener('abort', () => {
      for (const stream of this.#all()) stream.close('shutting_down');
    });
  }

  /**
   * Starts the response: status 200, headers, `retry`. With HEAD it ends there; while the service stops it ends in this
   * turn of the event loop.
   */
  open(reply: FastifyReply): EventStream {
    const { raw, request } = reply.hijack();
    void reply.header('content-type', 'text/event-stream').header('x-accel-buffering', 'no');
    for (const [name, value] of Object.entries(reply.getHeaders())) if (value !== undefined) raw.setHeader(name, value);
    raw.writeHead(200);
    const stream = new EventStream(raw, request.tokenExpiresAtMs);
    const bucket = this.#streams[this.#tick];
    bucket?.add(stream);
    this.#count += 1;
    this.#timer ??= setInterval(() => this.#onTick(), TICK_MS).unref();
    onceClosed(request, () => {
      bucket?.delete(stream);
      this.#count -= 1;
      this.#stopWhenIdle();
      stream.closed();
    });
    if (request.method === 'HEAD') stream.close(null);
    else raw.write(`retry: ${Math.round(MIN_RETRY_MS + Math.random() * (MAX_RETRY_MS - MIN_RETRY_MS))}\n\n`);
    if (this.#app.draining.aborted) setImmediate(() => stream.close('shutting_down'));
    return stream;
  }

  get gauge(): Gauge {
    return { name: 'http_event_streams', help: 'Open event streams.', value: () => this.#count };
  }

  #onTick(): void {
    const [nowMs, now] = [this.#clock(), performance.now()];
    for (const stream of this.#all()) {
      const reason = stream.closeReason(nowMs, now, this.#slowReaderMs);
      if (reason !== null) stream.close(reason);
    }
    this.#tick = (this.#tick + 1) % HEARTBEAT_TICKS;
    for (const stream of this.#streams[this.#tick] ?? []) stream.beat();
  }

  *#all(): Iterable<EventStream> {
    for (const streams of this.#streams) yield* streams;
  }

  #stopWhenIdle(): void {
    if (this.#count > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
