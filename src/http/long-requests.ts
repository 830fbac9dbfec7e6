import type { FastifyInstance, FastifyRequest, onRequestHookHandler } from 'fastify';
import { AppError } from '../core/errors.ts';
import type { UserId } from '../core/user.ts';
import { principalOf } from './authenticate.ts';
import type { Gauge } from './metrics.ts';
import { onceClosed } from './open-responses.ts';

const MAX_PER_USER = 20;
const RETRY_AFTER_S = 10;

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Whether a request with this query waits for something to happen; it is then none of those in progress. */
    readonly isLong?: (query: unknown) => boolean;
  }
}

interface LongRequests {
  readonly onRequest: onRequestHookHandler;
  readonly gauges: readonly Gauge[];
}

/**
 * Of each user at most 20 streams and requests that wait are open, from here until the response has closed; then 429.
 * @param limitOthers the onRequest hook of all other requests.
 */
export function limitLongRequests(limitOthers: onRequestHookHandler): LongRequests {
  const open = new Map<UserId, number>();
  let total = 0;

  const isLong = ({ routeOptions, query }: FastifyRequest) => routeOptions.config.isLong?.(query) ?? false;

  const onRequest: onRequestHookHandler = function (this: FastifyInstance, request, reply, done) {
    if (!isLong(request)) return limitOthers.call(this, request, reply, done);
    const { userId } = principalOf(request);
    const own = open.get(userId) ?? 0;
    if (own >= MAX_PER_USER) {
      void reply.header('retry-after', RETRY_AFTER_S);
      return done(new AppError('RATE_LIMITED', { reason: 'streams' }));
    }
    open.set(userId, own + 1);
    total += 1;
    onceClosed(request, () => {
      total -= 1;
      const left = (open.get(userId) ?? 0) - 1;
      if (left > 0) open.set(userId, left);
      else open.delete(userId);
    });
    done();
  };

  return {
    onRequest,
    gauges: [
      {
        name: 'http_long_requests',
        help: 'Open event streams and requests that wait for changes.',
        value: () => total,
      },
    ],
  };
}
