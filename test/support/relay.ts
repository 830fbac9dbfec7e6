import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { openPostgres } from '../../dist/database/postgres.js';
import { type Service, startService } from './service.ts';

/** A NoticeResponse without fields, which clients of PostgreSQL take note of and do not answer. */
const NOTICE = Buffer.from([0x4e, 0, 0, 0, 5, 0]);
const KNOCK_MS = 50;

/** Stands between a service and its database, and does to their connections what networks and poolers do. */
export class Relay {
  /** False: a client that hangs up is not hung up on in return. */
  hangsUp = true;
  /** How often a client has connected. */
  connections = 0;
  readonly #server: Server;
  readonly #clients = new Set<Socket>();
  readonly #abandoned = new Set<Socket>();
  /** Connections to the database whose client is gone: what was sent on them may yet be carried out. */
  readonly #bereft = new Set<Socket>();
  #losing = false;

  private constructor(target: URL) {
    this.#server = createServer({ allowHalfOpen: true }, (client) => {
      this.connections += 1;
      this.#join(client, connect(Number(target.port), target.hostname));
    });
  }

  static async start(target: string): Promise<Relay> {
    const relay = new Relay(new URL(target));
    relay.#server.listen(0, '127.0.0.1');
    await once(relay.#server, 'listening');
    return relay;
  }

  /** Where `target` is reached through this. */
  urlOf(target: string): string {
    const address = this.#server.address();
    if (typeof address !== 'object' || address === null) throw new Error('no port');
    const url = new URL(target);
    url.port = String(address.port);
    return url.href;
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
    for (const client of this.#clients) client.destroy();
    for (const database of this.#bereft) database.destroy();
    this.#server.close();
  }

  #join(client: Socket, database: Socket): void {
    this.#clients.add(client);
    client.on('error', () => undefined);
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
      this.#clients.delete(client);
      if (database.destroyed) return;
      this.#bereft.add(database);
      database.end();
    });
    database.once('close', () => this.#bereft.delete(database));
  }
}

/** A service that reaches the database at `url` over `connections` connections through `relay`. */
export async function startServiceThrough(relay: Relay, url: string, connections: number): Promise<Service> {
  const database = await openPostgres({
    url: relay.urlOf(url),
    connections,
    pipeline: true,
    namedStatements: true,
    onWarning: () => undefined,
    onUnusable: (error) => {
      throw error;
    },
  });
  const analyze = async () => undefined;
  return startService({ database, place: url, warnings: [], analyze, remove: () => database.close() });
}
