import type { FastifyInstance, onRequestHookHandler } from 'fastify';
import type { BatchService } from '../../batch/batch-service.ts';
import type { ChangeFeed } from '../../changes/feed.ts';
import type { EraseService } from '../../exchange/erase-service.ts';
import type { ExportService } from '../../exchange/export-service.ts';
import type { ImportService } from '../../exchange/import-service.ts';
import type { EventStreams } from '../../http/event-stream.ts';
import { checkQuery } from '../../http/query.ts';
import { MAX_LISTS } from '../../lists/list.ts';
import type { ListService } from '../../lists/list-service.ts';
import type { TaskService } from '../../tasks/task-service.ts';
import { mountBatchRoutes } from './batch-routes.ts';
import { mountChangeRoutes } from './change-routes.ts';
import { mountExchangeRoutes } from './exchange-routes.ts';
import { failuresWith } from './failures.ts';
import { mountListRoutes } from './list-routes.ts';
import { mountTaskRoutes } from './task-routes.ts';

export interface RestDoorOptions {
  readonly tasks: TaskService;
  readonly lists: ListService;
  readonly batches: BatchService;
  readonly changes: ChangeFeed;
  readonly streams: EventStreams;
  readonly exchange: {
    readonly exports: ExportService;
    readonly imports: ImportService;
    readonly erasure: EraseService;
  };
  readonly maxTasksPerUser: number;
  /** Run in this order before every route of the API; one of them authenticates. */
  readonly onRequest: readonly onRequestHookHandler[];
}

/** Registers the REST API. Every route requires a token, also in the OpenAPI document. */
export async function mountRest(
  app: FastifyInstance,
  { tasks, lists, batches, changes, streams, exchange, maxTasksPerUser, onRequest }: RestDoorOptions,
): Promise<void> {
  await app.register(async (scope) => {
    for (const hook of [...onRequest, checkQuery]) scope.addHook('onRequest', hook);
    scope.addHook('onRoute', (route) => {
      route.schema = { ...route.schema, security: [{ bearerAuth: [] }] };
    });
    const failures = failuresWith({ task: maxTasksPerUser, list: MAX_LISTS });
    mountTaskRoutes(scope, tasks, failures);
    mountListRoutes(scope, lists, failures);
    mountBatchRoutes(scope, batches, failures);
    mountChangeRoutes(scope, changes, streams);
    await mountExchangeRoutes(scope, exchange, streams);
  });
}
