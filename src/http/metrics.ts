import type { FastifyInstance } from 'fastify';
import { collectDefaultMetrics, Histogram, Registry } from 'prom-client';
import { errorResponses, SERVICE_ERRORS, textResponse } from './openapi.ts';
import { routeName } from './route-name.ts';

const BUCKETS_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** `GET /metrics`: request durations by method, route and status, and Node.js metrics, in Prometheus text format. */
export function exposeMetrics(app: FastifyInstance): void {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const durations = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'Time from receiving the request to the end of the response, in seconds.',
    labelNames: ['method', 'route', 'status'],
    buckets: BUCKETS_S,
    registers: [registry],
  });
  app.addHook('onResponse', (request, reply, done) => {
    durations.observe(
      { method: request.method, route: routeName(request), status: reply.statusCode },
      reply.elapsedTime / 1000,
    );
    done();
  });
  app.clientErrors.on('response', ({ status }) => {
    durations.observe({ method: 'unknown', route: 'unknown', status }, 0);
  });
  const schema = {
    tags: ['Service'],
    summary: 'Prometheus metrics',
    description: 'Request durations by method, route and status, and metrics of the process.',
    operationId: 'metrics',
  };
  const responses = { 200: textResponse('Prometheus text format.'), ...errorResponses(SERVICE_ERRORS) };
  app.get('/metrics', { schema, config: { responses } }, async (_request, reply) =>
    reply.type(registry.contentType).send(await registry.metrics()),
  );
}
