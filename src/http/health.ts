import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { TokenVerifier } from '../auth/token-verifier.ts';
import { AppError } from '../core/errors.ts';
import type { Database } from '../database/database.ts';
import { errorResponses, jsonResponse, SERVICE_ERRORS } from './openapi.ts';

const Healthy = z.object({ status: z.literal('healthy') }).meta({ id: 'Healthy' });
const Ready = z.object({ status: z.literal('ready') }).meta({ id: 'Ready' });

/** `GET /health` (liveness) and `GET /ready` (readiness: the database is reachable and token keys are available). */
export function exposeHealth(app: FastifyInstance, database: Database, tokens: TokenVerifier): void {
  app.get(
    '/health',
    {
      schema: {
        tags: ['Service'],
        summary: 'Liveness',
        operationId: 'health',
      },
      config: {
        responses: { 200: jsonResponse('The process is running.', Healthy), ...errorResponses(SERVICE_ERRORS) },
      },
    },
    () => ({ status: 'healthy' }) as const,
  );

  let pinging: Promise<void> | null = null;
  /** Concurrent requests share one ping. */
  const ping = () => {
    pinging ??= database.ping().finally(() => {
      pinging = null;
    });
    return pinging;
  };
  app.get(
    '/ready',
    {
      schema: {
        tags: ['Service'],
        summary: 'Readiness',
        operationId: 'ready',
      },
      config: {
        responses: {
          200: jsonResponse('The database is reachable and token keys are available.', Ready),
          ...errorResponses([...SERVICE_ERRORS, 'SERVICE_UNAVAILABLE']),
        },
      },
    },
    async () => {
      if (!tokens.isReady())
        throw new AppError('SERVICE_UNAVAILABLE', { cause: new Error('No key set has been fetched') });
      await ping().catch((cause: unknown) => {
        throw new AppError('SERVICE_UNAVAILABLE', { cause });
      });
      return { status: 'ready' } as const;
    },
  );
}
