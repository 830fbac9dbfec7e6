import type { FastifyRequest } from 'fastify';

const names = new Map<string, string>();

/** The route's path template as in the OpenAPI document, or `unknown` if no route matched; never the client's path. */
export function routeName(request: FastifyRequest): string {
  const { url } = request.routeOptions;
  if (url === undefined) return 'unknown';
  const known = names.get(url);
  if (known !== undefined) return known;
  const name = url.replace(/:(\w+)/g, '{$1}');
  names.set(url, name);
  return name;
}
