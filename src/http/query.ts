import type { onRequestHookHandler } from 'fastify';
import { AppError } from '../core/errors.ts';

const MAX_DETAILS = 20;

export const UNKNOWN_PARAMETER =
  'Unknown query parameter: this route has none. None is needed against caches either: responses are never cached';

/** onRequest hook of routes without query parameters: responds with 400 to a request that has any, naming up to 20. */
export const rejectQuery: onRequestHookHandler = (request, _reply, done) => {
  const names = Object.keys(request.query ?? {});
  if (names.length === 0) return done();
  const details = names.slice(0, MAX_DETAILS).map((name) => ({ field: name || 'query', message: UNKNOWN_PARAMETER }));
  done(new AppError('VALIDATION_ERROR', { details }));
};
