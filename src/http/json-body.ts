import { isUtf8 } from 'node:buffer';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { AppError } from '../core/errors.ts';
import { digestBody, digestKeyedBodies } from './idempotency-key.ts';

const ACCEPTED_TYPE = /^application\/json[ \t]*(?:;[ \t]*charset="?utf-?8"?[ \t]*)?;?$/i;
const OTHER_CHARSET = /^application\/json[ \t]*;[ \t]*charset=/i;

const BODY_MISSING = 'Request body is missing: send a JSON object';
const JSON_RULES = 'JSON has double quotes around names and texts, and no comma after the last field';

const invalid = (message: string) => new AppError('INVALID_REQUEST', { message });

function parseObject(bytes: Buffer): object {
  if (!isUtf8(bytes)) throw invalid('Request body is not valid UTF-8');
  const text = bytes.toString('utf8').replace(/^\ufeff/, ''); // a byte order mark (RFC 8259, 8.1)
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    if (text.trim() === '') throw invalid(BODY_MISSING);
    throw new AppError('INVALID_REQUEST', { cause, details: [{ field: 'body', message: JSON_RULES }] });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid('Request body must be a JSON object');
  }
  return value;
}

/** @returns an error unless `type` is JSON in UTF-8. */
function typeError(type: string): AppError | undefined {
  if (ACCEPTED_TYPE.test(type)) return undefined;
  if (OTHER_CHARSET.test(type))
    return invalid('Content-Type must be application/json in UTF-8, without another charset');
  return invalid('Content-Type must be application/json');
}

function acceptsBody(request: FastifyRequest): boolean {
  return request.routeOptions.schema?.body !== undefined;
}

/** Whether an empty object would do as the body, which may be left out then. */
function mayBeLeftOut({ routeOptions }: FastifyRequest): boolean {
  const body = routeOptions.schema?.body;
  return body instanceof z.ZodType && body.safeParse({}).success;
}

/**
 * Routes with a body schema accept only a JSON object in UTF-8 (RFC 8259) as `application/json`; those that need none, and
 * other routes, ignore a body of another type. Errors are `INVALID_REQUEST`.
 */
export function parseJsonBodies(app: FastifyInstance): void {
  digestKeyedBodies(app);
  app.removeAllContentTypeParsers();
  const isIgnored = (request: FastifyRequest, type = '') =>
    !acceptsBody(request) || (typeError(type) !== undefined && mayBeLeftOut(request));
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (request, bytes: Buffer, done) => {
    try {
      digestBody(request, bytes);
      const isAbsent =
        isIgnored(request, request.headers['content-type']) || (bytes.length === 0 && mayBeLeftOut(request));
      done(null, isAbsent ? undefined : parseObject(bytes));
    } catch (error) {
      done(error instanceof Error ? error : new Error('Body parser failed', { cause: error }));
    }
  });
  app.addHook('preParsing', (request, _reply, _payload, done) => {
    const { 'content-type': type = '', 'content-encoding': encoding = 'identity' } = request.headers;
    const bodyError = app.clientErrors.bodyError(request.raw);
    if (bodyError !== undefined || isIgnored(request, type)) return done(bodyError);
    if (encoding.toLowerCase() !== 'identity') return done(invalid('Content-Encoding is not supported'));
    return done(typeError(type));
  });
  app.addHook('preValidation', (request, _reply, done) => {
    if (!acceptsBody(request) || request.body !== undefined) return done();
    if (!mayBeLeftOut(request)) return done(invalid(BODY_MISSING));
    request.body = {};
    return done();
  });
}
