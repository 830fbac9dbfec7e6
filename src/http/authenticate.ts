import type { onRequestHookHandler } from 'fastify';
import type { VerifiedToken } from '../auth/token-cache.ts';
import type { TokenVerifier } from '../auth/token-verifier.ts';
import { AppError } from '../core/errors.ts';
import type { Principal } from '../core/user.ts';

/** RFC 6750, section 2.1; the scheme is case-insensitive (RFC 9110, 11.1). */
const BEARER = /^Bearer +([^\s,]+) *$/i;

declare module 'fastify' {
  interface FastifyRequest {
    /** The authenticated user; null on public routes. */
    principal: Principal | null;
    /** The `exp` of the user's token, in milliseconds since the Unix epoch; 0 on public routes. */
    tokenExpiresAtMs: number;
  }
}

/** onRequest hook: verifies the bearer token before the body is read and sets `request.principal` and its expiry. */
export function authenticate(tokens: TokenVerifier): onRequestHookHandler {
  return (request, _reply, done) => {
    const { authorization } = request.headers;
    if (authorization === undefined) return done(new AppError('UNAUTHORIZED', { reason: 'authorization missing' }));
    const token = BEARER.exec(authorization)?.[1];
    if (token === undefined) return done(new AppError('UNAUTHORIZED', { reason: 'authorization' }));
    const accept = ({ principal, expiresAtMs }: VerifiedToken) => {
      request.principal = principal;
      request.tokenExpiresAtMs = expiresAtMs;
      done();
    };
    try {
      const verified = tokens.verify(token, request.raw.socket);
      if (verified instanceof Promise) verified.then(accept, done);
      else accept(verified);
    } catch (error) {
      done(error instanceof Error ? error : new Error('Token verification failed', { cause: error }));
    }
  };
}

/** @throws {AppError} `UNAUTHORIZED` on a route without the authentication hook. */
export function principalOf(request: { readonly principal: Principal | null }): Principal {
  if (request.principal === null) throw new AppError('UNAUTHORIZED');
  return request.principal;
}
