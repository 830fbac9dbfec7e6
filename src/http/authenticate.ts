import type { onRequestHookHandler } from 'fastify';
import type { TokenVerifier } from '../auth/token-verifier.ts';
import { AppError } from '../core/errors.ts';
import type { Principal } from '../core/user.ts';

/** The credentials of RFC 6750, section 2.1: a scheme in any case, spaces, one token. */
const BEARER = /^Bearer +([^\s,]+) *$/i;

declare module 'fastify' {
  interface FastifyRequest {
    /** Whoever the token proves; null where none was asked for. */
    principal: Principal | null;
  }
}

/** A hook that lets only requests with a good token pass, and notes whose they are. It runs before a body is read. */
export function authenticate(tokens: TokenVerifier): onRequestHookHandler {
  return (request, _reply, done) => {
    const token = BEARER.exec(request.headers.authorization ?? '')?.[1];
    if (token === undefined) return done(new AppError('UNAUTHORIZED'));
    const accept = (principal: Principal) => {
      request.principal = principal;
      done();
    };
    try {
      const proven = tokens.verify(token);
      if (proven instanceof Promise) proven.then(accept, done);
      else accept(proven);
    } catch (error) {
      done(error instanceof Error ? error : new Error('The token could not be judged'));
    }
  };
}

/** @returns the principal of an authenticated request. @throws {AppError} `UNAUTHORIZED` where no hook asked for one. */
export function principalOf(request: { readonly principal: Principal | null }): Principal {
  if (request.principal === null) throw new AppError('UNAUTHORIZED');
  return request.principal;
}
