import { METHODS } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { AppError } from '../core/errors.ts';

/** Collects the methods of each path. Call before any route is registered. */
export function collectMethods(app: FastifyInstance): ReadonlyMap<string, ReadonlySet<string>> {
  const methods = new Map<string, Set<string>>();
  app.addHook('onRoute', ({ path, method }) => {
    if (path.includes('*')) return;
    const known = methods.get(path) ?? new Set<string>();
    for (const name of [method].flat()) known.add(name.toUpperCase());
    methods.set(path, known);
  });
  return methods;
}

/**
 * Responds to `OPTIONS` on the collected paths with 204, and to every other method with 405, both with `Allow`
 * (RFC 9110, 15.5.6). Call after all routes are registered.
 */
export function rejectOtherMethods(app: FastifyInstance, methods: ReadonlyMap<string, ReadonlySet<string>>): void {
  for (const method of METHODS) {
    if (!app.supportedMethods.includes(method)) app.addHttpMethod(method);
  }
  for (const [path, known] of [...methods]) {
    const allow = [...new Set([...known, 'OPTIONS'])].sort().join(', ');
    const url = path === '' ? '/' : path;
    app.route({
      url,
      method: 'OPTIONS',
      schema: { hide: true },
      handler: (_request, reply) => reply.code(204).header('allow', allow).send(),
    });
    app.route({
      url,
      method: METHODS.filter((method) => method !== 'OPTIONS' && !known.has(method)),
      schema: { hide: true },
      onRequest: (_request, reply, done) => {
        void reply.header('allow', allow);
        done(new AppError('METHOD_NOT_ALLOWED', { details: [{ field: 'method', message: `This path has ${allow}` }] }));
      },
      handler: () => undefined,
    });
  }
}
