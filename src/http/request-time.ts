import { Socket } from 'node:net';
import type { FastifyInstance, FastifyRequest } from 'fastify';

/** From the headers of a request until its body has been received. */
const BODY_TIMEOUT_MS = 15_000;
/** From the headers of an import until its body has been received. */
export const LONG_BODY_TIMEOUT_MS = 120_000;

declare module 'fastify' {
  interface FastifyContextConfig {
    /** How long the body may take to be received, in milliseconds; 15 s if not given. */
    readonly bodyTimeoutMs?: number;
  }
}

/** Ends requests whose body is not received in time, as node:http does with those whose headers are not. */
export function limitRequestTime(app: FastifyInstance): void {
  app.addHook('onRequest', (request, _reply, done) => {
    const { raw, routeOptions } = request;
    const { 'content-length': length, 'transfer-encoding': encoding } = request.headers;
    if (raw.complete || !(raw.socket instanceof Socket) || (encoding === undefined && (length ?? '0') === '0'))
      return done();
    const timeout = Object.assign(new Error('The body was not received in time'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' });
    const end = () => {
      if (!raw.complete) app.server.emit('clientError', timeout, raw.socket);
    };
    const timer = setTimeout(end, routeOptions.config.bodyTimeoutMs ?? BODY_TIMEOUT_MS).unref();
    const clear = () => clearTimeout(timer);
    raw.once('end', clear).once('close', clear);
    done();
  });
}

/** Lets the connection be silent for as long as the answer takes. */
export function allowSilence({ raw }: FastifyRequest): void {
  if (raw.socket instanceof Socket) raw.socket.setTimeout(0); // node:http sets it again behind the answer
}
