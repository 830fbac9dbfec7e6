import type { ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { Clock } from '../core/clock.ts';
import { onceClosed, onceLeft } from './open-responses.ts';

type CloseReason = 'token_expired' | 'slow_reader' | 'shutting_down' | 'max_age';

const TICK_MS = 1_000;
/** Each stream has its heartbeat in the tick of its start, so that not all have it at once. */
const HEARTBEAT_TICKS = 15;
const MAX_AGE_TICKS = 3_600;
/** How long a client may take to read what it was sent. */
const SLOW_READER_TICKS = 20;
/** How long a client may take to read what is left when a stream is closed. */
const LINGER_MS = 1_000;
const MIN_RETRY_MS = 1_000;
const MAX_RETRY_MS = 5_000;

/** One event as text (HTML standard, 9.2.5). @param data without line breaks. */
export const eventText = (event: string, id: string, data: string) => `id: ${id}\nevent: ${event}\ndata: ${data}\n\n`;

/** Where the client is once it has read what it was sent. */
interface Reached {
  readonly cursor: string;
  readonly version: number;
}

/** A response of Server-Sent Events. */
export class EventStream {
  readonly #raw: ServerResponse;
  readonly #expiresAtMs: number;
  #reached: Reached | null = null;
  #age = 0;
  /** For how long the client has not read what it was sent; null if it has. */
  #unreadAge: number | null = null;
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
    this.#unreadAge = 0;
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

  /** Closes the stream if it is time. @param nowMs since the Unix epoch. */
  tick(nowMs: number): void {
    this.#age += 1;
    if (this.#unreadAge !== null) this.#unreadAge += 1;
    if (nowMs >= this.#expiresAtMs) this.close('token_expired');
    else if ((this.#unreadAge ?? 0) > SLOW_READER_TICKS) this.close('slow_reader');
    else if (this.#age > MAX_AGE_TICKS) this.close('max_age');
  }

  beat(): void {
    if (!this.#isClosed && this.#unreadAge === null) this.#raw.write(`: ${this.#reached?.version ?? 0}\n\n`);
  }

  #settle(isOpen: boolean): void {
    const resolve = this.#onRead;
    this.#onRead = null;
    this.#unreadAge = null;
    resolve?.(isOpen);
  }
}

interface EventStreamOptions {
  readonly clock: Clock;
  /** In milliseconds; 1000 if not given. */
  readonly tickMs?: number | undefined;
}

/** The open streams of the process: one timer for the heartbeats and ends of all. */
export class EventStreams {
  readonly #app: FastifyInstance;
  readonly #clock: Clock;
  readonly #tickMs: number;
  /** By the tick of their heartbeat. */
  readonly #streams: readonly Set<EventStream>[] = Array.from({ length: HEARTBEAT_TICKS }, () => new Set());
  #count = 0;
  #tick = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(app: FastifyInstance, { clock, tickMs = TICK_MS }: EventStreamOptions) {
    this.#app = app;
    this.#clock = clock;
    this.#tickMs = tickMs;
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
    this.#timer ??= setInterval(() => this.#onTick(), this.#tickMs).unref();
    onceClosed(request, () => {
      bucket?.delete(stream);
      this.#count -= 1;
      this.#stopWhenIdle();
      stream.closed();
    });
    onceLeft(request, () => stream.close(null));
    if (request.method === 'HEAD') stream.close(null);
    else raw.write(`retry: ${Math.round(MIN_RETRY_MS + Math.random() * (MAX_RETRY_MS - MIN_RETRY_MS))}\n\n`);
    if (this.#app.draining.aborted) setImmediate(() => stream.close('shutting_down'));
    return stream;
  }

  #onTick(): void {
    const nowMs = this.#clock();
    for (const stream of this.#all()) stream.tick(nowMs);
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
