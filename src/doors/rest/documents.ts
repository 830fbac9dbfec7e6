import type { FastifyTypeProvider } from 'fastify';
import { z } from 'zod';
import { AppError } from '../../core/errors.ts';
import { type DocumentedResponse, emptyResponse, errorResponses, SERVICE_ERRORS } from '../../http/openapi.ts';
import { unknownParameter } from '../../http/query.ts';
import { EXAMPLE } from '../../tasks/example.ts';

/** Request types are inferred from the zod schemas. */
export interface ZodRequestTypes extends FastifyTypeProvider {
  readonly validator: this['schema'] extends z.ZodType ? z.output<this['schema']> : unknown;
}

export const operation = (operationId: string, summary: string, description: string) => ({
  operationId,
  summary,
  description: description.replace(/\s+/g, ' '),
  tags: ['Tasks'],
});

/** A response header. */
export const text = (description: string, example?: string) => ({
  type: 'string',
  description,
  ...(example === undefined ? {} : { examples: [example] }),
});
export const ETAG = { ETag: text('The version, in double quotes.', '"7"') };
export const LIST_ETAG = { ETag: text('Changes with everything that the list shows; opaque.') };
export const REPLAYED = {
  'Idempotency-Replayed': text('`true` if the request had been executed before.', 'true'),
};

/**
 * A request header; its value is checked where it is read, for one form of error. Optional parameters have no examples:
 * Swagger UI would send them.
 */
export const header = (name: string, description: string) =>
  z.object({ [name]: z.string().optional().meta({ description }) });
export const KEY = header(
  'Idempotency-Key',
  'Unique to this request, such as a UUID: sent again within 24 hours with it, it is not executed again. 1 to 255 visible ' +
    'ASCII characters.',
);

export const IF_NONE_MATCH = header(
  'If-None-Match',
  'Tags that the client has, as in `"7"`: 304 if one is still right.',
);
const IF_MATCH = header('If-Match', 'The versions on which the write may be made, as in `"7"`, or `*`: else 412.');
export const CREATE_ONLY = header('If-None-Match', '`*` creates under this id, unless there is one with it.');
export const GUARDED = IF_MATCH.extend(KEY.shape);
export const WRITTEN = { ...ETAG, ...REPLAYED };
export const location = (what: string) => ({ Location: text(`Path of the new ${what}.`) });
export const NOT_MODIFIED = (headers: DocumentedResponse['headers']) =>
  emptyResponse('The client has it already.', headers);

/** From the answer of a create to the operations on what was created (OpenAPI 3.1, Link Object). */
export const linksTo = (operationIds: readonly string[], parameter: string) =>
  Object.fromEntries(
    operationIds.map((operationId) => [
      operationId,
      { operationId, parameters: { [parameter]: '$response.body#/id' } },
    ]),
  );

/** What is wrong with one field, as options of an `AppError`. */
export const invalidField = (field: string, message: string) => ({ details: [{ field, message }] });

/** The errors that every route can respond with. */
const TOKEN = ['UNAUTHORIZED', 'INVALID_TOKEN', 'TOKEN_EXPIRED', 'RATE_LIMITED'] as const;
const QUERY = [new AppError('VALIDATION_ERROR', invalidField('limit', unknownParameter()))];
const DATABASE = ['DATABASE_ERROR', 'SERVICE_UNAVAILABLE'] as const;

/** Options of the errors that several routes can respond with. */
export const LIMIT = { message: 'The limit of 100000 tasks is reached' };
export const STALE = { current: JSON.stringify(EXAMPLE) };
/** Methods other than GET read the body, even if they ignore it. */
export const WRITE = ['PAYLOAD_TOO_LARGE', 'IDEMPOTENCY_MISMATCH'] as const;

/** @param errors those that the route can respond with, beside those of every route. */
export const responses = (
  requestHeaders: z.ZodObject,
  success: Readonly<Record<number, DocumentedResponse>>,
  ...errors: Parameters<typeof errorResponses>[0][]
) => ({
  requestHeaders,
  responses: { ...success, ...errorResponses([...SERVICE_ERRORS, ...TOKEN, ...QUERY, ...DATABASE, ...errors.flat()]) },
});
