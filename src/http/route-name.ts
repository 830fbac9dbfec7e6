import type { FastifyRequest } from 'fastify';

const names = new Map<string | undefined, string>([
  [undefined, 'unknown'],
  ['*', 'unknown'],
]);

/** The route's path template as in the OpenAPI document, or `unknown` if no route matched; never the client's path. */
export function routeName(request: FastifyRequest): string {
  const { url } = request.routeOptions;
  const known = names.get(url);
  if (known !== undefined || url === undefined) return known ?? 'unknown';
  const name = url.replace(/:(\w+)/g, '{$1}');
  names.set(url, name);
  return name;
}
