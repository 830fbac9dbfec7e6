import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { AppError } from '../core/errors.ts';
import { errorResponses, jsonResponse, SERVICE_ERRORS } from './openapi.ts';

const Healthy = z.object({ status: z.literal('healthy') }).meta({ id: 'Healthy' });
const Ready = z.object({ status: z.literal('ready') }).meta({ id: 'Ready' });

/**
 * `GET /health` (liveness) and `GET /ready` (readiness).
 * @param isReady rejects while requests cannot be served; concurrent requests share one call.
 */
export function exposeHealth(app: FastifyInstance, isReady: () => Promise<void>): void {
  app.get('/health', {
    schema: {
      tags: ['Service'],
      summary: 'Liveness',
      description: 'Does not use the database.',
      operationId: 'health',
    },
    config: { responses: { 200: jsonResponse('The process is running.', Healthy), ...errorResponses(SERVICE_ERRORS) } },
    handler: () => ({ status: 'healthy' }) as const,
  });

  let checking: Promise<void> | null = null;
  const check = () => {
    checking ??= isReady().finally(() => {
      checking = null;
    });
    return checking;
  };
  app.get('/ready', {
    schema: {
      tags: ['Service'],
      summary: 'Readiness',
      description: 'Uses the database, once for concurrent requests.',
      operationId: 'ready',
    },
    config: {
      responses: {
        200: jsonResponse('The database is reachable and token keys are available.', Ready),
        ...errorResponses([...SERVICE_ERRORS, 'SERVICE_UNAVAILABLE']),
      },
    },
    handler: async () => {
      await check().catch((cause: unknown) => {
        throw new AppError('SERVICE_UNAVAILABLE', { cause });
      });
      return { status: 'ready' } as const;
    },
  });
}
