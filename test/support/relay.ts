import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { openPostgresAt, type Service, startService } from './service.ts';

/** A NoticeResponse without fields, to which PostgreSQL clients do not respond. */
const NOTICE = Buffer.from([0x4e, 0, 0, 0, 5, 0]);
const PROBE_INTERVAL_MS = 50;

/** The ErrorResponse that PostgreSQL or a pooler sends before it closes a connection. */
function fatalError(sqlState: string, message: string): Buffer {
  const fields = Buffer.from(`SFATAL\0VFATAL\0C${sqlState}\0M${message}\0\0`, 'latin1');
  const header = Buffer.from([0x45, 0, 0, 0, 0]);
  header.writeInt32BE(fields.length + 4, 1);
  return Buffer.concat([header, fields]);
}

const ADMIN_SHUTDOWN = fatalError('57P01', 'terminating soon');
/** As PgBouncer when a query has waited too long for a server. */
const QUERY_WAIT_TIMEOUT = fatalError('08P01', 'query_wait_timeout');

export interface Sleep {
  /** The time from the first connection attempt that is not reset until the database accepts it, in ms. */
  readonly wakeMs: number;
  /** The number of attempts that are reset before one is held until the database accepts it. */
  readonly resets?: number;
}

/** A TCP proxy between a service and its database that injects faults of networks, poolers and suspended databases. */
export class Relay {
  /** False: connections closed by the client are not closed by the server. */
  hangsUp = true;
  /** The limit of concurrent connections; more are reset. */
  most = Number.POSITIVE_INFINITY;
  /** Connections so far, and those of them that were reset because of the limit. */
  connections = 0;
  turnedAway = 0;
  /** Requests with this text are answered with QUERY_WAIT_TIMEOUT, so many times. */
  timeouts = { text: '', remaining: 0 };
  readonly #target: URL;
  readonly #server: Server;
  readonly #clients = new Set<Socket>();
  readonly #halfClosed = new Set<Socket>();
  /** Connections to the database whose client has disconnected: statements sent on them may still run. */
  readonly #orphaned = new Set<Socket>();
  #losing = false;
  #refusing = false;
  #port = 0;
  #sleep: Sleep = { wakeMs: 0 };
  #resets = 0;
  #resuming: Promise<void> | null = null;

  private constructor(target: URL) {
    this.#target = target;
    this.#server = createServer({ allowHalfOpen: true }, (client) => void this.#accept(client));
  }

  static async start(target: string): Promise<Relay> {
    const relay = new Relay(new URL(target));
    await relay.listen();
    return relay;
  }

  /** The URL of `target` through this proxy. */
  urlOf(target: string): string {
    const url = new URL(target);
    url.port = String(this.#port);
    return url.href;
  }

  /** Closes every connection, like a database that is suspended; the next connection attempts resume it. */
  sleep(sleep: Sleep): void {
    this.#sleep = sleep;
    this.#resets = sleep.resets ?? 0;
    this.#resuming = null;
    this.#endAll();
  }

  /** Closes every connection and resets new ones until `listen`. The port stays bound: another process could take it. */
  refuse(): void {
    this.#refusing = true;
    this.#endAll();
  }

  /** Accepts connections, on the same port each time. */
  async listen(): Promise<void> {
    this.#refusing = false;
    if (this.#server.listening) return;
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    const address = this.#server.address();
    if (typeof address !== 'object' || address === null) throw new Error('no port');
    this.#port = address.port;
  }

  /** Sends ADMIN_SHUTDOWN on every connection without closing it; resolves once the clients have closed theirs. */
  async sayFarewell(): Promise<void> {
    await Promise.all(
      [...this.#clients].map(async (client) => {
        client.write(ADMIN_SHUTDOWN);
        await once(client, 'close');
      }),
    );
  }

  /** Closes the connection instead of forwarding the next response. */
  loseNextAnswer(): void {
    this.#losing = true;
  }

  /** Resolves once each client that sent FIN has closed its socket, which only writing to it shows. */
  async abandoned(): Promise<number> {
    while (this.#halfClosed.size === 0) await once(this.#server, 'half-closed');
    const waiting = [...this.#halfClosed];
    await Promise.all(
      waiting.map(async (client) => {
        const probing = setInterval(() => client.write(NOTICE), PROBE_INTERVAL_MS);
        if (!client.closed) await new Promise((resolve) => client.once('close', resolve));
        clearInterval(probing);
      }),
    );
    return waiting.length;
  }

  /** Resolves once the database has closed the connections whose clients have disconnected. */
  async settled(): Promise<void> {
    const closed = (database: Socket) => new Promise((resolve) => database.once('close', resolve));
    await Promise.all([...this.#orphaned].map(closed));
  }

  close(): void {
    this.#endAll();
    for (const database of this.#orphaned) database.destroy();
    this.#server.close();
  }

  #endAll(): void {
    for (const client of this.#clients) client.destroy();
  }

  async #accept(client: Socket): Promise<void> {
    client.on('error', () => undefined);
    if (this.#refusing) {
      client.resetAndDestroy();
      return;
    }
    this.connections += 1;
    if (this.#clients.size >= this.most) {
      this.turnedAway += 1;
      client.resetAndDestroy();
      return;
    }
    if (this.#resuming === null && this.#resets > 0) {
      this.#resets -= 1;
      client.resetAndDestroy();
      return;
    }
    this.#clients.add(client);
    client.once('close', () => this.#clients.delete(client));
    this.#resuming ??= delay(this.#sleep.wakeMs, undefined, { ref: false });
    await this.#resuming;
    if (!client.destroyed) this.#forward(client, connect(Number(this.#target.port), this.#target.hostname));
  }

  #forward(client: Socket, database: Socket): void {
    database.on('error', () => undefined);
    client.on('data', (bytes) => {
      if (this.timeouts.remaining > 0 && bytes.includes(this.timeouts.text)) {
        this.timeouts.remaining -= 1;
        client.end(QUERY_WAIT_TIMEOUT);
        database.destroy();
        return;
      }
      database.write(bytes);
    });
    database.on('data', (bytes) => {
      if (!this.#losing) client.write(bytes);
      else client.destroy();
      this.#losing = false;
    });
    client.once('end', () => {
      database.end();
      if (this.hangsUp) return;
      this.#halfClosed.add(client);
      this.#server.emit('half-closed');
    });
    database.once('close', () => {
      if (!this.#halfClosed.has(client)) client.destroy();
    });
    client.once('close', () => {
      if (database.destroyed) return;
      this.#orphaned.add(database);
      database.end();
    });
    database.once('close', () => this.#orphaned.delete(database));
  }
}

/** Starts a service with `connections` connections to the database at `url`, through `relay`. */
export async function startServiceThrough(relay: Relay, url: string, connections: number): Promise<Service> {
  return startService({ ...(await openPostgresAt(relay.urlOf(url), { connections })), place: url });
}
