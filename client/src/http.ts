import { type AnyErrorBody, isTransient, localError, TodoApiError } from './errors.ts';
import { type TokenOptions, TokenSource } from './token.ts';
import { backoff, linked, pause } from './waiting.ts';

export interface HttpOptions extends TokenOptions {
  /** The origin of the service, such as `https://api.example.com`. */
  readonly url: string;
  /** In place of the global `fetch`. */
  readonly fetch?: (url: string, init: RequestInit) => Promise<Response>;
  /** How long to wait for an answer; 30,000 by default. */
  readonly timeoutMs?: number;
  /** How often a request is sent before its failure is reported; 4 by default. */
  readonly attempts?: number;
  /** How long to wait before the second attempt, twice as long before each further one; 500 by default. */
  readonly retryMs?: number;
}

export interface ApiRequest {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  /** JSON. */
  readonly body?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface SendOptions {
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
  readonly attempts?: number;
}

export interface ApiAnswer<T> {
  readonly status: number;
  readonly headers: Headers;
  /** Null for 304. */
  readonly body: T;
}

const MAX_RETRY_AFTER_MS = 60_000;

function retryAfterMs(headers: Headers, now: number): number | null {
  const text = headers.get('Retry-After');
  if (text === null) return null;
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now;
  return Number.isNaN(ms) ? null : Math.min(Math.max(ms, 0), MAX_RETRY_AFTER_MS);
}

async function errorOf(response: Response, now: number): Promise<TodoApiError> {
  const text = await response.text().catch(() => '');
  let body: AnyErrorBody = {};
  try {
    body = { ...JSON.parse(text) };
  } catch {
    // a proxy's error page
  }
  return new TodoApiError(response.status, body, { retryAfterMs: retryAfterMs(response.headers, now) });
}

/** Sends requests with one user's token. */
export class Http {
  readonly token: TokenSource;
  readonly origin: string;
  readonly retryMs: number;
  readonly #options: HttpOptions;

  constructor(options: HttpOptions) {
    this.#options = options;
    this.token = new TokenSource(options);
    this.origin = options.url.replace(/\/+$/, '');
    this.retryMs = options.retryMs ?? 500;
  }

  /**
   * Sends a request, and again after a 401 with a new token, or if it may succeed then: no answer, 429, 500, 502, 503,
   * 504. Writes must therefore have an `Idempotency-Key`.
   * @throws {TodoApiError} of the last attempt; the reason of `signal` if that is aborted.
   */
  async send<T>(request: ApiRequest, options: SendOptions = {}): Promise<ApiAnswer<T>> {
    const { signal, attempts = this.#options.attempts ?? 4 } = options;
    const timeoutMs = options.timeoutMs ?? this.#options.timeoutMs ?? 30_000;
    for (let failures = 0; ; ) {
      try {
        return await this.#exchange<T>(request, timeoutMs, signal);
      } catch (error) {
        signal?.throwIfAborted();
        failures += 1;
        if (!isTransient(error) || failures >= attempts) throw error;
        const asked = error instanceof TodoApiError ? (error.retryAfterMs ?? 0) : 0;
        await pause(
          asked + backoff(failures, { retryMs: this.retryMs, maxMs: 10_000 }),
          signal ?? new AbortController().signal,
        );
        signal?.throwIfAborted();
      }
    }
  }

  /**
   * Sends a request once, and again after a 401 with a new token. @returns an answer below 400, its body not yet read.
   */
  async open(request: ApiRequest, signal: AbortSignal): Promise<Response> {
    for (let refreshed = false; ; refreshed = true) {
      const token = await this.token.get();
      const response = await this.#fetch(request, token.text, signal);
      this.token.learnTime(response.headers.get('Date'));
      if (response.status < 400) return response;
      const error = await errorOf(response, this.token.now());
      if (error.status !== 401) throw error;
      this.token.discard(token);
      if (refreshed) throw error;
    }
  }

  async #fetch({ method, path, body, headers }: ApiRequest, token: string, signal: AbortSignal): Promise<Response> {
    const { fetch = globalThis.fetch } = this.#options;
    const type = typeof body === 'string' ? { 'Content-Type': 'application/json' } : {};
    try {
      return await fetch(this.origin + path, {
        method,
        headers: { ...headers, ...type, Authorization: `Bearer ${token}` },
        body: body ?? null,
        cache: 'no-store',
        credentials: 'omit',
        signal,
      });
    } catch (error) {
      signal.throwIfAborted();
      throw localError('NETWORK', 'The service cannot be reached', error);
    }
  }

  async #exchange<T>(request: ApiRequest, timeoutMs: number, signal?: AbortSignal): Promise<ApiAnswer<T>> {
    const { controller, release } = linked(signal);
    const timer = setTimeout(() => controller.abort(localError('TIMEOUT', 'The service did not answer')), timeoutMs);
    try {
      const { status, headers, ...response } = await this.#read(request, controller.signal);
      return { status, headers, body: JSON.parse(response.text) };
    } finally {
      clearTimeout(timer);
      release();
    }
  }

  async #read(request: ApiRequest, signal: AbortSignal) {
    const response = await this.open(request, signal);
    const { status, headers } = response;
    const text = await response.text().catch((error: unknown) => {
      signal.throwIfAborted();
      throw localError('NETWORK', 'The answer was lost', error);
    });
    return { status, headers, text: status === 304 ? 'null' : text };
  }
}
