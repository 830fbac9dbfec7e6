import { randomUUID } from 'node:crypto';
import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { AppError } from '../core/errors.ts';
import { errorReply } from './error-reply.ts';

/** Writes a whole answer to a socket that has no usable request, and closes it. */
function answer(socket: Duplex, error: AppError): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const { status, headers, body } = errorReply(error);
  const lines = Object.entries({
    ...headers,
    'content-length': String(Buffer.byteLength(body)),
    'x-request-id': randomUUID(),
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-store',
    vary: 'Origin',
    connection: 'close',
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines.join('')}\r\n${body}`, () =>
    socket.destroy(),
  );
}

function toError(code: string | undefined): AppError {
  if (code === 'HPE_HEADER_OVERFLOW') return new AppError('HEADERS_TOO_LARGE');
  const message =
    code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 'Request was not received in time' : 'Request is not valid HTTP';
  return new AppError('INVALID_REQUEST', { message });
}

/** Answers what the HTTP parser could not read (RFC 9112, 2.2) in the form of every other error. */
export function answerParserError(error: { readonly code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET') socket.destroy();
  else answer(socket, toError(error.code));
}

/** Answers `CONNECT`, which asks for a tunnel that this service does not give. */
export function answerRefusedSocket(_request: IncomingMessage, socket: Duplex): void {
  answer(socket, new AppError('METHOD_NOT_ALLOWED'));
}
