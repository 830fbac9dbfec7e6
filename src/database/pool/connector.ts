import type pg from 'pg';
import { judge, sqlStateOf } from '../errors.ts';
import { Wire } from './connection.ts';

interface ConnectionSlotsOptions {
  /** A client that has not been connected yet. */
  readonly createClient: () => pg.Client | Promise<pg.Client>;
  /** Brings the database up to date and checks it, once, before the first job. */
  readonly prepare: (client: pg.Client) => Promise<void>;
  /** Connections that requests share. */
  readonly connections: number;
  readonly namedStatements: () => boolean;
  /** A connection has become ready, has answered, or has ended; or an attempt may be made again. */
  readonly onChange: () => void;
  /** An attempt failed. */
  readonly onFailure: (failure: FailedAttempt) => void;
  /** The database must not be served from; no further attempt is made. */
  readonly onUnusable: (error: unknown) => void;
}

export interface FailedAttempt {
  readonly error: unknown;
  /** No attempt has failed since the last that succeeded. */
  readonly isFirst: boolean;
  /** Attempts have failed for so long, with no connection left, that nobody should wait for them. */
  readonly isHopeless: boolean;
}

/** The database answers, but must not be served from; `message` says why and what to do. */
export class UnusableDatabase extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'UnusableDatabase';
  }
}

/** How long requests put up with attempts that fail. */
const PATIENCE_MS = 3_000;
/** How long bringing the schema up to date may take, a large migration included. */
const MAX_PREPARE_MS = 60_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 1_000;
/** After so long without an attempt, nobody having wanted a connection, earlier failures say nothing any more. */
const UNATTENDED_MS = 3 * LONGEST_PAUSE_MS;

function isUnusable(error: unknown): boolean {
  if (error instanceof UnusableDatabase) return true;
  const sqlState = sqlStateOf(error);
  return sqlState !== null && (judge(sqlState) === 'misconfigured' || sqlState.startsWith('42'));
}

/**
 * Opens connections when they are wanted and no sooner (a sleeping Neon database is left asleep), prepares the database
 * before the first, and pauses a little longer after each attempt that fails.
 */
export class ConnectionSlots {
  readonly #options: ConnectionSlotsOptions;
  #wires: readonly Wire[] = [];
  /** When there last was no connection at all. */
  #gap = { from: 0, to: Number.POSITIVE_INFINITY };
  #opening = 0;
  #preparing: Promise<void> | null = null;
  #isPrepared = false;
  #failure: { readonly since: number; readonly last: number; readonly error: unknown } | null = null;
  #pauseMs = FIRST_PAUSE_MS;
  #pause: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(options: ConnectionSlotsOptions) {
    this.#options = options;
  }

  /** The connections that can take jobs. */
  wires(): readonly Wire[] {
    return this.#wires;
  }

  /** How long there has been a connection since `moment` (`performance.now()`): the last time without one is left out. */
  connectedMsSince(moment: number): number {
    const now = performance.now();
    const { from, to } = this.#gap;
    return now - moment - Math.max(0, Math.min(now, to) - Math.max(moment, from));
  }

  /** Why nobody should wait for a connection, or null while there is hope. */
  hopeless(): unknown {
    if (this.#closed) return new Error('The database has been closed');
    if (this.#failure === null || this.#wires.length > 0) return null;
    if (this.#opening === 0 && this.#pause === null) return null; // nobody has tried for a while
    const { since, last, error } = this.#failure;
    // An attempt still under way may be waking the database up.
    return last - Math.max(since, this.#gap.from) > PATIENCE_MS ? error : null;
  }

  /** Opens every connection; settles after the first attempt, whatever came of it. */
  async open(): Promise<void> {
    await Promise.all(Array.from({ length: this.#options.connections }, () => this.#openOne()));
  }

  /** Asks for one more connection, unless all are there or on their way, or a failed attempt is being slept off. */
  want(): void {
    if (this.#closed || this.#pause !== null) return;
    const living = this.#wires.filter((wire) => wire.takesJobs).length;
    if (living + this.#opening < this.#options.connections) void this.#openOne();
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#pause !== null) clearTimeout(this.#pause);
    await Promise.all(this.#wires.map((wire) => wire.close()));
  }

  async #openOne(): Promise<void> {
    const from = performance.now();
    this.#opening += 1;
    try {
      await this.#prepareOnce();
      this.#add(await this.#connect());
      this.#failure = null;
      this.#pauseMs = FIRST_PAUSE_MS;
    } catch (error) {
      this.#failed(error, from);
    } finally {
      this.#opening -= 1;
    }
    this.#options.onChange();
  }

  async #connect(): Promise<pg.Client> {
    const client = await this.#options.createClient();
    // A server may end a connection at any moment; whoever waits for it is told, and nobody else needs to be.
    client.on('error', () => undefined);
    await client.connect();
    return client;
  }

  #add(client: pg.Client): void {
    const wire = new Wire(client, {
      namedStatements: this.#options.namedStatements,
      onAnswer: this.#options.onChange,
      onEnd: () => {
        this.#wires = this.#wires.filter((other) => other !== wire);
        if (this.#wires.length === 0) this.#gap = { from: performance.now(), to: Number.POSITIVE_INFINITY };
        this.#options.onChange();
      },
    });
    if (this.#closed) {
      void wire.close();
      return;
    }
    if (this.#wires.length === 0) this.#gap = { from: this.#gap.from, to: performance.now() };
    this.#wires = [...this.#wires, wire];
  }

  #prepareOnce(): Promise<void> {
    this.#preparing ??= this.#prepare().catch((error: unknown) => {
      this.#preparing = null;
      throw error;
    });
    return this.#preparing;
  }

  async #prepare(): Promise<void> {
    const client = await this.#connect();
    const silence = setTimeout(() => {
      client.connection.stream.destroy(new Error('The database did not answer in time'));
    }, MAX_PREPARE_MS);
    try {
      await this.#options.prepare(client);
      this.#isPrepared = true;
      await client.end();
    } catch (error) {
      client.connection.stream.destroy();
      throw error;
    } finally {
      clearTimeout(silence);
    }
  }

  #failed(error: unknown, from: number): void {
    if (this.#closed) return;
    if (!this.#isPrepared && isUnusable(error)) {
      this.#closed = true;
      const message = error instanceof Error ? error.message : String(error);
      const hint = 'see "The role that connects" in docs/operations.md';
      this.#options.onUnusable(
        error instanceof UnusableDatabase
          ? error
          : new UnusableDatabase(`The database cannot be used: ${message} (${hint})`, error),
      );
      return;
    }
    const now = performance.now();
    const isFirst = this.#failure === null;
    const before = this.#failure !== null && from - this.#failure.last < UNATTENDED_MS ? this.#failure : null;
    this.#failure = { since: before?.since ?? now, last: now, error };
    this.#options.onFailure({ error, isFirst, isHopeless: this.hopeless() !== null });
    if (this.#pause !== null) return;
    this.#pause = setTimeout(() => {
      this.#pause = null;
      if (this.#isPrepared) this.#options.onChange();
      else this.want();
    }, this.#pauseMs);
    this.#pauseMs = Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS);
  }
}
