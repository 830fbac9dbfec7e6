import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

export interface Sleep {
  /** How long it takes to wake, counted from the first attempt that is not turned away, in milliseconds. */
  readonly wakeMs: number;
  /** So many attempts are reset before one is held until it is awake. */
  readonly resets?: number;
}

/** The message with which PostgreSQL ends a connection (`FATAL`, 57P01), as protocol bytes. */
function fatalMessage(): Buffer {
  const fields = Buffer.from('SFATAL\0VFATAL\0C57P01\0Mterminating connection\0\0');
  const head = Buffer.alloc(5);
  head.write('E');
  head.writeInt32BE(4 + fields.length, 1);
  return Buffer.concat([head, fields]);
}

/** Stands in front of a PostgreSQL server, and falls asleep as serverless ones do: the next connection has to wake it. */
export class SleepyProxy {
  readonly #target: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #port = 0;
  #resets = 0;
  #wakeMs = 0;
  #awake: Promise<void> | null = Promise.resolve();
  /** Attempts to connect, those turned away included. */
  attempts = 0;

  private constructor(target: number) {
    this.#target = target;
    this.#server = createServer((socket) => void this.#serve(socket));
  }

  /** One that is awake, in front of the port `target` of the loopback interface. */
  static async create(target: number): Promise<SleepyProxy> {
    const proxy = new SleepyProxy(target);
    await proxy.listen();
    return proxy;
  }

  url(database: string): string {
    return `postgresql://postgres@127.0.0.1:${this.#port}/${database}`;
  }

  /** Ends every connection; the next attempts find it asleep. */
  sleep({ wakeMs, resets = 0 }: Sleep): void {
    this.#wakeMs = wakeMs;
    this.#resets = resets;
    this.#awake = null;
    for (const socket of this.#sockets) socket.destroy();
  }

  /** From now on connections are refused, until `listen`. */
  async refuse(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async listen(): Promise<void> {
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    const address = this.#server.address();
    if (typeof address === 'object' && address !== null) this.#port = address.port;
  }

  /** Says on every connection that it ends, takes nothing more from it, and leaves it open. */
  announceEnds(): void {
    for (const socket of this.#sockets) {
      socket.unpipe();
      socket.write(fatalMessage());
    }
  }

  async remove(): Promise<void> {
    await this.refuse();
  }

  async #serve(socket: Socket): Promise<void> {
    this.attempts += 1;
    socket.on('error', () => undefined);
    if (this.#awake === null && this.#resets > 0) {
      this.#resets -= 1;
      socket.resetAndDestroy();
      return;
    }
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    this.#awake ??= delay(this.#wakeMs, undefined, { ref: false });
    await this.#awake;
    if (socket.destroyed) return;
    const upstream = connect(this.#target, '127.0.0.1');
    upstream.on('error', () => undefined);
    upstream.once('close', () => socket.destroy());
    socket.once('close', () => upstream.destroy());
    socket.pipe(upstream).pipe(socket);
  }
}
