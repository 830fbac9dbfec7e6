import fastifyRateLimit from '@fastify/rate-limit';
import type { FastifyInstance } from 'fastify';
import { AppError } from '../core/errors.ts';
import { principalOf } from './authenticate.ts';

const MAX_EVENT_LOOP_DELAY_MS = 1_000;
/** How often the event loop shows that it turns. */
const BEAT_MS = 100;
/** Time to read what came in during a stall. */
const AFTERMATH_MS = 250;
const MOST_USERS_COUNTED = 50_000;

/**
 * Answers 503 on the routes of `scope` while the event loop is more than a second behind, and for a quarter of a second
 * after, which is when what piled up is read.
 */
export function shedLoad(scope: FastifyInstance): void {
  let lastBeat = 0;
  let shedUntil = 0;
  const isBehind = (now: number) => now - lastBeat > MAX_EVENT_LOOP_DELAY_MS;
  const beat = () => {
    const now = performance.now();
    if (isBehind(now)) shedUntil = now + AFTERMATH_MS;
    lastBeat = now;
  };
  let beating: NodeJS.Timeout | undefined;
  scope.addHook('onReady', (done) => {
    lastBeat = performance.now();
    beating = setInterval(beat, BEAT_MS).unref();
    done();
  });
  scope.addHook('onClose', (_scope, done) => {
    clearInterval(beating);
    done();
  });
  scope.addHook('onRequest', (_request, _reply, done) => {
    const now = performance.now();
    if (now >= shedUntil && !isBehind(now)) return done();
    done(new AppError('SERVICE_UNAVAILABLE', { cause: new Error('The event loop is behind') }));
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
