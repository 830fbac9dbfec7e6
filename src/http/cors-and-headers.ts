import type { FastifyInstance, onRequestHookHandler } from 'fastify';

/** Headers of every response (OWASP HTTP Headers Cheat Sheet; Fetch standard, 3.2.5 for `vary`). */
export const CONSTANT_HEADERS = {
  vary: 'Origin',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'strict-transport-security': 'max-age=31536000; includeSubDomains',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
};

const CORS_HEADERS = {
  'access-control-allow-credentials': 'true',
  'access-control-expose-headers':
    'Location, X-Request-Id, Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset',
};

const PREFLIGHT_HEADERS = {
  'access-control-allow-methods': 'GET, POST, PUT, PATCH, DELETE, OPTIONS',
  'access-control-allow-headers': 'Authorization, Content-Type',
  'access-control-max-age': '600',
  'content-length': '0',
};

/**
 * CORS (Fetch standard, 3.2): `origins` may read responses, with credentials, and their preflight requests are answered
 * on every path. Other origins get no CORS header.
 */
export function allowOrigins(app: FastifyInstance, origins: readonly string[]): void {
  const allowed = new Set(origins);
  app.addHook('onRequest', (request, reply, done) => {
    const { origin } = request.headers;
    if (origin === undefined || !allowed.has(origin)) return done();
    void reply.header('access-control-allow-origin', origin).headers(CORS_HEADERS);
    if (request.method !== 'OPTIONS') return done();
    void reply.code(204).headers(PREFLIGHT_HEADERS).send();
  });
}

/** onRequest hook: forbids caches to store the response (RFC 9111, 5.2.2.5). */
export const noStore: onRequestHookHandler = (_request, reply, done) => {
  void reply.header('cache-control', 'no-store');
  done();
};
