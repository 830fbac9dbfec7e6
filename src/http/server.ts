import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import fastify, { type FastifyBaseLogger, type FastifyInstance, type FastifyReply, LogController } from 'fastify';
import { validatorCompiler } from 'fastify-type-provider-zod';
import { AppError } from '../core/errors.ts';
import { ClientErrors } from './client-errors.ts';
import { CONSTANT_HEADERS, corsHeaders } from './cors-and-headers.ts';
import { drainOnClose } from './drain.ts';
import { errorReply, toAppError } from './error-reply.ts';
import type { Explain } from './explain.ts';
import { parseJsonBodies } from './json-body.ts';
import { trackResponses } from './open-responses.ts';
import { LONG_BODY_TIMEOUT_MS, limitRequestTime } from './request-time.ts';

const MAX_BODY_BYTES = 65_536;
const MAX_HEADER_BYTES = 16_384;
const HEADERS_TIMEOUT_MS = 10_000;
/** Socket timeout, for example if the client does not read its response. */
const SOCKET_TIMEOUT_MS = 30_000;
/** Longer than the idle timeout of common load balancers (60 s): those close idle connections first, except at a stop. */
const KEEP_ALIVE_TIMEOUT_MS = 72_000;
const TIMEOUT_CHECK_MS = 500;

/** Of a 429 that does not say when to come again. */
const RETRY_AFTER_S = 60;

/** A path without a route. */
const NO_ROUTE = '/%25';

const REQUEST_ID_FORMAT = /^[\w.:-]{1,128}$/;

function requestId(request: IncomingMessage): string {
  const given = request.headers['x-request-id'];
  return typeof given === 'string' && REQUEST_ID_FORMAT.test(given) ? given : randomUUID();
}

function isRepeated({ rawHeaders }: IncomingMessage, header: string): boolean {
  let count = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index];
    if (name?.length === header.length && name.toLowerCase() === header) count += 1;
  }
  return count > 1;
}

/** What is wrong with the headers (RFC 9112, 3.2; RFC 9110, 5.3); null if nothing. Node keeps the first of a kind. */
function headerFault(request: IncomingMessage): string | null {
  if (request.headers.host === undefined && request.httpVersion === '1.1') return 'Host header is missing';
  if (isRepeated(request, 'host')) return 'Host header must be sent once';
  return isRepeated(request, 'authorization') ? 'Authorization header must be sent once' : null;
}

interface ServerOptions {
  readonly logger: FastifyBaseLogger;
  /** Origins that may read every response (CORS). */
  readonly frontendOrigins: readonly string[];
  readonly explain: Explain;
}

/** A Fastify instance without routes: timeouts and size limits, JSON bodies, graceful shutdown, and JSON errors. */
export function createServer({ logger, frontendOrigins, explain }: ServerOptions): FastifyInstance {
  const clientErrors = new ClientErrors(frontendOrigins);
  const badPathRequests = new WeakSet<IncomingMessage>();
  const app: FastifyInstance = fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    childLoggerFactory: (parent) => parent,
    genReqId: requestId,
    bodyLimit: MAX_BODY_BYTES,
    requestTimeout: HEADERS_TIMEOUT_MS + LONG_BODY_TIMEOUT_MS, // of most bodies it is less: request-time.ts
    connectionTimeout: SOCKET_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    return503OnClosing: false,
    http: {
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: HEADERS_TIMEOUT_MS,
      connectionsCheckingInterval: TIMEOUT_CHECK_MS,
      requireHostHeader: false, // checked below, for a JSON error
    },
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: MAX_HEADER_BYTES },
    clientErrorHandler: clientErrors.onClientError,
    frameworkErrors: (_error, { raw }, reply: FastifyReply) => {
      badPathRequests.add(raw);
      // Undecodable path: dispatch to a path without a route, so that hooks and the 404 handler run.
      raw.url = NO_ROUTE;
      app.routing(raw, reply.raw);
    },
  });

  app.setValidatorCompiler(validatorCompiler);
  app.decorateRequest('failure', null);
  app.decorate('clientErrors', clientErrors);
  drainOnClose(app);
  trackResponses(app);
  // Not in Node's documentation: without it a connection is ended when its client half-closes it, answered or not.
  Object.assign(app.server, { httpAllowHalfOpen: true });

  app.addHook('onRequest', (request, reply, done) => {
    clientErrors.track(request, reply);
    void reply.header('x-request-id', request.id).headers(CONSTANT_HEADERS);
    const message = headerFault(request.raw);
    if (message === null) return done();
    const cors = corsHeaders(frontendOrigins, request.headers.origin ?? '');
    void reply.header('connection', 'close').headers(cors);
    done(new AppError('INVALID_REQUEST', { message }));
  });
  limitRequestTime(app);
  parseJsonBodies(app);
  app.setErrorHandler((error, request, reply) => {
    const failure = toAppError(error);
    request.failure = failure;
    const { status, headers, body } = errorReply(explain(failure, request.url));
    if (status === 429 && !reply.hasHeader('retry-after')) void reply.header('retry-after', RETRY_AFTER_S);
    return reply.code(status).headers(headers).send(body);
  });
  app.setNotFoundHandler((request, reply) => {
    if (badPathRequests.has(request.raw)) {
      const message = 'Path is not correctly percent-encoded';
      throw new AppError('VALIDATION_ERROR', { details: [{ field: 'path', message }] });
    }
    if (request.method === 'CONNECT') {
      void reply.header('allow', ''); // the target is another host, which has no methods here
      throw new AppError('METHOD_NOT_ALLOWED');
    }
    throw new AppError('NOT_FOUND', { message: 'Route not found', reason: 'route' });
  });
  app.server.on('connect', (request, socket) => clientErrors.onConnect(request, socket, app.routing));
  app.server.on('checkExpectation', (request, response) => app.server.emit('request', request, response));
  return app;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** The error that was sent as the response. */
    failure: AppError | null;
  }
}
