import type { FastifyRequest } from 'fastify';

/** The route's path as the OpenAPI document writes it, `unknown` where no route matched: never what the client wrote. */
export function routeName(request: FastifyRequest): string {
  const { url } = request.routeOptions;
  return url === undefined || url === '*' ? 'unknown' : url.replace(/:(\w+)/g, '{$1}');
}
