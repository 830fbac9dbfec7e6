import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import fastify, { type FastifyBaseLogger, type FastifyInstance, type FastifyReply, LogController } from 'fastify';
import { validatorCompiler } from 'fastify-type-provider-zod';
import { AppError } from '../core/errors.ts';
import { answerBrokenRequests } from './broken-request.ts';
import { drainOnClose } from './drain.ts';
import { errorReply, toAppError } from './error-reply.ts';
import { parseJsonBodies } from './json-body.ts';

const MAX_BODY_BYTES = 65_536;
const MAX_HEADER_BYTES = 16_384;
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 15_000;
/** Longer than load balancers keep their side of a connection open, so that it is they who close it. */
const KEEP_ALIVE_TIMEOUT_MS = 72_000;
const TIMEOUT_CHECK_MS = 500;

const SANE_REQUEST_ID = /^[\w.:-]{1,128}$/;

function requestId(request: IncomingMessage): string {
  const given = request.headers['x-request-id'];
  return typeof given === 'string' && SANE_REQUEST_ID.test(given) ? given : randomUUID();
}

function sendError(reply: FastifyReply, error: AppError): FastifyReply {
  const { status, headers, body } = errorReply(error);
  return reply.code(status).headers(headers).send(body);
}

/**
 * An HTTP server without routes: the limits of the contract, JSON bodies and nothing else, and one form for every
 * error, whatever layer it comes from.
 */
export function createServer(logger: FastifyBaseLogger): FastifyInstance {
  const app = fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    childLoggerFactory: (parent) => parent,
    genReqId: requestId,
    bodyLimit: MAX_BODY_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    return503OnClosing: false,
    http: {
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: HEADERS_TIMEOUT_MS,
      connectionsCheckingInterval: TIMEOUT_CHECK_MS,
      requireHostHeader: false, // checked below, to answer in the contract's form
    },
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: MAX_HEADER_BYTES },
    frameworkErrors: (error, request, reply: FastifyReply) => {
      const line = { request_id: request.id, method: request.method, route: 'unknown', status: 400 };
      request.log.info({ ...line, duration_ms: reply.elapsedTime, code: 'VALIDATION_ERROR' }, 'request');
      void reply.headers({ 'x-request-id': request.id, 'x-content-type-options': 'nosniff', vary: 'Origin' });
      void sendError(reply, toAppError(error));
    },
  });

  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(() => JSON.stringify);
  parseJsonBodies(app);
  drainOnClose(app);

  app.addHook('onRequest', (request, reply, done) => {
    void reply.headers({ 'x-request-id': request.id, vary: 'Origin' });
    const hostMissing = request.raw.httpVersion === '1.1' && request.headers.host === undefined;
    done(hostMissing ? new AppError('INVALID_REQUEST', { message: 'Host header is missing' }) : undefined);
  });
  app.setErrorHandler((error, request, reply) => {
    const failure = toAppError(error);
    request.failure = failure;
    return sendError(reply, failure);
  });
  app.setNotFoundHandler(() => {
    throw new AppError('NOT_FOUND', { message: 'Route not found' });
  });
  app.decorateRequest('failure', null);
  app.server.removeAllListeners('clientError');
  answerBrokenRequests(app.server, logger);
  app.server.on('checkExpectation', (request, response) => app.server.emit('request', request, response));
  return app;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** What the request was answered with instead of a result. */
    failure: AppError | null;
  }
}
