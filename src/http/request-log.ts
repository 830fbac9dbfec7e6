import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { AppError } from '../core/errors.ts';
import { routeName } from './route-name.ts';

function levelFor(status: number): 'info' | 'warn' | 'error' {
  if (status < 500) return 'info';
  return status === 503 ? 'warn' : 'error';
}

/** Why an answer was an error: with the stack where the fault is ours, with the cause's own word where it is the client's. */
function reason(failure: AppError, status: number): object {
  if (status >= 500) return { code: failure.code, err: failure.cause ?? failure };
  return { code: failure.code };
}

/** One line a request, once it has been answered. Nothing the client wrote is in it but a request id that is sane. */
export function logRequests(app: FastifyInstance): void {
  const line = (request: FastifyRequest, status: number, durationMs: number) => ({
    request_id: request.id,
    method: request.method,
    route: routeName(request),
    status,
    duration_ms: Math.round(durationMs * 1000) / 1000,
    user_id: request.principal?.userId,
    ...(request.failure === null ? {} : reason(request.failure, status)),
  });
  app.addHook('onResponse', (request, reply, done) => {
    const { statusCode, elapsedTime } = reply;
    request.log[levelFor(statusCode)](line(request, statusCode, elapsedTime), 'request');
    done();
  });
}
