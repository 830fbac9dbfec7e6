import { createHash } from 'node:crypto';
import type pg from 'pg';
import type { UserId } from '../core/user.ts';
import type { Database } from './database.ts';
import type { Identity } from './identity.ts';
import { sql } from './sql.ts';

declare module 'pg' {
  interface Client {
    /** The backend that the server, or a pooler, has named at the start. */
    readonly processID: number | null;
  }
}

/** How one process tells others that users have changed something. It only wakes: what was not heard is looked for. */
export interface Notifications {
  /** Tells the processes that listen, if there are any, within 20 ms. */
  publish(user: UserId): void;
  /** Listens until `stop`. @param onChange called with the keys of users who have changed something elsewhere. */
  listen(onChange: (key: string) => void): void;
  stop(): void;
  /** To be called from time to time while listening. @returns whether notifications demonstrably come. */
  test(): boolean;
  close(): Promise<void>;
}

/** The key of a user in notifications: others on the server, who can hear them, do not learn the id. */
export const keyOf = (user: UserId): string => createHash('sha256').update(user).digest('base64url').slice(0, 11);

const GATHER_MS = 15;
/** A payload has less than 8000 bytes. */
const KEYS_PER_PAYLOAD = 600;
/** How long to trust what is known about other processes that listen. */
const CHECK_AFTER_MS = 5_000;
const RECONNECT_AFTER_MS = 5_000;
const IDLE_MS = 30_000;
/** In a row, so that other processes have had the time to notice that this one listens. */
const TESTS_NEEDED = 2;

/** Key space of the advisory locks that those who listen hold, with a number of their own; arbitrary, but unused. */
const LOCK_SPACE = 1_723_405_911;
const CHANNEL = 'todo_changes';

const othersListen = sql<{ self: number }>(
  'listeners',
  'read',
  `select exists (
     select from pg_catalog.pg_locks
     where locktype = 'advisory' and classid = ${LOCK_SPACE} and objsubid = 2 and objid <> $self::oid
       and database = (select oid from pg_catalog.pg_database where datname = current_database())
   )`,
);

const notify = sql<{ payload: string }>('notify', 'read', `select pg_catalog.pg_notify('${CHANNEL}', $payload)`);

const NOTIFY_ALL = `select pg_catalog.pg_notify('${CHANNEL}', payload) from json_array_elements_text($1::json) as payload`;

/** Whether the connection is the server's own: one of a pooler may have another backend for each transaction. */
const IS_DIRECT = 'select pg_catalog.pg_backend_pid() = $1 as direct';

const LOGIN_ROLE: Identity = { kind: 'login-role' };

interface Options {
  /** Opens a connection. */
  readonly connect: () => Promise<pg.Client>;
  readonly database: Database;
}

/**
 * LISTEN and NOTIFY on one connection of its own, outside of what writes use, because a commit with a notification waits
 * for all others on the server. It is open only while this process listens, or tells others that do.
 */
export class PostgresNotifications implements Notifications {
  readonly #options: Options;
  /** Of this process. */
  readonly #self = Math.floor(Math.random() * 2 ** 31);
  readonly #keys = new Set<string>();
  #client: Promise<pg.Client | null> | null = null;
  #failedAt = Number.NEGATIVE_INFINITY;
  #isPooled = false;
  #isListening = false;
  #onChange: ((key: string) => void) | null = null;
  #test = { number: 0, sentAt: Number.NEGATIVE_INFINITY, hasArrived: true };
  #arrived = 0;
  #gathering: NodeJS.Timeout | null = null;
  #idle: NodeJS.Timeout | undefined;
  #others = { areThere: false, checkedAt: Number.NEGATIVE_INFINITY };

  constructor(options: Options) {
    this.#options = options;
  }

  publish(user: UserId): void {
    this.#keys.add(keyOf(user));
    this.#gather();
  }

  listen(onChange: (key: string) => void): void {
    this.#onChange = onChange;
  }

  stop(): void {
    this.#onChange = null;
    void this.close();
  }

