import { connect, type Socket } from 'node:net';

interface Watcher {
  readonly onAnswer: (status: number, bodyBytes: number) => void;
  readonly onFailure: (error: Error) => void;
}

const HEAD_END = Buffer.from('\r\n\r\n');
const LINE_END = Buffer.from('\r\n');
const MAX_HEAD_BYTES = 32_768;

interface Answer {
  readonly status: number;
  /** Bytes of the body yet to come, or null where the answer says so chunk by chunk. */
  readonly length: number | null;
}

function parseHead(head: string): Answer {
  const status = /^http\/1\.1 (\d{3})/.exec(head)?.[1];
  if (status === undefined) throw new Error(`Not an HTTP answer: ${head.slice(0, 80)}`);
  const length = /\r\ncontent-length: *(\d+)/.exec(head)?.[1];
  if (length !== undefined) return { status: Number(status), length: Number(length) };
  if (/\r\ntransfer-encoding: *chunked/.test(head)) return { status: Number(status), length: null };
  throw new Error(`An answer without length: ${head.slice(0, 200)}`);
}

/** One HTTP/1.1 connection with one request under way at a time (RFC 9112). */
export class HttpConnection {
  readonly #socket: Socket;
  readonly #watcher: Watcher;
  #unread: Buffer = Buffer.alloc(0);
  #answer: Answer | null = null;
  #bodyBytes = 0;
  #closed = false;

  constructor(port: number, watcher: Watcher) {
    this.#watcher = watcher;
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.#socket.on('data', (bytes: Buffer) => this.#read(bytes));
    this.#socket.on('error', (error) => this.#fail(error));
    this.#socket.on('close', () => this.#fail(new Error('The server closed the connection')));
  }

  send(request: Buffer): void {
    this.#socket.write(request);
  }

  close(): void {
    this.#closed = true;
    this.#socket.destroy();
  }

  #fail(error: Error): void {
    if (this.#closed) return;
    this.close();
    this.#watcher.onFailure(error);
  }

  #read(bytes: Buffer): void {
    this.#unread = this.#unread.length === 0 ? bytes : Buffer.concat([this.#unread, bytes]);
    try {
      while (!this.#closed && this.#step());
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** @returns whether what is there may hold more to read. */
  #step(): boolean {
    if (this.#answer === null) return this.#readHead();
    return this.#answer.length === null ? this.#readChunk() : this.#readBody(this.#answer.length);
  }

  #readHead(): boolean {
    const end = this.#unread.indexOf(HEAD_END);
    if (end < 0) {
      if (this.#unread.length > MAX_HEAD_BYTES) throw new Error('An answer with too long a head');
      return false;
    }
    this.#answer = parseHead(this.#unread.toString('latin1', 0, end).toLowerCase());
    this.#unread = this.#unread.subarray(end + HEAD_END.length);
    return true;
  }

  #readBody(length: number): boolean {
    const taken = Math.min(length - this.#bodyBytes, this.#unread.length);
    this.#bodyBytes += taken;
    this.#unread = this.#unread.subarray(taken);
    return this.#bodyBytes === length && this.#finish();
  }

  #readChunk(): boolean {
    const lineEnd = this.#unread.indexOf(LINE_END);
    if (lineEnd < 0) return false;
    const size = Number.parseInt(this.#unread.toString('latin1', 0, lineEnd), 16);
    if (!Number.isSafeInteger(size)) throw new Error('A chunk without size');
    const end = lineEnd + LINE_END.length + size + LINE_END.length;
    if (this.#unread.length < end) return false;
    this.#unread = this.#unread.subarray(end);
    this.#bodyBytes += size;
    return size > 0 || this.#finish();
  }

  #finish(): boolean {
    const status = this.#answer?.status ?? 0;
    const bodyBytes = this.#bodyBytes;
    this.#answer = null;
    this.#bodyBytes = 0;
    if (this.#unread.length > 0) throw new Error('More came than was asked for');
    this.#watcher.onAnswer(status, bodyBytes);
    return false;
  }
}
