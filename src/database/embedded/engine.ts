import { Duplex } from 'node:stream';
import { Worker } from 'node:worker_threads';

export type ToWorker = { readonly kind: 'ask'; readonly block: Uint8Array } | { readonly kind: 'stop' };
export type FromWorker =
  | { readonly kind: 'ready' }
  | { readonly kind: 'answer'; readonly block: Uint8Array }
  | { readonly kind: 'broken'; readonly reason: string };

type WriteDone = (error?: Error | null) => void;

/** The message that ends a session, which always comes alone; PGlite would spend half a second on it. */
const TERMINATE = 'X'.charCodeAt(0);
/** Reading back what a killed process left takes a second or two. */
const MAX_START_MS = 30_000;

/** What `pg` takes for a socket: what is written in one turn of the event loop reaches the engine as one block. */
class EngineStream extends Duplex {
  readonly #ask: (block: Uint8Array) => void;

  constructor(ask: (block: Uint8Array) => void) {
    super();
    this.#ask = ask;
  }

  connect(): this {
    process.nextTick(() => this.emit('connect'));
    return this;
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: WriteDone): void {
    if (chunk[0] !== TERMINATE) this.#ask(chunk);
    done();
  }

  override _writev(chunks: readonly { readonly chunk: Buffer }[], done: WriteDone): void {
    this.#ask(Buffer.concat(chunks.map(({ chunk }) => chunk)));
    done();
  }

  override _final(done: WriteDone): void {
    this.push(null);
    done();
  }
}

/** One PGlite in a worker thread, for one connection at a time: PGlite has a single session. */
export class EmbeddedEngine {
  readonly #worker: Worker;
  readonly #stopped: Promise<void>;
  #stream: EngineStream | null = null;
  #unanswered = 0;
  #broken: Error | null = null;

  private constructor(worker: Worker) {
    this.#worker = worker;
    worker.on('message', (message: FromWorker) => this.#receive(message));
    worker.on('error', (error) => this.#break(error));
    this.#stopped = new Promise((resolve) => {
      worker.once('exit', () => {
        this.#break(new Error('The embedded database has stopped'));
        resolve();
      });
    });
  }

  /** Opens the database files in `directory`. @throws what PGlite says when they cannot be opened, or after half a minute. */
  static async start(directory: string): Promise<EmbeddedEngine> {
    const worker = new Worker(new URL('./worker.js', import.meta.url), {
      workerData: directory,
      execArgv: [],
    });
    let late: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve, reject) => {
      late = setTimeout(() => reject(new Error('The embedded database did not start in time')), MAX_START_MS);
      worker.once('message', () => resolve());
      worker.once('error', reject);
      worker.once('exit', () => reject(new Error('The embedded database did not start')));
    })
      .catch(async (error: unknown) => {
        await worker.terminate();
        throw error;
      })
      .finally(() => clearTimeout(late));
    return new EmbeddedEngine(worker);
  }

  get usable(): boolean {
    return this.#broken === null;
  }

  /** A stream for a new session. When it is destroyed before every answer has come, the thread is ended with it. */
  openStream(): Duplex {
    const stream = new EngineStream((block) => {
      this.#unanswered += 1;
      const message: ToWorker = { kind: 'ask', block };
      this.#worker.postMessage(message);
    });
    this.#stream = stream;
    stream.once('close', () => {
      if (this.#unanswered > 0) this.#break(new Error('The embedded database did not answer in time'));
    });
    return stream;
  }

  /** Closes the database files in order, then ends the thread. */
  async stop(): Promise<void> {
    const message: ToWorker = { kind: 'stop' };
    if (this.usable) this.#worker.postMessage(message);
    await this.#stopped;
  }

  #receive(message: FromWorker): void {
    if (message.kind === 'answer') {
      this.#unanswered -= 1;
      this.#stream?.push(message.block);
    } else if (message.kind === 'broken') {
      this.#break(new Error(message.reason));
    }
  }

  #break(error: Error): void {
    if (this.#broken !== null) return;
    this.#broken = error;
    this.#stream?.destroy(error);
    void this.#worker.terminate();
  }
}
