import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { Batch, BatchBody, MAX_BATCH_BYTES, MAX_OPERATIONS } from '../../batch/batch.ts';
import type { BatchService } from '../../batch/batch-service.ts';
import { AppError } from '../../core/errors.ts';
import { principalOf } from '../../http/authenticate.ts';
import { errorReply, JSON_TYPE } from '../../http/error-reply.ts';
import { retryOf } from '../../http/idempotency-key.ts';
import { ERROR_FIELDS, jsonResponse } from '../../http/openapi.ts';
import { List } from '../../lists/list.ts';
import { EXAMPLE } from '../../tasks/example.ts';
import { Task } from '../../tasks/task.ts';
import type { Outcome } from '../../writes/outcome.ts';
import {
  invalidField,
  KEY,
  LIMIT,
  operation,
  REPLAYED,
  responses,
  STALE,
  WRITE,
  type ZodRequestTypes,
} from './documents.ts';
import type { Failures } from './failures.ts';

const BatchResult = z
  .object({
    status: z
      .int()
      .min(200)
      .max(599)
      .meta({ description: 'As the status of the route for this operation.', examples: [201] }),
    id: z
      .string()
      .optional()
      .meta({ format: 'uuid', description: 'Of a deleted task or list.', examples: [EXAMPLE.id] }),
    task: Task.optional(),
    list: List.optional(),
    current: z.union([Task, List]).optional(),
    ...z.object(ERROR_FIELDS).partial().shape,
  })
  .meta({
    id: 'BatchResult',
    description:
      'What became of one operation: the `task` or `list` as it is now, the `id` of a deleted one, or an error.',
    examples: [
      { status: 201, task: EXAMPLE },
      { status: 404, error: 'Task not found', code: 'NOT_FOUND' },
    ],
  });

const BatchResults = z
  .object({
    results: z.array(BatchResult).max(MAX_OPERATIONS).meta({ description: 'In the order of the operations.' }),
    version: z
      .int()
      .nonnegative()
      .meta({ description: "The user's counter after the batch.", examples: [EXAMPLE.version] }),
  })
  .meta({
    id: 'BatchResults',
    description: 'What became of the operations of a batch.',
    examples: [{ results: [{ status: 201, task: EXAMPLE }], version: EXAMPLE.version }],
  });

/** @returns JSON of the schema `BatchResult`: what the route for this operation would respond with. */
function resultJson(result: Outcome | AppError, failures: Failures): string {
  if (result instanceof AppError) {
    const { status, body } = errorReply(result);
    return `{"status":${status},${body.slice(1)}`;
  }
  const { type, kind, id, json } = result;
  if (kind === 'deleted') return JSON.stringify({ status: 200, id });
  if ((kind !== 'created' && kind !== 'changed') || json === null) return resultJson(failures(result), failures);
  return `{"status":${kind === 'created' ? 201 : 200},"${type}":${json}}`;
}

/** Of an atomic batch. */
const FAILED = { index: 0 };

/** The route of batches: several operations in one request and one transaction. */
export function mountBatchRoutes(scope: FastifyInstance, batches: BatchService, failures: Failures): void {
  const app = scope.withTypeProvider<ZodRequestTypes>();

  app.post('/api/batch', {
    bodyLimit: MAX_BATCH_BYTES,
    schema: {
      ...operation(
        'batch',
        'Execute several operations',
        'At most 100, in order and in one transaction; one that fails leaves the others alone, unless `atomic`.',
      ),
      body: BatchBody,
    },
    config: {
      ...responses(
        KEY,
        { 200: jsonResponse('What became of each operation.', BatchResults, REPLAYED) },
        [
          'INVALID_REQUEST',
          new AppError('VALIDATION_ERROR', { ...invalidField('title', 'Title cannot be empty'), ...FAILED }),
        ],
        [new AppError('NOT_FOUND', FAILED), new AppError('CONFLICT', FAILED)],
        [
          new AppError('LIMIT_REACHED', { ...LIMIT, ...FAILED }),
          new AppError('PRECONDITION_FAILED', { ...STALE, ...FAILED }),
        ],
        WRITE,
      ),
      requestBody: Batch,
    },
    handler: async (request: Pick<FastifyRequest, keyof FastifyRequest> & { readonly body: BatchBody }, reply) => {
      const result = await batches.execute(principalOf(request), request.body, retryOf(request));
      if (result.isReplayed) void reply.header('idempotency-replayed', 'true');
      if (result.kind === 'undone') {
        const { version } = result.outcome;
        if (version !== null) void reply.header('etag', `"${version}"`);
        throw failures(result.outcome, result.index);
      }
      const results = result.results.map((one) => resultJson(one, failures));
      return reply.type(JSON_TYPE).send(`{"results":[${results.join(',')}],"version":${result.version}}`);
    },
  });
}
