import { randomUUID } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { type IncomingMessage, ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { AppError } from '../core/errors.ts';
import { CONSTANT_HEADERS, corsHeaders } from './cors-and-headers.ts';
import { type ErrorReply, errorReply } from './error-reply.ts';

declare module 'fastify' {
  interface FastifyInstance {
    readonly clientErrors: ClientErrors;
  }
}

/** The response to a request that the HTTP parser rejected. */
export interface ClientError {
  readonly requestId: string;
  readonly status: number;
  readonly failure: AppError;
}

const LINGER_MS = 1_000;

/** Writes the response and half-closes; reads on for 1 s so that a RST does not discard it (RFC 9112, 9.6). */
function endAndLinger(socket: Duplex, response = ''): void {
  const timer = setTimeout(() => socket.destroy(), LINGER_MS).unref();
  socket.once('close', () => clearTimeout(timer));
  socket.on('error', () => socket.destroy());
  socket.end(response);
  socket.resume();
}

function toAppError(code: string | undefined): AppError {
  if (code === 'HPE_HEADER_OVERFLOW') return new AppError('HEADERS_TOO_LARGE');
  const isTimeout = code === 'ERR_HTTP_REQUEST_TIMEOUT';
  const message = isTimeout ? 'Request was not received in time' : 'Request is not valid HTTP';
  return new AppError('INVALID_REQUEST', { message });
}

/** The last `Origin` in the bytes that the parser was given last; null if there is none, or no bytes. */
function originIn(packet: unknown): string | null {
  const text = packet instanceof Buffer ? packet.toString('latin1') : '';
  const [, origin = null] = [...text.matchAll(/^origin:[ \t]*(\S*)/gim)].at(-1) ?? [];
  return origin;
}

function toHttp({ status, headers, body }: ErrorReply, requestId: string, cors: ErrorReply['headers']): string {
  const lines = Object.entries({
    ...headers,
    ...cors,
    'content-length': Buffer.byteLength(body),
    'x-request-id': requestId,
    ...CONSTANT_HEADERS,
    'cache-control': 'no-store',
    connection: 'close',
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines.join('')}\r\n${body}`;
}

/**
 * Responds to requests that the HTTP parser rejects (RFC 9112, 2.2) and to CONNECT with the JSON of every other error.
 * Responses keep the order of pipelined requests (RFC 9112, 9.3.2). Emits `response` where no route or hook is run.
 */
export class ClientErrors extends EventEmitter<{ response: [ClientError] }> {
  /** The latest request of each connection whose headers were valid. */
  readonly #latest = new WeakMap<Duplex, FastifyReply>();
  readonly #failures = new WeakMap<Duplex, AppError>();
  readonly #frontendOrigins: readonly string[];

  constructor(frontendOrigins: readonly string[]) {
    super();
    this.#frontendOrigins = frontendOrigins;
  }

  /** onRequest hook. */
  track(request: { readonly raw: IncomingMessage }, reply: FastifyReply): void {
    this.#latest.set(request.raw.socket, reply);
  }

  /** The error in the body of `request`, if the parser found one before the body was read. */
  bodyError({ socket, complete }: IncomingMessage): AppError | undefined {
    return complete ? undefined : this.#failures.get(socket);
  }

  /** Listener for http.Server's `clientError`. */
  readonly onClientError = (error: { readonly code?: string; readonly rawPacket?: unknown }, socket: Duplex): void => {
    if (this.#failures.has(socket)) return; // the parser fails again on the remaining input
    const failure = toAppError(error.code);
    this.#failures.set(socket, failure);
    const latest = this.#latest.get(socket);
    if (error.code === 'ECONNRESET' || !socket.writable) {
      socket.destroy();
    } else if (latest !== undefined && !latest.request.raw.complete) {
      if (!latest.sent) void latest.header('connection', 'close');
      if (latest.request.raw.listenerCount('error') > 0) latest.request.raw.emit('error', failure);
      this.#afterLatestResponse(socket, () => endAndLinger(socket));
    } else {
      this.#afterLatestResponse(socket, () => {
        const requestId = randomUUID();
        const response = errorReply(failure);
        const cors = corsHeaders(this.#frontendOrigins, originIn(error.rawPacket));
        endAndLinger(socket, toHttp(response, requestId, cors));
        this.emit('response', { requestId, status: response.status, failure });
      });
    }
  };

  /** Listener for http.Server's `connect`: dispatches the request to `routing`. */
  onConnect(request: IncomingMessage, socket: Duplex, routing: FastifyInstance['routing']): void {
    socket.on('error', () => socket.destroy()); // node:http has removed its listener
    this.#afterLatestResponse(socket, () => {
      if (socket.destroyed) return;
      const response = new ServerResponse(request);
      response.shouldKeepAlive = false;
      response.assignSocket(request.socket);
      response.once('finish', () => endAndLinger(socket));
      routing(request, response);
    });
  }

  #afterLatestResponse(socket: Duplex, next: () => void): void {
    const response = this.#latest.get(socket)?.raw;
    if (response === undefined || response.closed) next();
    else response.once('close', next);
  }
}
