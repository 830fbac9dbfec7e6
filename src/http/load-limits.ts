import fastifyRateLimit from '@fastify/rate-limit';
import fastifyUnderPressure from '@fastify/under-pressure';
import type { FastifyInstance } from 'fastify';
import { AppError } from '../core/errors.ts';
import { principalOf } from './authenticate.ts';

const MAX_EVENT_LOOP_DELAY_MS = 1_000;
const RETRY_AFTER_S = 1;
const MOST_USERS_COUNTED = 50_000;

class Overloaded extends AppError {
  constructor() {
    super('SERVICE_UNAVAILABLE', { cause: new Error('The event loop is behind') });
  }
}

/** Answers 503 on the routes of `scope` while the event loop is more than a second behind. */
export async function shedLoad(scope: FastifyInstance): Promise<void> {
  await scope.register(fastifyUnderPressure, {
    maxEventLoopDelay: MAX_EVENT_LOOP_DELAY_MS,
    retryAfter: RETRY_AFTER_S,
    customError: Overloaded,
  });
}

/**
 * Answers 429 on the routes of `scope` to a user with more than `perMinute` requests in a minute; counted in this process.
 * To be called after the hook that authenticates.
 */
export async function limitRate(scope: FastifyInstance, perMinute: number): Promise<void> {
  if (perMinute === 0) return;
  await scope.register(fastifyRateLimit, {
    global: false,
    enableDraftSpec: true,
    max: perMinute,
    timeWindow: 60_000,
    cache: MOST_USERS_COUNTED,
    keyGenerator: (request) => principalOf(request).userId,
    errorResponseBuilder: () => new AppError('RATE_LIMITED'),
  });
  scope.addHook('onRequest', scope.rateLimit());
}
