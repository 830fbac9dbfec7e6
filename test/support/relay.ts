import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { openPostgresAt, type Service, startService } from './service.ts';

/** A NoticeResponse without fields, which clients of PostgreSQL take note of and do not answer. */
const NOTICE = Buffer.from([0x4e, 0, 0, 0, 5, 0]);
const KNOCK_MS = 50;

/** With this PostgreSQL ends a connection: an ErrorResponse, FATAL, 57P01. */
const FAREWELL = Buffer.from('E\0\0\0\x2cSFATAL\0VFATAL\0C57P01\0Mterminating soon\0\0', 'latin1');

export interface Sleep {
  /** How long it takes to wake from the first attempt that is not turned away, in milliseconds. */
  readonly wakeMs: number;
  /** So many attempts are reset before one is held until the database is awake. */
  readonly resets?: number;
}

/** Stands between a service and its database, and does to their connections what networks and poolers do. */
export class Relay {
  /** False: a client that hangs up is not hung up on in return. */
  hangsUp = true;
  /** Clients beyond so many are reset. */
  most = Number.POSITIVE_INFINITY;
  /** How often a client has connected, and how many of these were turned away for being too many. */
  connections = 0;
  turnedAway = 0;
  readonly #target: URL;
  readonly #server: Server;
  readonly #clients = new Set<Socket>();
  readonly #abandoned = new Set<Socket>();
  /** Connections to the database whose client is gone: what was sent on them may yet be carried out. */
  readonly #bereft = new Set<Socket>();
  #losing = false;
  #port = 0;
  #sleep: Sleep = { wakeMs: 0 };
  #resets = 0;
  #waking: Promise<void> | null = null;

  private constructor(target: URL) {
    this.#target = target;
    this.#server = createServer({ allowHalfOpen: true }, (client) => void this.#admit(client));
  }

  static async start(target: string): Promise<Relay> {
    const relay = new Relay(new URL(target));
    await relay.listen();
    return relay;
  }

  /** Where `target` is reached through this. */
  urlOf(target: string): string {
    const url = new URL(target);
    url.port = String(this.#port);
    return url.href;
  }

  /** Ends every connection, as a database does that falls asleep; the next attempts have to wake it. */
  sleep(sleep: Sleep): void {
    this.#sleep = sleep;
    this.#resets = sleep.resets ?? 0;
    this.#waking = null;
    this.#endAll();
  }

  /** Connections are refused from now on, and those there are end. */
  async refuse(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.close();
    await closed;
  }

  /** Takes connections, always at the same port. */
  async listen(): Promise<void> {
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    const address = this.#server.address();
    if (typeof address !== 'object' || address === null) throw new Error('no port');
    this.#port = address.port;
  }

  /** Says on every connection that it ends, and leaves it open; resolves once the client has hung up. */
  async sayFarewell(): Promise<void> {
    await Promise.all(
      [...this.#clients].map(async (client) => {
        client.write(FAREWELL);
        await once(client, 'close');
      }),
    );
  }

  /** The next answer does not arrive: its connection is cut instead. */
  loseNextAnswer(): void {
    this.#losing = true;
  }

  /** Resolves once each client that has hung up has closed its connection for good, which only one who knocks learns. */
  async abandoned(): Promise<number> {
    while (this.#abandoned.size === 0) await once(this.#server, 'abandoned');
    const waiting = [...this.#abandoned];
    await Promise.all(
      waiting.map(async (client) => {
        const knocking = setInterval(() => client.write(NOTICE), KNOCK_MS);
        if (!client.closed) await new Promise((resolve) => client.once('close', resolve));
        clearInterval(knocking);
      }),
    );
    return waiting.length;
  }

  /** Resolves once the database has done with the connections whose clients are gone. */
  async settled(): Promise<void> {
    const closed = (database: Socket) => new Promise((resolve) => database.once('close', resolve));
    await Promise.all([...this.#bereft].map(closed));
  }

  close(): void {
    this.#endAll();
    for (const database of this.#bereft) database.destroy();
    this.#server.close();
  }

  #endAll(): void {
    for (const client of this.#clients) client.destroy();
  }

  async #admit(client: Socket): Promise<void> {
    this.connections += 1;
    client.on('error', () => undefined);
    if (this.#clients.size >= this.most) {
      this.turnedAway += 1;
      client.resetAndDestroy();
      return;
    }
    if (this.#waking === null && this.#resets > 0) {
      this.#resets -= 1;
      client.resetAndDestroy();
      return;
    }
    this.#clients.add(client);
    client.once('close', () => this.#clients.delete(client));
    this.#waking ??= delay(this.#sleep.wakeMs, undefined, { ref: false });
    await this.#waking;
    if (!client.destroyed) this.#join(client, connect(Number(this.#target.port), this.#target.hostname));
  }

  #join(client: Socket, database: Socket): void {
    database.on('error', () => undefined);
    client.on('data', (bytes) => database.write(bytes));
    database.on('data', (bytes) => {
      if (!this.#losing) client.write(bytes);
      else client.destroy();
      this.#losing = false;
    });
    client.once('end', () => {
      database.end();
      if (this.hangsUp) return;
      this.#abandoned.add(client);
      this.#server.emit('abandoned');
    });
    database.once('close', () => {
      if (!this.#abandoned.has(client)) client.destroy();
    });
    client.once('close', () => {
      if (database.destroyed) return;
      this.#bereft.add(database);
      database.end();
    });
    database.once('close', () => this.#bereft.delete(database));
  }
}

/** A service that reaches the database at `url` over `connections` connections through `relay`. */
export async function startServiceThrough(relay: Relay, url: string, connections: number): Promise<Service> {
  return startService({ ...(await openPostgresAt(relay.urlOf(url), { connections })), place: url });
}
