import { Duplex } from 'node:stream';
import { Worker } from 'node:worker_threads';
import { EngineStartError } from './damage.ts';
import type { LockFile } from './lock-file.ts';

export interface WorkerData {
  /** Where the database files are. */
  readonly directory: string;
  /** Nothing is written once this lock is lost. */
  readonly lock: LockFile;
}

export type WorkerRequest =
  /** With `flush`, what the block has committed is on the disk before it is answered. */
  { readonly kind: 'execute'; readonly block: Uint8Array; readonly flush: boolean } | { readonly kind: 'stop' };
export type WorkerResponse =
  | { readonly kind: 'ready' }
  | { readonly kind: 'answer'; readonly block: Uint8Array }
  /** A line that PostgreSQL logged. */
  | { readonly kind: 'reported'; readonly text: string }
  | { readonly kind: 'failed'; readonly reason: string };

type WriteDone = (error?: Error | null) => void;

/** The Terminate message, which always comes alone; PGlite would take half a second for it. */
const TERMINATE = 'X'.charCodeAt(0);
/** Crash recovery takes 1 to 2 s. */
const MAX_START_MS = 30_000;
/** The thread's JavaScript lives briefly: a larger heap would only be resident memory. */
const YOUNG_GENERATION_MB = 8;

/** The socket that `pg` gets: each chunk written is executed as one block of protocol messages. */
class EngineStream extends Duplex {
  readonly #execute: (block: Uint8Array) => void;

  constructor(execute: (block: Uint8Array) => void) {
    super();
    this.#execute = execute;
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
    if (chunk[0] !== TERMINATE) this.#execute(chunk);
    done();
  }

  override _writev(chunks: readonly { readonly chunk: Buffer }[], done: WriteDone): void {
    this.#execute(Buffer.concat(chunks.map(({ chunk }) => chunk)));
    done();
  }

  override _final(done: WriteDone): void {
    this.push(null);
    done();
  }
}

/** One PGlite in a worker thread, for one connection at a time: PGlite has a single session. */
class EmbeddedEngine {
  readonly #worker: Worker;
  readonly #stopped: Promise<void>;
  #stream: EngineStream | null = null;
  #unanswered = 0;
  #failure: Error | null = null;

  private constructor(worker: Worker) {
    this.#worker = worker;
    worker.on('message', (message: WorkerResponse) => this.#receive(message));
    worker.on('error', (error) => this.#fail(error));
    this.#stopped = new Promise((resolve) => {
      worker.once('exit', () => {
        this.#fail(new Error('The embedded database has stopped'));
        resolve();
      });
    });
  }

  /** Opens the database files. @throws {EngineStartError} if they cannot be opened, or after 30 s. */
  static async start(workerData: WorkerData): Promise<EmbeddedEngine> {
    const resourceLimits = { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB };
    const worker = new Worker(new URL('./worker.js', import.meta.url), { workerData, execArgv: [], resourceLimits });
    const reported: string[] = [];
    let startTimer: NodeJS.Timeout | undefined;
    let receive = (_message: WorkerResponse) => {};
    await new Promise<void>((resolve, reject) => {
      receive = (message) => {
        if (message.kind === 'reported') reported.push(message.text);
        else if (message.kind === 'failed') reject(new Error(message.reason));
        else resolve();
      };
      startTimer = setTimeout(() => reject(new Error('no answer in time')), MAX_START_MS);
      worker.on('message', receive);
      worker.once('error', reject);
      worker.once('exit', () => reject(new Error('its thread has exited')));
    })
      .catch(async (error: unknown) => {
        await worker.terminate();
        throw new EngineStartError(error, reported);
      })
      .finally(() => {
        clearTimeout(startTimer);
        worker.off('message', receive);
      });
    return new EmbeddedEngine(worker);
  }

  get isUsable(): boolean {
    return this.#failure === null;
  }

  /**
   * A stream for a new client. If it is destroyed with answers outstanding, the thread is terminated.
   * @param hasWrites whether a block that is written now may hold writes whose answer must wait for the disk.
   */
  openStream(hasWrites: () => boolean): Duplex {
    const stream = new EngineStream((block) => {
      this.#unanswered += 1;
      const message: WorkerRequest = { kind: 'execute', block, flush: hasWrites() };
      this.#worker.postMessage(message);
    });
    this.#stream = stream;
    stream.once('close', () => {
      if (this.#unanswered > 0) this.#fail(new Error('The embedded database did not answer in time'));
    });
    return stream;
  }

  /** Closes the database files cleanly, then ends the thread. */
  async stop(): Promise<void> {
    const message: WorkerRequest = { kind: 'stop' };
    if (this.isUsable) this.#worker.postMessage(message);
    await this.#stopped;
  }

  /** Ends the thread at once. */
  async abort(): Promise<void> {
    this.#fail(new Error('The embedded database was aborted'));
    await this.#stopped;
  }

  #receive(message: WorkerResponse): void {
    if (message.kind === 'answer') {
      this.#unanswered -= 1;
      this.#stream?.push(message.block);
    } else if (message.kind === 'failed') {
      this.#fail(new Error(message.reason));
    } else if (message.kind === 'reported' && message.text.startsWith('PANIC')) {
      this.#fail(new Error(message.text));
    }
  }

  #fail(error: Error): void {
    if (this.#failure !== null) return;
    this.#failure = error;
    this.#stream?.destroy(error);
    void this.#worker.terminate();
  }
}

/** Keeps one engine running: starts a new one after the last has failed. */
export class EngineSupervisor {
  readonly #workerData: WorkerData;
  readonly #verifyFiles: () => Promise<void>;
  #current: EmbeddedEngine | null = null;

  /** @param verifyFiles called before files that were verified once are opened again. */
  constructor(workerData: WorkerData, verifyFiles: () => Promise<void>) {
    this.#workerData = workerData;
    this.#verifyFiles = verifyFiles;
  }

  /** @returns the running engine, started if there is none. @throws {EngineStartError} if it cannot be started. */
  async getOrStart(): Promise<EmbeddedEngine> {
    if (this.#current?.isUsable === false) {
      await this.#current.stop();
      this.#current = null;
      await this.#verifyFiles();
    }
    this.#current ??= await EmbeddedEngine.start(this.#workerData);
    return this.#current;
  }

  async stop(): Promise<void> {
    await this.#current?.stop();
  }

  /** Ends the thread without closing the files: they are damaged. */
  async abort(): Promise<void> {
    await this.#current?.abort();
  }
}
