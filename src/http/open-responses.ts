import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyInstance, FastifyRequest } from 'fastify';

/** Requests in progress on one connection (HTTP pipelining) above which it is not read. */
const MAX_PIPELINED = 16;

declare module 'fastify' {
  interface FastifyRequest {
    response: OpenResponse | null;
  }
}

/** A response until the kernel has taken the whole of it, or its connection has closed. */
class OpenResponse {
  readonly #connection: Connection;
  readonly #listeners: (() => void)[] = [];
  readonly #leaveListeners: (() => void)[] = [];
  #isClosed = false;
  #isLeft = false;

  constructor(raw: ServerResponse, connection: Connection) {
    this.#connection = connection;
    raw.once('close', () => this.close());
  }

  /** Calls `listener` when it closes, or now if it has. */
  onceClosed(listener: () => void): void {
    if (this.#isClosed) listener();
    else this.#listeners.push(listener);
  }

  /** Calls `listener` when it is left or closes, or in the next turn of the event loop if it has been left. */
  onceLeft(listener: () => void): void {
    if (this.#isClosed) listener();
    else if (this.#isLeft) setImmediate(listener);
    else this.#leaveListeners.push(listener);
  }

  leave(): void {
    if (this.#isLeft) return;
    this.#isLeft = true;
    for (const listener of this.#leaveListeners.splice(0)) listener();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#connection.remove(this);
    for (const listener of this.#listeners) listener();
    this.leave();
  }
}

/** The open responses of one connection. */
class Connection {
  /** Not a set: those that are rehashed all the time keep what was in them alive until a full garbage collection. */
  readonly #open: OpenResponse[] = [];
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
    // node:http emits no `close` on a response that waits behind another one.
    socket.once('close', () => {
      for (const response of [...this.#open]) response.close();
    });
    socket.once('end', () => this.#leaveAll());
  }

  add(raw: ServerResponse): OpenResponse {
    const response = new OpenResponse(raw, this);
    this.#leaveAll();
    this.#open.push(response);
    if (this.#socket.readableEnded) response.leave();
    if (raw.closed || this.#socket.destroyed) response.close();
    else if (this.#open.length > MAX_PIPELINED) process.nextTick(() => this.#pause());
    return response;
  }

  #leaveAll(): void {
    for (const response of [...this.#open]) response.leave();
  }

  /** After the requests that have been read with the last one: node:http resumes at the end of each. */
  #pause(): void {
    if (this.#open.length > MAX_PIPELINED) this.#socket.pause();
  }

  remove(response: OpenResponse): void {
    this.#open.splice(this.#open.indexOf(response), 1);
    if (this.#open.length === MAX_PIPELINED) this.#socket.resume();
  }
}

/** Follows every response, for `onceClosed`, and stops reading a connection while 17 requests on it are in progress. */
export function trackResponses(app: FastifyInstance): void {
  const connections = new WeakMap<Socket, Connection>();
  app.decorateRequest('response', null);
  app.addHook('onRequest', (request, reply, done) => {
    const { socket } = request.raw;
    let connection = connections.get(socket);
    if (connection === undefined) {
      connection = new Connection(socket);
      connections.set(socket, connection);
    }
    request.response = connection.add(reply.raw);
    done();
  });
}

/** Calls `listener` once: when the kernel has taken the whole response, or its connection has closed. */
export function onceClosed({ response }: FastifyRequest, listener: () => void): void {
  if (response === null) listener();
  else response.onceClosed(listener);
}

/**
 * Calls `listener` once: as `onceClosed`, or when the client sends no more, which those who leave a stream look like,
 * or sends a further request, which waits for this response to end.
 */
export function onceLeft({ response }: FastifyRequest, listener: () => void): void {
  if (response === null) listener();
  else response.onceLeft(listener);
}
