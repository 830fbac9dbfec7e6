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

type LoggedRequest = Pick<FastifyRequest, 'id' | 'method' | 'failure' | 'principal'>;

/**
 * One log line per request, at the end of the response. The only client input in it is the method, a valid request id
 * and the user id of a verified token.
 */
export function logRequests(app: FastifyInstance): void {
  const write = (request: LoggedRequest, route: string, status: number, durationMs: number) => {
    const { id, method, failure, principal } = request;
    const fields = {
      request_id: id,
      method,
      route,
      status,
      duration_ms: Math.round(durationMs * 1000) / 1000,
      user_id: principal?.userId,
    };
    app.log[levelFor(status)](failure === null ? fields : { ...fields, ...errorFields(failure, status) }, 'request');
  };
  app.decorateRequest('isLogged', false);
  app.addHook('onRequest', (request, reply, done) => {
    reply.raw.on('close', () => {
      if (!request.isLogged) write(request, routeName(request), CLIENT_CLOSED_REQUEST, reply.elapsedTime);
    });
    done();
  });
  app.addHook('onResponse', (request, reply, done) => {
    request.isLogged = true;
    write(request, routeName(request), reply.statusCode, reply.elapsedTime);
    done();
  });
  app.clientErrors.on('response', ({ requestId, status, failure }) => {
    write({ id: requestId, method: 'unknown', failure, principal: null }, 'unknown', status, 0);
  });
}
