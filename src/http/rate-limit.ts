import fastifyRateLimit from '@fastify/rate-limit';
import type { FastifyInstance, onRequestHookHandler } from 'fastify';
import { AppError } from '../core/errors.ts';
import { principalOf } from './authenticate.ts';

const WINDOW_MS = 60_000;
const MAX_USERS_TRACKED = 50_000;

/**
 * Rate limit: an onRequest hook that responds with 429 when a user exceeds `perMinute` requests per minute to this
 * process, to be added after authentication; no hook if `perMinute` is 0.
 */
export async function limitRate(app: FastifyInstance, perMinute: number): Promise<onRequestHookHandler[]> {
  if (perMinute === 0) return [];
  await app.register(fastifyRateLimit, {
    global: false,
    enableDraftSpec: true,
    max: perMinute,
    timeWindow: WINDOW_MS,
    cache: MAX_USERS_TRACKED,
    keyGenerator: (request) => principalOf(request).userId,
    errorResponseBuilder: () => new AppError('RATE_LIMITED'),
  });
  return [app.rateLimit()];
}
