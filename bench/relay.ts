import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** A TCP proxy on the loopback interface that passes everything on `delayMs` later, each way: a network's latency. */
export class DelayingRelay {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(port: number, delayMs: number) {
    this.#server = createServer({ noDelay: true }, (client) => {
      const target = connect({ port, host: '127.0.0.1', noDelay: true });
      this.#pass(client, target, delayMs);
      this.#pass(target, client, delayMs);
    });
  }

  static async start(port: number, delayMs: number): Promise<DelayingRelay> {
    const relay = new DelayingRelay(port, delayMs);
    relay.#server.listen(0, '127.0.0.1');
    await once(relay.#server, 'listening');
    return relay;
  }

  /** @returns `url` by way of this proxy. */
  urlOf(url: string): string {
    const address = this.#server.address();
    if (typeof address !== 'object' || address === null) throw new Error('The relay has no port');
    return Object.assign(new URL(url), { port: String(address.port) }).href;
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }

  #pass(from: Socket, to: Socket, delayMs: number): void {
    this.#sockets.add(from);
    from.on('data', (bytes) => setTimeout(() => to.write(bytes), delayMs));
    from.on('error', () => undefined);
    from.once('close', () => {
      this.#sockets.delete(from);
      setTimeout(() => to.destroy(), delayMs);
    });
  }
}
