import type { Server } from 'node:http';
import { Server as NetServer, type Socket } from 'node:net';
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';

/** A request that was on its way when the stop came still finds its connection open. */
const GRACE_MS = 250;
const DRAIN_MS = 8_000;
const POLL_MS = 50;

/** Closes idle connections, once the kernel has taken the whole of their last answer. */
function closeWhatIsDone(server: Server, sockets: ReadonlySet<Socket>): void {
  for (const socket of sockets) if (socket.writableLength > 0) return;
  server.closeIdleConnections();
}

/**
 * A connection that still waits to be accepted is reset when the server stops listening, and a turn of the event loop may
 * accept no more than one: returns after two turns that accepted none.
 */
async function acceptWhatWaits(count: () => number): Promise<void> {
  const until = performance.now() + GRACE_MS;
  for (let quietTurns = 0; quietTurns < 2 && performance.now() < until; ) {
    const before = count();
    await nextTurn();
    quietTurns = count() === before ? quietTurns + 1 : 0;
  }
}

/**
 * Makes `app.close()` lose no request: no new connection is taken, every answer from now on says `Connection: close`
 * (RFC 9112, 9.6), idle connections are closed after a quarter of a second, and what is under way has 8 s to end.
 */
export function drainOnClose(app: FastifyInstance): void {
  const sockets = new Set<Socket>();
  let accepted = 0;
  app.server.on('connection', (socket) => {
    accepted += 1;
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  app.addHook('preClose', async () => {
    const { server } = app;
    if (!server.listening) return;
    await acceptWhatWaits(() => accepted);
    // http.Server's own close would cut idle connections at once.
    const ended = new Promise<void>((resolve) => NetServer.prototype.close.call(server, () => resolve()));
    const late = setTimeout(() => server.closeAllConnections(), DRAIN_MS);
    await delay(GRACE_MS);
    const closing = setInterval(() => closeWhatIsDone(server, sockets), POLL_MS);
    await ended;
    clearInterval(closing);
    clearTimeout(late);
  });
}
