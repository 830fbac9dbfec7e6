import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { AppError } from '../core/errors.ts';
import { routeName } from './route-name.ts';

declare module 'fastify' {
  interface FastifyRequest {
    isLogged: boolean;
  }
}

/** nginx's 499: the client closed the connection before the response. Log only. */
const CLIENT_CLOSED_REQUEST = 499;

function levelFor(status: number): 'info' | 'warn' | 'error' {
  if (status < 500) return 'info';
  return status === 503 ? 'warn' : 'error';
}

/** Log fields of an error: the stack only for server errors. */
function errorFields(failure: AppError, status: number): object {
  const { code, reason } = failure;
  return status >= 500 ? { code, err: failure.cause ?? failure } : { code, reason };
}

/** One log line per request, at the end of the response. The only client input in it is a valid request id. */
export function logRequests(app: FastifyInstance): void {
  const write = (request: FastifyRequest, status: number, durationMs: number) => {
    const line = {
      request_id: request.id,
      method: request.method,
      route: routeName(request),
      status,
      duration_ms: Math.round(durationMs * 1000) / 1000,
      user_id: request.principal?.userId,
    };
    request.isLogged = true;
    const { failure } = request;
    app.log[levelFor(status)](failure === null ? line : { ...line, ...errorFields(failure, status) }, 'request');
  };
  app.decorateRequest('isLogged', false);
  app.addHook('onRequest', (request, reply, done) => {
    reply.raw.on('close', () => {
      if (!request.isLogged) write(request, CLIENT_CLOSED_REQUEST, reply.elapsedTime);
    });
    done();
  });
  app.addHook('onResponse', (request, reply, done) => {
    write(request, reply.statusCode, reply.elapsedTime);
    done();
  });
  app.clientErrors.on('response', ({ requestId, status, failure }) => {
    const line = { request_id: requestId, method: 'unknown', route: 'unknown', status, duration_ms: 0 };
    app.log.info({ ...line, ...errorFields(failure, status) }, 'request');
  });
}
