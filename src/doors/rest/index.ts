import type { FastifyInstance, onRequestHookHandler } from 'fastify';
import { checkQuery } from '../../http/query.ts';
import type { TaskService } from '../../tasks/task-service.ts';
import { failuresWith } from './failures.ts';
import { mountRoutes } from './routes.ts';

export interface RestDoorOptions {
  readonly tasks: TaskService;
  readonly maxTasksPerUser: number;
  /** Run in this order before every route of the API; one of them authenticates. */
  readonly onRequest: readonly onRequestHookHandler[];
}

/** Registers the REST API. Every route requires a token, also in the OpenAPI document. */
export async function mountRest(
  app: FastifyInstance,
  { tasks, maxTasksPerUser, onRequest }: RestDoorOptions,
): Promise<void> {
  await app.register(async (scope) => {
    for (const hook of [...onRequest, checkQuery]) scope.addHook('onRequest', hook);
    scope.addHook('onRoute', (route) => {
      route.schema = { ...route.schema, security: [{ bearerAuth: [] }] };
    });
    mountRoutes(scope, tasks, failuresWith(maxTasksPerUser));
  });
}
