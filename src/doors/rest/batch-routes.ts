import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Batch, BatchResults, MAX_BATCH_BYTES } from '../../batch/batch.ts';
import type { BatchService } from '../../batch/batch-service.ts';
import { AppError } from '../../core/errors.ts';
import { principalOf } from '../../http/authenticate.ts';
import { errorReply, JSON_TYPE } from '../../http/error-reply.ts';
import { retryOf } from '../../http/idempotency-key.ts';
import { jsonResponse } from '../../http/openapi.ts';
import type { Outcome } from '../../writes/outcome.ts';
import type { Failures } from './failures.ts';
import { KEY, LIMIT, operation, REPLAYED, responses, STALE, WRITE, type ZodRequestTypes } from './routes.ts';

/** @returns JSON of the schema `BatchResult`: what the route for this operation would respond with. */
function resultJson(result: Outcome | AppError, failures: Failures): string {
  if (result instanceof AppError) {
    const { status, body } = errorReply(result);
    return `{"status":${status},${body.slice(1)}`;
  }
  const { kind, id, json } = result;
  if (kind === 'deleted') return JSON.stringify({ status: 200, id });
  if ((kind !== 'created' && kind !== 'changed') || json === null) return resultJson(failures(result), failures);
  return `{"status":${kind === 'created' ? 201 : 200},"task":${json}}`;
}

/** The batch: several operations in one request and one transaction. */
export function mountBatchRoute(scope: FastifyInstance, batches: BatchService, failures: Failures): void {
  scope.withTypeProvider<ZodRequestTypes>().post('/api/batch', {
    bodyLimit: MAX_BATCH_BYTES,
    schema: {
      ...operation(
        'batch',
        'Execute several operations',
        'At most 100, in order and in one transaction; one that fails leaves the others alone, unless `atomic`.',
      ),
      body: Batch,
    },
    config: responses(
      KEY,
      { 200: jsonResponse('What became of each operation.', BatchResults, REPLAYED) },
      ['INVALID_REQUEST', new AppError('VALIDATION_ERROR', { index: 0 })],
      [new AppError('NOT_FOUND', { index: 0 }), new AppError('CONFLICT', { index: 0 }), ...LIMIT],
      [...STALE, ...WRITE],
    ),
    handler: async (request: Pick<FastifyRequest, keyof FastifyRequest> & { readonly body: Batch }, reply) => {
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
