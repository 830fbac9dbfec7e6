import { connect, type Socket } from 'node:net';

const LAST_CHUNK = Buffer.from('0\r\n\r\n');
const EMPTY: Buffer = Buffer.alloc(0);

/**
 * HTTP/1.1 client (RFC 9112) over one keep-alive connection with one request in flight. Bodies are not kept. They must
 * be JSON: the end of a chunked body is found by its last bytes, which JSON cannot contain.
 */
export class HttpConnection {
  readonly #socket: Socket;
  readonly #onResponse: (status: number) => void;
  /** The response's bytes up to the end of its head. */
  #head = EMPTY;
  #status: number | null = null;
  /** Bytes of the body still to come; null for a chunked body. */
  #remaining: number | null = null;
  #tail = EMPTY;

  constructor(port: number, onResponse: (status: number) => void, onError: (error: Error) => void) {
    this.#onResponse = onResponse;
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.#socket.on('data', (bytes: Buffer) => {
      try {
        this.#read(bytes);
      } catch (error) {
        onError(error instanceof Error ? error : new Error(String(error)));
      }
    });
    this.#socket.on('error', onError);
    this.#socket.on('end', () => onError(new Error('The server closed the connection')));
  }

  send(request: Buffer): void {
    this.#socket.write(request);
  }

  close(): void {
    this.#socket.removeAllListeners('data').destroy();
  }

  #read(bytes: Buffer): void {
    const body = this.#status === null ? this.#readHead(bytes) : bytes;
    if (body === null) return;
    if (this.#remaining !== null) {
      this.#remaining -= body.length;
      if (this.#remaining < 0) throw new Error('The response is longer than its Content-Length');
      if (this.#remaining > 0) return;
    } else {
      this.#tail = Buffer.concat([this.#tail, body.subarray(-LAST_CHUNK.length)]).subarray(-LAST_CHUNK.length);
      if (!this.#tail.equals(LAST_CHUNK)) return;
    }
    const status = this.#status ?? 0;
    this.#status = null;
    this.#onResponse(status);
  }

  /** @returns what follows the head, or null while the head is incomplete. */
  #readHead(bytes: Buffer): Buffer | null {
    this.#head = this.#head.length === 0 ? bytes : Buffer.concat([this.#head, bytes]);
    const end = this.#head.indexOf('\r\n\r\n');
    if (end < 0) return null;
    const head = this.#head.toString('latin1', 0, end);
    const body = this.#head.subarray(end + 4);
    const status = /^HTTP\/1\.1 (\d{3})/.exec(head)?.[1];
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
    const isBodyless = status === '304'; // RFC 9112, 6.3
    if (status === undefined) throw new Error(`Not an HTTP/1.1 response: ${head.slice(0, 80)}`);
    const isFramed = isBodyless || length !== undefined || /\r\ntransfer-encoding: *chunked/i.test(head);
    if (!isFramed) throw new Error('Unframed response');
    this.#status = Number(status);
    this.#remaining = isBodyless ? 0 : length === undefined ? null : Number(length);
    this.#head = EMPTY;
    this.#tail = EMPTY;
    return body;
  }
}
