import fastifyCors from '@fastify/cors';
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

const EXPOSED_HEADERS = [
  'Content-Disposition',
  'ETag',
  'Location',
  'Retry-After',
  'X-Request-Id',
  'RateLimit-Limit',
  'RateLimit-Remaining',
  'RateLimit-Reset',
  'Idempotency-Replayed',
  'Link',
];

const ALLOWED_HEADERS = [
  'Authorization',
  'Content-Type',
  'If-Match',
  'If-None-Match',
  'Idempotency-Key',
  'Last-Event-ID',
];

/**
 * CORS headers for responses that no plugin sees.
 * @param origin of the request; `null` if it is not known, which may then be the only one of `origins`.
 */
export function corsHeaders(origins: readonly string[], origin: string | null): Readonly<Record<string, string>> {
  const [only, ...others] = origins;
  const allowed = origin ?? (others.length === 0 ? only : undefined);
  if (allowed === undefined || !origins.includes(allowed)) return {};
  return {
    'access-control-allow-origin': allowed,
    'access-control-allow-credentials': 'true',
    'access-control-expose-headers': EXPOSED_HEADERS.join(', '),
  };
}

/** CORS (Fetch standard, 3.2): `origins` may read responses, with credentials. Other origins get no CORS header. */
export async function allowOrigins(app: FastifyInstance, origins: readonly string[]): Promise<void> {
  const allowed = new Set(origins);
  await app.register(fastifyCors, {
    origin: (origin, decide) => decide(null, origin !== undefined && allowed.has(origin)),
    credentials: true,
    methods: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'],
    allowedHeaders: ALLOWED_HEADERS,
    exposedHeaders: EXPOSED_HEADERS,
    maxAge: 600,
    strictPreflight: false,
  });
}

/** onRequest hook: forbids caches to store the response (RFC 9111, 5.2.2.5). */
export const noStore: onRequestHookHandler = (_request, reply, done) => {
  void reply.header('cache-control', 'no-store');
  done();
};
