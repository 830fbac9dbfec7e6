import type { FastifyInstance } from 'fastify';
import type { ByteBudget } from '../core/byte-budget.ts';
import { AppError } from '../core/errors.ts';
import type { Gauge } from './metrics.ts';
import { onceClosed } from './open-responses.ts';

export interface UnsentAnswerLimits {
  /** Of all answers that the kernel has not yet taken. */
  readonly budget: ByteBudget;
  /** From the start of an answer until the kernel has taken the whole of it, in milliseconds. */
  readonly maxMs: number;
}

/** An answer of up to this size is always sent, and not watched: the kernel takes it at once. */
const SMALL_BYTES = 65_536;
const CHECK_INTERVAL_MS = 1_000;

/**
 * Limits what clients do not read: an answer to GET that would exceed `budget` becomes 503 (not one to a write, which
 * has happened), and a connection that has not taken an answer after `maxMs` is closed, however steadily it reads.
 * @returns the gauge of the bytes.
 */
export function limitUnsentAnswers(app: FastifyInstance, { budget, maxMs }: UnsentAnswerLimits): Gauge {
  const unsent = new Set<{ readonly since: number; readonly close: () => void }>();

  app.addHook('onSend', (request, _reply, payload: unknown, done) => {
    // A large string is sent as bytes, or node:http would copy it together with the headers first.
    const isLarge = typeof payload === 'string' && payload.length > SMALL_BYTES;
    const body = isLarge ? Buffer.from(payload) : payload;
    const bytes = Buffer.isBuffer(body) ? body.length : 0;
    if (bytes <= SMALL_BYTES) return done(null, body);
    if (!budget.hasRoomFor(bytes) && request.method === 'GET') {
      return done(new AppError('SERVICE_UNAVAILABLE', { cause: new Error('Too many answers have not been read') }));
    }
    const answer = { since: performance.now(), close: () => request.raw.socket.destroy() };
    budget.take(bytes);
    unsent.add(answer);
    onceClosed(request, () => {
      budget.release(bytes);
      unsent.delete(answer);
    });
    done(null, body);
  });

  const closeLate = () => {
    const latest = performance.now() - maxMs;
    for (const { since, close } of unsent) {
      if (since > latest) break; // in the order of their start
      close();
    }
  };
  let timer: NodeJS.Timeout | undefined;
  app.addHook('onReady', (done) => {
    timer = setInterval(closeLate, Math.min(CHECK_INTERVAL_MS, maxMs)).unref();
    done();
  });
  app.addHook('onClose', (_app, done) => {
    clearInterval(timer);
    done();
  });

  return {
    name: 'http_unsent_response_bytes',
    help: 'Bytes of responses that the kernel has not yet taken.',
    value: () => budget.used,
  };
}
