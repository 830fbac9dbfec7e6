import { randomUUID } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { type IncomingMessage, ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { AppError } from '../core/errors.ts';
import { errorReply } from './error-reply.ts';

declare module 'fastify' {
  interface FastifyInstance {
    readonly brokenRequests: BrokenRequests;
  }
}

/** The answer to a request that could not be read: all that is known of it. */
export interface Unreadable {
  readonly requestId: string;
  readonly status: number;
  readonly failure: AppError;
}

/** How long a connection that has been refused is still read, so that a reset does not overtake the answer. */
const LINGER_MS = 1_000;

/** Says goodbye with `lastWords` and closes the connection (RFC 9112, 9.6). */
function closeSoon(socket: Duplex, lastWords = ''): void {
  const timer = setTimeout(() => socket.destroy(), LINGER_MS).unref();
  socket.once('close', () => clearTimeout(timer));
  socket.on('error', () => socket.destroy());
  socket.end(lastWords);
  socket.resume();
}

function whenOver(response: ServerResponse, next: () => void): void {
  if (response.closed) next();
  else response.once('close', next);
}

function toError(code: string | undefined): AppError {
  if (code === 'HPE_HEADER_OVERFLOW') return new AppError('HEADERS_TOO_LARGE');
  const message =
    code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 'Request was not received in time' : 'Request is not valid HTTP';
  return new AppError('INVALID_REQUEST', { message });
}

/**
 * Answers what the HTTP parser could not read (RFC 9112, 2.2), and `CONNECT`, in the form of every other error, each in
 * its turn: a client that sends several requests at once must not take the answer to a broken one for another's.
 * Emits `unreadable` for each answer that no route and no hook has seen.
 */
export class BrokenRequests extends EventEmitter<{ unreadable: [Unreadable] }> {
  /** The last request of each connection that could be read. */
  readonly #latest = new WeakMap<Duplex, FastifyReply>();
  readonly #refused = new WeakSet<Duplex>();
  /** Requests whose body turned out to be broken before anybody read it. */
  readonly #cutOff = new WeakMap<IncomingMessage, AppError>();

  watch(app: FastifyInstance): void {
    app.addHook('onRequest', (request, reply, done) => {
      this.#latest.set(request.raw.socket, reply);
      done();
    });
    app.addHook('preParsing', (request, _reply, _payload, done) => done(this.#cutOff.get(request.raw)));
    app.server.on('connect', (request: IncomingMessage, socket: Duplex) => {
      socket.on('error', () => socket.destroy()); // node:http has let go of this socket: unheard, an error ends the process
      this.#inTurn(socket, () => {
        const response = new ServerResponse(request);
        response.shouldKeepAlive = false;
        response.assignSocket(request.socket);
        response.once('finish', () => closeSoon(socket));
        app.routing(request, response);
      });
    });
  }

  /** A listener of `clientError`. */
  readonly answer = (error: { readonly code?: string }, socket: Duplex): void => {
    if (this.#refused.has(socket)) return; // the parser fails again with all that still arrives
    this.#refused.add(socket);
    if (error.code === 'ECONNRESET' || !socket.writable) {
      socket.destroy();
      return;
    }
    const failure = toError(error.code);
    const latest = this.#latest.get(socket);
    if (latest !== undefined && !latest.request.raw.complete) {
      this.#failBody(latest, failure);
      whenOver(latest.raw, () => closeSoon(socket));
    } else {
      this.#inTurn(socket, () => this.#write(socket, failure));
    }
  };

  #inTurn(socket: Duplex, next: () => void): void {
    const latest = this.#latest.get(socket);
    if (latest === undefined) next();
    else whenOver(latest.raw, next);
  }

  /** Lets whoever reads, or is going to read, the body of a request know that no more of it will come. */
  #failBody(reply: FastifyReply, failure: AppError): void {
    const { raw } = reply.request;
    this.#cutOff.set(raw, failure);
    if (!reply.sent) void reply.header('connection', 'close');
    if (raw.listenerCount('error') > 0) raw.emit('error', failure);
  }

  /** Writes a whole answer to a connection that has no usable request. */
  #write(socket: Duplex, failure: AppError): void {
    const requestId = randomUUID();
    const { status, headers, body } = errorReply(failure);
    const lines = Object.entries({
      ...headers,
      'content-length': String(Buffer.byteLength(body)),
      'x-request-id': requestId,
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-store',
      vary: 'Origin',
      connection: 'close',
    }).map(([name, value]) => `${name}: ${value}\r\n`);
    closeSoon(socket, `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines.join('')}\r\n${body}`);
    this.emit('unreadable', { requestId, status, failure });
  }
}
