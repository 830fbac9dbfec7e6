import type { onRequestHookHandler } from 'fastify';
import { z } from 'zod';
import { AppError } from '../core/errors.ts';

const MAX_DETAILS = 20;
const REPEATED = 'Query parameter must be sent once';

/** The message for a query parameter that is none of `known`. */
export function unknownParameter(known: readonly string[] = []): string {
  const names = known.length === 0 ? 'none' : known.join(', ');
  return `Unknown query parameter: this route has ${names}. None is needed against caches: responses are never cached`;
}

/** The names in a route's `querystring` schema, which is a `z.object`; a route without one has no query parameters. */
const namesIn = (schema: unknown) => (schema instanceof z.ZodObject ? Object.keys(schema.shape) : []);

/**
 * onRequest hook: responds with 400 to a request with a query parameter that its route does not have, or with one twice,
 * naming up to 20. Values are validated later, by the route's `querystring` schema.
 */
export const checkQuery: onRequestHookHandler = (request, _reply, done) => {
  const known = namesIn(request.routeOptions.schema?.querystring);
  const faults = Object.entries(request.query ?? {}).flatMap(([name, value]) => {
    if (!known.includes(name)) return [{ field: name || 'query', message: unknownParameter(known) }];
    return Array.isArray(value) ? [{ field: name, message: REPEATED }] : [];
  });
  if (faults.length === 0) return done();
  done(new AppError('VALIDATION_ERROR', { details: faults.slice(0, MAX_DETAILS) }));
};
