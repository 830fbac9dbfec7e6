import fastifyCors from '@fastify/cors';
import type { FastifyInstance } from 'fastify';

/** Fixed, so that they cost a request next to nothing (OWASP HTTP Headers Cheat Sheet). */
const SAFE = {
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'strict-transport-security': 'max-age=31536000; includeSubDomains',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
};

/**
 * What browsers are told: which front ends may read the answers (Fetch standard, CORS protocol), and to load, frame and
 * sniff nothing. An origin that is not listed gets no CORS header at all.
 */
export async function protectBrowsers(app: FastifyInstance, frontendOrigins: readonly string[]): Promise<void> {
  const allowed = new Set(frontendOrigins);
  app.addHook('onRequest', (_request, reply, done) => {
    void reply.headers(SAFE);
    done();
  });
  await app.register(fastifyCors, {
    origin: (origin, decide) => decide(null, origin !== undefined && allowed.has(origin)),
    credentials: true,
    methods: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'],
    allowedHeaders: ['Authorization', 'Content-Type'],
    exposedHeaders: [
      'Location',
      'X-Request-Id',
      'Retry-After',
      'RateLimit-Limit',
      'RateLimit-Remaining',
      'RateLimit-Reset',
    ],
    maxAge: 600,
    strictPreflight: false,
  });
}
