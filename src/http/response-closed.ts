import type { Socket } from 'node:net';
import type { FastifyReply } from 'fastify';

/** By connection: what to call for each of its responses that has not closed. */
const openResponses = new WeakMap<Socket, Set<() => void>>();

function openResponsesOf(socket: Socket): Set<() => void> {
  const known = openResponses.get(socket);
  if (known !== undefined) return known;
  const open = new Set<() => void>();
  openResponses.set(socket, open);
  socket.once('close', () => {
    for (const close of open) close();
  });
  return open;
}

/**
 * Calls `listener` once: when the kernel has taken the whole response, or when the connection has closed. node:http
 * emits no `close` on a response that waits behind another one on a connection that closes.
 */
export function onceClosed({ raw, request }: FastifyReply, listener: () => void): void {
  const { socket } = request.raw;
  if (raw.closed || socket.destroyed) {
    listener();
    return;
  }
  const open = openResponsesOf(socket);
  const close = () => {
    if (open.delete(close)) listener();
  };
  open.add(close);
  raw.once('close', close);
}
