import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Random } from '../random.ts';

/** One port in front of several processes: each connection goes to one of them in turn. Cuts connections and answers. */
export class Spread {
  readonly #server: Server;
  readonly #clients = new Set<Socket>();
  #ports: readonly number[] = [];
  #next = 0;
  #losing = 0;
  #port = 0;

  private constructor() {
    this.#server = createServer({ allowHalfOpen: true }, (client) => this.#forward(client, this.#ports.length));
  }

  static async start(): Promise<Spread> {
    const spread = new Spread();
    spread.#server.listen(0, '127.0.0.1');
    await once(spread.#server, 'listening');
    const address = spread.#server.address();
    if (typeof address !== 'object' || address === null) throw new Error('no port');
    spread.#port = address.port;
    return spread;
  }

  get origin(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** The processes that connections go to from now on. */
  lead(ports: readonly number[]): void {
    this.#ports = ports;
  }

  /** Ends up to `most` connections of clients at once. */
  cut(most: number, random: Random): void {
    for (const client of random.shuffle([...this.#clients]).slice(0, most)) client.destroy();
  }

  /** Ends so many connections when their next answer comes, which is lost. */
  loseAnswers(count: number): void {
    this.#losing = count;
  }

  close(): void {
    for (const client of this.#clients) client.destroy();
    this.#server.close();
  }

  #forward(client: Socket, attempts: number): void {
    client.on('error', () => undefined);
    const port = this.#ports[this.#next % this.#ports.length];
    this.#next += 1;
    if (port === undefined || attempts === 0) {
      client.destroy();
      return;
    }
    const service = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    let isConnected = false;
    service.once('connect', () => {
      isConnected = true;
      this.#clients.add(client);
      client.pipe(service);
    });
    service.on('data', (bytes) => {
      if (this.#losing > 0) {
        this.#losing -= 1;
        client.destroy();
      } else if (!client.write(bytes)) {
        service.pause();
        client.once('drain', () => service.resume());
      }
    });
    service.on('end', () => client.end());
    service.on('error', () => undefined);
    service.once('close', () => {
      if (isConnected || client.destroyed) client.destroy();
      else this.#forward(client, attempts - 1);
    });
    client.once('close', () => {
      this.#clients.delete(client);
      service.destroy();
    });
  }
}
