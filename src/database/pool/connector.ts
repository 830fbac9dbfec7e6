import type pg from 'pg';

interface ConnectorOptions {
  /** Opens a connection. */
  readonly connect: () => Promise<pg.Client>;
  readonly onConnected: (client: pg.Client) => void;
  /** @param isFirst no attempt has failed since the last success. */
  readonly onFailure: (error: Error, isFirst: boolean) => void;
  readonly onBackoffOver: () => void;
}

/** Circuit breaker: opens when connecting has failed for this long. */
const OPEN_CIRCUIT_AFTER_MS = 3_000;
/** Failures are reset if the last one is older than this at the next attempt. */
const FAILURE_RESET_MS = 3_000;
const MIN_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 1_000;

/**
 * Opens connections on demand, with exponential backoff, behind a circuit breaker. On demand only, so that an idle Neon
 * database may stay suspended.
 *
 * The circuit is closed after a success, or 3 s without an attempt; open once attempts have failed for 3 s; half-open
 * when it was open and no attempt or backoff is under way: the next request for a connection then makes an attempt.
 */
export class Connector {
  readonly #options: ConnectorOptions;
  #connecting = 0;
  #backoff: NodeJS.Timeout | null = null;
  #backoffMs = MIN_BACKOFF_MS;
  #failure: { readonly since: number; readonly last: number; readonly error: Error } | null = null;
  #closed = false;

  constructor(options: ConnectorOptions) {
    this.#options = options;
  }

  /** Number of attempts under way. */
  get connecting(): number {
    return this.#connecting;
  }

  /** The last error while the circuit is open, else null. */
  get circuitError(): Error | null {
    if (this.#failure === null || (this.#connecting === 0 && this.#backoff === null)) return null;
    const { since, last, error } = this.#failure;
    return last - since > OPEN_CIRCUIT_AFTER_MS ? error : null;
  }

  /** Starts an attempt, unless backoff is under way. */
  request(): void {
    if (!this.#closed && this.#backoff === null) void this.attempt();
  }

  /** Makes one attempt; resolves when it has succeeded or failed. */
  async attempt(): Promise<void> {
    const isExpired = this.#failure !== null && performance.now() - this.#failure.last > FAILURE_RESET_MS;
    if (isExpired) this.closeCircuit();
    this.#connecting += 1;
    try {
      const client = await this.#options.connect();
      this.#connecting -= 1;
      this.#backoffMs = MIN_BACKOFF_MS;
      this.closeCircuit();
      if (this.#closed) await client.end();
      else this.#options.onConnected(client);
    } catch (error) {
      this.#connecting -= 1;
      this.#failed(error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** Failures up to now no longer count: there is, or was until now, a connection. */
  closeCircuit(): void {
    this.#failure = null;
  }

  close(): void {
    this.#closed = true;
    if (this.#backoff !== null) clearTimeout(this.#backoff);
  }

  #failed(error: Error): void {
    if (this.#closed) return;
    const now = performance.now();
    const isFirst = this.#failure === null;
    this.#failure = { since: this.#failure?.since ?? now, last: now, error };
    if (this.#backoff === null) {
      this.#backoff = setTimeout(() => {
        this.#backoff = null;
        this.#options.onBackoffOver();
      }, this.#backoffMs);
      this.#backoffMs = Math.min(this.#backoffMs * 2, MAX_BACKOFF_MS);
    }
    this.#options.onFailure(error, isFirst);
  }
}
