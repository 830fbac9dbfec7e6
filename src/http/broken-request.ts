import { randomUUID } from 'node:crypto';
import { type Server, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { FastifyBaseLogger } from 'fastify';
import { AppError } from '../core/errors.ts';
import { errorReply } from './error-reply.ts';

/** Writes a whole answer to a socket that has no usable request, closes it, and gives it its line in the log. */
function answer(socket: Duplex, error: AppError, log: FastifyBaseLogger): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const requestId = randomUUID();
  const { status, headers, body } = errorReply(error);
  const lines = Object.entries({
    ...headers,
    'content-length': String(Buffer.byteLength(body)),
    'x-request-id': requestId,
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-store',
    vary: 'Origin',
    connection: 'close',
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines.join('')}\r\n${body}`, () =>
    socket.destroy(),
  );
  log.info(
    { request_id: requestId, method: 'unknown', route: 'unknown', status, duration_ms: 0, code: error.code },
    'request',
  );
}

function toError(code: string | undefined): AppError {
  if (code === 'HPE_HEADER_OVERFLOW') return new AppError('HEADERS_TOO_LARGE');
  const message =
    code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 'Request was not received in time' : 'Request is not valid HTTP';
  return new AppError('INVALID_REQUEST', { message });
}

/** Answers what the HTTP parser could not read (RFC 9112, 2.2), and `CONNECT`, in the form of every other error. */
export function answerBrokenRequests(server: Server, log: FastifyBaseLogger): void {
  server.on('clientError', (error: Error & { readonly code?: string }, socket) => {
    if (error.code === 'ECONNRESET') socket.destroy();
    else answer(socket, toError(error.code), log);
  });
  server.on('connect', (_request, socket) => answer(socket, new AppError('METHOD_NOT_ALLOWED'), log));
}
