import type { FastifyInstance, onRequestHookHandler } from 'fastify';
import { AppError } from '../core/errors.ts';

const SAMPLE_INTERVAL_MS = 100;
/** How long to keep shedding after a stall, while its backlog is read. */
const COOL_DOWN_MS = 250;

/**
 * Load shedding: an onRequest hook that responds with 503 while the event loop is delayed by more than `maxDelayMs`
 * (`Infinity` disables it), and for 250 ms after.
 */
export function shedLoad(app: FastifyInstance, maxDelayMs: number): onRequestHookHandler {
  let sampledAt = 0;
  let shedUntil = 0;
  const isDelayed = (now: number) => now - sampledAt > maxDelayMs;
  const sampleEventLoop = () => {
    const now = performance.now();
    if (isDelayed(now)) shedUntil = now + COOL_DOWN_MS;
    sampledAt = now;
  };
  let timer: NodeJS.Timeout | undefined;
  app.addHook('onReady', (done) => {
    sampledAt = performance.now();
    timer = setInterval(sampleEventLoop, SAMPLE_INTERVAL_MS).unref();
    done();
  });
  app.addHook('onClose', (_app, done) => {
    clearInterval(timer);
    done();
  });
  return (_request, _reply, done) => {
    const now = performance.now();
    if (now >= shedUntil && !isDelayed(now)) return done();
    done(new AppError('SERVICE_UNAVAILABLE', { cause: new Error('The event loop is delayed') }));
  };
}