  test(): boolean {
    if (this.#onChange === null || this.#isPooled) return false;
    const now = performance.now();
    if (now - this.#test.sentAt >= CHECK_AFTER_MS) {
      if (!this.#test.hasArrived) this.#arrived = 0;
      this.#test = { number: this.#test.number + 1, sentAt: now, hasArrived: false };
      const payload = `${this.#self}?${this.#test.number}`;
      void this.#sendTest(payload).catch(() => undefined);
    }
    return this.#arrived >= TESTS_NEEDED;
  }

  async close(): Promise<void> {
    clearTimeout(this.#idle);
    const client = await this.#client;
    this.#forget();
    await client?.end().catch(() => undefined);
  }

  /** Through another connection. */
  async #sendTest(payload: string): Promise<void> {
    if (await this.#listening()) await this.#options.database.transaction(LOGIN_ROLE, [notify({ payload })]);
  }

  #gather(): void {
    this.#gathering ??= setTimeout(() => {
      void this.#send([...this.#keys])
        .catch(() => undefined)
        .finally(() => {
          this.#gathering = null;
          if (this.#keys.size > 0) this.#gather();
        });
      this.#keys.clear();
    }, GATHER_MS).unref();
  }

  async #send(keys: readonly string[]): Promise<void> {
    if (!(await this.#othersListen())) return;
    const client = await this.#connect();
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.#onChange ?? void this.close(), IDLE_MS).unref();
    const payloads: string[] = [];
    for (let from = 0; from < keys.length; from += KEYS_PER_PAYLOAD) {
      payloads.push(`${this.#self}:${keys.slice(from, from + KEYS_PER_PAYLOAD).join()}`);
    }
    await client?.query(NOTIFY_ALL, [JSON.stringify(payloads)]);
  }

  async #othersListen(): Promise<boolean> {
    const now = performance.now();
    if (now - this.#others.checkedAt < CHECK_AFTER_MS) return this.#others.areThere;
    this.#others = { ...this.#others, checkedAt: now };
    const [[[found] = []] = []] = await this.#options.database.transaction(LOGIN_ROLE, [
      othersListen({ self: this.#self }),
    ]);
    this.#others = { areThere: found === 't', checkedAt: now };
    return found === 't';
  }

  /** @returns whether this process listens; false behind a pooler. */
  async #listening(): Promise<boolean> {
    const client = await this.#connect();
    if (client === null || this.#isPooled || this.#isListening) return this.#isListening;
    await client.query('select pg_catalog.pg_advisory_lock_shared($1, $2)', [LOCK_SPACE, this.#self]);
    await client.query(`listen ${CHANNEL}`);
    this.#isListening = true;
    return true;
  }

  #connect(): Promise<pg.Client | null> {
    if (this.#client === null && performance.now() - this.#failedAt < RECONNECT_AFTER_MS) return Promise.resolve(null);
    this.#client ??= this.#open().catch(() => {
      this.#failedAt = performance.now();
      this.#forget();
      return null;
    });
    return this.#client;
  }

  async #open(): Promise<pg.Client> {
    const client = await this.#options.connect();
    client.on('notification', ({ payload = '' }) => this.#heard(payload));
    client.connection.stream.once('close', () => this.#forget());
    try {
      const { rows } = await client.query<{ direct: boolean }>(IS_DIRECT, [client.processID]);
      this.#isPooled = rows[0]?.direct !== true;
      return client;
    } catch (error) {
      client.connection.stream.destroy();
      throw error;
    }
  }

  #forget(): void {
    this.#client = null;
    this.#isListening = false;
    this.#arrived = 0;
  }

  #heard(payload: string): void {
    if (payload === `${this.#self}?${this.#test.number}` && !this.#test.hasArrived) {
      this.#test.hasArrived = true;
      this.#arrived += 1;
    }
    const [sender, keys] = payload.split(':');
    if (keys === undefined || sender === String(this.#self)) return;
    for (const key of keys.split(',')) this.#onChange?.(key);
  }
}
