import type { FastifyInstance, onRequestHookHandler } from 'fastify';
import { limitRate, shedLoad } from '../../http/load-shedding.ts';
import type { TaskService } from '../../tasks/task-service.ts';
import { mountRoutes } from './routes.ts';

export interface RestDoorOptions {
  readonly tasks: TaskService;
  /** onRequest hook that verifies the bearer token. */
  readonly authenticate: onRequestHookHandler;
  readonly rateLimitPerMinute: number;
}

/** Registers the REST API. Every route of its scope requires a token, also in the OpenAPI document. */
export async function mountRest(app: FastifyInstance, options: RestDoorOptions): Promise<void> {
  await app.register(async (scope) => {
    shedLoad(scope);
    scope.addHook('onRequest', options.authenticate);
    scope.addHook('onRoute', (route) => {
      route.schema = { ...route.schema, security: [{ bearerAuth: [] }] };
    });
    await limitRate(scope, options.rateLimitPerMinute);
    scope.addHook('onRequest', (_request, reply, done) => {
      void reply.header('cache-control', 'no-store');
      done();
    });
    mountRoutes(scope, options.tasks);
  });
}
