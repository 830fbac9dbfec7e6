import { setMaxListeners } from 'node:events';
import type { Server } from 'node:http';
import { Server as NetServer, type Socket } from 'node:net';
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';

/** Grace period for requests already on the network. */
const GRACE_PERIOD_MS = 250;
const ACCEPT_QUEUE_TIMEOUT_MS = 2_000;
const DRAIN_TIMEOUT_MS = 8_000;
const POLL_MS = 50;

declare module 'fastify' {
  interface FastifyInstance {
    /** Aborted when `app.close()` begins: answers that would last for as long as the client likes have to end. */
    readonly draining: AbortSignal;
  }
}

/** Closes idle connections once every response has been handed to the kernel, and those that have sent nothing. */
function closeIdleConnections(server: Server, sockets: ReadonlySet<Socket>): void {
  for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy(); // not idle for Node
  for (const socket of sockets) if (socket.writableLength > 0) return;
  server.closeIdleConnections();
}

/**
 * close() resets connections still in the accept queue, and libuv may accept only one per event-loop turn: waits until
 * two turns accepted none, at most 2 s.
 */
async function drainAcceptQueue(count: () => number): Promise<void> {
  const deadline = performance.now() + ACCEPT_QUEUE_TIMEOUT_MS;
  for (let idleTurns = 0; idleTurns < 2 && performance.now() < deadline; ) {
    const before = count();
    await nextTurn();
    idleTurns = count() === before ? idleTurns + 1 : 0;
  }
}

/**
 * Graceful shutdown in `app.close()`: ends streams, stops accepting connections, sends `Connection: close` with every response
 * (RFC 9112, 9.6), closes idle connections after 250 ms, and requests in flight after 8 s.
 */
export function drainOnClose(app: FastifyInstance): void {
  const sockets = new Set<Socket>();
  const draining = new AbortController();
  setMaxListeners(0, draining.signal);
  let accepted = 0;
  app.decorate('draining', draining.signal);
  app.server.on('connection', (socket) => {
    accepted += 1;
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  app.addHook('preClose', async () => {
    draining.abort();
    const { server } = app;
    if (!server.listening) return;
    await drainAcceptQueue(() => accepted);
    // http.Server.close would close idle connections at once.
    const closed = new Promise<void>((resolve) => NetServer.prototype.close.call(server, () => resolve()));
    const timeout = setTimeout(() => server.closeAllConnections(), DRAIN_TIMEOUT_MS);
    await delay(GRACE_PERIOD_MS);
    const poll = setInterval(() => closeIdleConnections(server, sockets), POLL_MS);
    await closed;
    clearInterval(poll);
    clearTimeout(timeout);
  });
}
