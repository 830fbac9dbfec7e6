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

/** The parameters in a route's `querystring` schema, which is a `z.object`; a route without one has none. */
const parametersIn = (schema: unknown): Readonly<Record<string, z.core.$ZodType>> =>
  schema instanceof z.ZodObject ? schema.shape : {};

/** Whether a parameter may be sent several times: its schema takes an array. */
const isRepeatable = (schema: z.core.$ZodType | undefined) => schema !== undefined && z.safeParse(schema, []).success;

/**
 * onRequest hook: responds with 400 to a request with a query parameter that its route does not have, or with one twice,
 * naming up to 20, unless its schema takes an array. Values are validated later, by the route's `querystring` schema.
 */
export const checkQuery: onRequestHookHandler = (request, _reply, done) => {
  const parameters = parametersIn(request.routeOptions.schema?.querystring);
  const known = Object.keys(parameters);
  const faults = Object.entries(request.query ?? {}).flatMap(([name, value]) => {
    if (!known.includes(name)) return [{ field: name || 'query', message: unknownParameter(known) }];
    return Array.isArray(value) && !isRepeatable(parameters[name]) ? [{ field: name, message: REPEATED }] : [];
  });
  if (faults.length === 0) return done();
  done(new AppError('VALIDATION_ERROR', { details: faults.slice(0, MAX_DETAILS) }));
};
