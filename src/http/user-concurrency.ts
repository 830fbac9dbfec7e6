import type { FastifyInstance, onRequestHookHandler } from 'fastify';
import { AppError } from '../core/errors.ts';
import type { UserId } from '../core/user.ts';
import { principalOf } from './authenticate.ts';
import type { Gauge } from './metrics.ts';
import { onceClosed } from './open-responses.ts';

const MAX_IN_PROGRESS = 8;
const MAX_WAITING = 200;
const MAX_WAIT_MS = 10_000;
const RETRY_AFTER_S = 1;
/** Of users without requests, which are kept because a map that changes all the time is costly to collect. */
const MAX_IDLE_USERS = 10_000;

declare module 'fastify' {
  interface FastifyRequest {
    /** Its place among the requests of its user in progress; null while it has none. */
    place: Place | null;
  }
}

/** The requests of one user. */
interface UserRequests {
  inProgress: number;
  readonly waiting: (() => void)[];
}

/** Taken by one request until its answer is known and its response has closed, whichever comes last. */
class Place {
  readonly #release: () => void;
  #isAnswered = false;
  #isClosed = false;

  constructor(release: () => void) {
    this.#release = release;
  }

  answered(): void {
    if (this.#isAnswered) return;
    this.#isAnswered = true;
    if (this.#isClosed) this.#release();
  }

  closed(): void {
    this.#isClosed = true;
    if (this.#isAnswered) this.#release();
  }
}

interface UserConcurrency {
  /** To be added after authentication, to every route but those that answer for as long as the client likes. */
  readonly onRequest: onRequestHookHandler;
  readonly gauges: readonly Gauge[];
}

/**
 * Concurrency limit: of each user at most 8 requests are in progress, from here until the handler has answered (also if
 * the client has gone, because the database works on) and the response has closed. Up to 200 more wait, in order; then
 * 429. A request that has waited for 10 s gets 503, and one whose client disconnects is dropped.
 */
export function limitUserConcurrency(app: FastifyInstance): UserConcurrency {
  const users = new Map<UserId, UserRequests>();
  const total = { inProgress: 0, waiting: 0 };

  const release = (user: UserRequests) => {
    const next = user.waiting.shift();
    if (next !== undefined) return next();
    total.inProgress -= 1;
    user.inProgress -= 1;
  };

  let sweepAt = MAX_IDLE_USERS;
  const removeIdle = () => {
    for (const [userId, { inProgress }] of users) if (inProgress === 0) users.delete(userId);
    sweepAt = users.size + MAX_IDLE_USERS;
  };

  app.decorateRequest('place', null);
  app.addHook('onSend', (request, _reply, payload, done) => {
    request.place?.answered();
    done(null, payload);
  });

  const onRequest: onRequestHookHandler = (request, reply, done) => {
    const { userId } = principalOf(request);
    let user = users.get(userId);
    if (user === undefined) {
      if (users.size >= sweepAt) removeIdle();
      user = { inProgress: 0, waiting: [] };
      users.set(userId, user);
    }
    const requests = user;
    const start = () => {
      const place = new Place(() => release(requests));
      request.place = place;
      onceClosed(request, () => place.closed());
      done();
    };
    if (requests.inProgress < MAX_IN_PROGRESS) {
      total.inProgress += 1;
      requests.inProgress += 1;
      return start();
    }
    if (requests.waiting.length >= MAX_WAITING) {
      void reply.header('retry-after', RETRY_AFTER_S);
      return done(new AppError('RATE_LIMITED', { reason: 'concurrency' }));
    }
    let isWaiting = true;
    const leave = () => {
      if (!isWaiting) return;
      isWaiting = false;
      total.waiting -= 1;
      clearTimeout(timer);
      const index = requests.waiting.indexOf(begin);
      if (index !== -1) requests.waiting.splice(index, 1);
    };
    const begin = () => {
      leave();
      start();
    };
    const timer = setTimeout(() => {
      leave();
      done(new AppError('SERVICE_UNAVAILABLE', { cause: new Error('The requests before it took too long') }));
    }, MAX_WAIT_MS);
    total.waiting += 1;
    requests.waiting.push(begin);
    onceClosed(request, leave);
  };

  return {
    onRequest,
    gauges: [
      {
        name: 'http_user_requests_in_progress',
        help: 'Requests for tasks that are being answered.',
        value: () => total.inProgress,
      },
      {
        name: 'http_user_requests_waiting',
        help: 'Requests that wait because 8 of their user are in progress.',
        value: () => total.waiting,
      },
    ],
  };
}
