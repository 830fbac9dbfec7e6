import type { FastifyInstance } from 'fastify';
import { collectDefaultMetrics, Histogram, Gauge as PrometheusGauge, Registry } from 'prom-client';
import { errorResponses, SERVICE_ERRORS, textResponse } from './openapi.ts';
import { routeName } from './route-name.ts';

const BUCKETS_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** The methods of routes. All others share one label value: a client could create the series of 35 methods. */
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

/** Gauges with the suffix of counters (promtool check metrics); each is the sum of the gauge without it. */
const MISNAMED = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total'];

/** A value that is read at each scrape. */
export interface Gauge {
  readonly name: string;
  readonly help: string;
  readonly value: () => number;
}

/** `GET /metrics`: request durations by method, route and status, `gauges`, and Node.js metrics, in Prometheus text format. */
export function exposeMetrics(app: FastifyInstance, gauges: readonly Gauge[]): void {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  for (const name of MISNAMED) registry.removeSingleMetric(name);
  for (const { name, help, value } of gauges) {
    const collect = function (this: PrometheusGauge): void {
      this.set(value());
    };
    new PrometheusGauge({ name, help, registers: [registry], collect });
  }
  const durations = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'Time from receiving the request to the end of the response, in seconds.',
    labelNames: ['method', 'route', 'status'],
    buckets: BUCKETS_S,
    registers: [registry],
  });
  app.addHook('onResponse', (request, reply, done) => {
    const method = METHODS.has(request.method) ? request.method : 'other';
    durations.observe({ method, route: routeName(request), status: reply.statusCode }, reply.elapsedTime / 1000);
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
