import fastifySwagger from '@fastify/swagger';
import fastifySwaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';
import type { OpenAPIV3, OpenAPIV3_1 } from 'openapi-types';
import { z } from 'zod';
import { AppError, ERROR_CODES, type ErrorCode } from '../core/errors.ts';
import { VERSION } from '../core/version.ts';
import { errorReply, JSON_TYPE } from './error-reply.ts';

type JsonSchema = Readonly<Record<string, unknown>>;

type DocumentedContent = Readonly<
  Record<string, { readonly schema: JsonSchema; readonly examples?: Readonly<Record<string, { value: unknown }>> }>
>;

/** A response in the OpenAPI document (OpenAPI 3.1, Response Object); header descriptions are part of their schema. */
export interface DocumentedResponse {
  readonly description: string;
  readonly headers: Readonly<Record<string, JsonSchema>>;
  readonly content?: Readonly<Record<string, { readonly schema: JsonSchema; readonly examples?: object }>>;
  /** Of a response without a body; @fastify/swagger omits `content` then. */
  readonly type?: 'null';
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The documented responses of the route, by status. */
    readonly responses?: Readonly<Record<string, DocumentedResponse>>;
    /** The request headers that the route reads itself, for the document alone. */
    readonly requestHeaders?: z.ZodObject;
    /** The body in the document, where the route checks parts of it itself. */
    readonly requestBody?: z.ZodType;
    /** The body in the document by media type, where the route takes others than JSON. */
    readonly requestContent?: DocumentedContent;
  }
}

const FieldError = z
  .object({ field: z.string(), message: z.string() })
  .meta({ id: 'FieldError', description: 'An invalid field of a request.' });

/** The fields of every error. */
export const ERROR_FIELDS = {
  error: z.string().meta({ description: 'Human-readable message.', examples: ['Task not found'] }),
  code: z
    .enum(ERROR_CODES)
    .meta({ id: 'ErrorCode', description: 'Machine-readable error code.', examples: ['NOT_FOUND'] }),
  details: z.array(FieldError).optional().meta({ description: 'One entry for each invalid field.' }),
};

const ErrorBody = z
  .object({
    ...ERROR_FIELDS,
    current: z.unknown().optional().meta({ type: 'object', description: 'Of a 412: what is there now.' }),
    index: z.int().nonnegative().optional().meta({ description: 'Of a batch: the operation that failed.' }),
  })
  .meta({ id: 'Error', description: 'Body of every error response.' });

const ERROR_DESCRIPTIONS: Readonly<Record<number, string>> = {
  400: 'The request or one of its fields is invalid.',
  401: 'Missing, invalid or expired token.',
  404: 'Not found, or owned by another user.',
  409: 'The user has as many as they may, or a deleted one has the id.',
  410: 'The cursor is no longer good: start again without one.',
  412: 'It has another version than expected: `current` is its present state.',
  413: 'The request body exceeds 64 KiB; 256 KiB for a batch, 64 MiB for an import.',
  422: 'The idempotency key was used for another request.',
  429: 'Rate limit of the user exceeded, or more than 200 of their requests are waiting, or 20 streams are open.',
  431: 'The request headers exceed 16 KiB.',
  500: 'Database error or internal error.',
  503: 'Overloaded, or database unavailable; retry after the given time.',
};

const seconds = { type: 'integer', minimum: 0 };
const retryAfter = { 'Retry-After': { ...seconds, description: 'Seconds to wait.' } };
const ERROR_HEADERS: Readonly<Record<number, DocumentedResponse['headers']>> = {
  401: { 'WWW-Authenticate': { type: 'string', description: 'RFC 6750' } },
  412: { ETag: { type: 'string', description: 'The present version, in double quotes.' } },
  429: { ...retryAfter, 'RateLimit-Limit': seconds, 'RateLimit-Remaining': seconds, 'RateLimit-Reset': seconds },
  503: retryAfter,
};

const componentUri = (id: string) => `#/components/schemas/${id}`;

/**
 * zod omits the examples of schemas with a transform from input schemas; ours are valid as input too. It closes the
 * objects of answers, so that generated clients would reject those with the new fields of a later version.
 */
const override = (context: { zodSchema: z.core.$ZodType; jsonSchema: z.core.JSONSchema.BaseSchema }) => {
  const { zodSchema, jsonSchema } = context;
  const examples = z.globalRegistry.get(zodSchema)?.examples;
  if (Array.isArray(examples)) jsonSchema.examples = examples;
  if (Object.keys(jsonSchema.additionalProperties ?? {}).length === 0) delete jsonSchema.additionalProperties;
};

/** A schema with an `id` becomes a reference to `components.schemas`; others are inlined. */
function toJsonSchema(schema: z.ZodType): JsonSchema {
  const id = z.globalRegistry.get(schema)?.id;
  return id === undefined ? z.toJSONSchema(schema, { io: 'input', override }) : { $ref: componentUri(id) };
}

type Schemas = Readonly<Record<string, JsonSchema>>;

/** The ids of the schemas that those with `ids` refer to at any depth, and these. */
function withReferences(schemas: Schemas, ids: Iterable<string>): Set<string> {
  const all = new Set(ids);
  for (const id of all) {
    const references = JSON.stringify(schemas[id] ?? {}).matchAll(/"\$ref":"[^"]*\/([^"/]+)"/g);
    for (const [, reference = ''] of references) all.add(reference);
  }
  return all;
}

/** All schemas with an `id`; those with the ids `requestBodies` describe the value before parsing. */
function componentSchemas(requestBodies: ReadonlySet<string>): Schemas {
  const convert = (io: 'input' | 'output'): Schemas =>
    z.toJSONSchema(z.globalRegistry, { io, uri: componentUri, override, unrepresentable: 'any' }).schemas;
  const input = convert('input');
  const requested = withReferences(input, requestBodies);
  const schemas = Object.entries(convert('output')).map(([id, output]) => {
    const { $schema, $id, ...schema } = (requested.has(id) && input[id]) || output;
    return [id, schema];
  });
  return Object.fromEntries(schemas);
}

const REQUEST_ID = { 'X-Request-Id': { type: 'string', description: 'Request id, as in the log.' } };

/** A response with a JSON body; `examples` are OpenAPI Example Objects by name. */
export function jsonResponse(
  description: string,
  schema: z.ZodType,
  headers: DocumentedResponse['headers'] = {},
  examples?: object,
): DocumentedResponse {
  const body = { schema: toJsonSchema(schema), ...(examples && { examples }) };
  return { description, headers: { ...REQUEST_ID, ...headers }, content: { 'application/json': body } };
}

/** A response without a body. */
export const emptyResponse = (description: string, headers: DocumentedResponse['headers']): DocumentedResponse => ({
  description,
  headers: { ...REQUEST_ID, ...headers },
  type: 'null',
});

/** A response with a plain text body. */
export function textResponse(description: string): DocumentedResponse {
  return { description, headers: REQUEST_ID, content: { 'text/plain': { schema: { type: 'string' } } } };
}

/** A response of Server-Sent Events; `value` is an example. */
export function streamResponse(description: string, value: string): DocumentedResponse {
  const headers = { ...REQUEST_ID, 'X-Accel-Buffering': { type: 'string', description: '`no`: not to be buffered.' } };
  return {
    description,
    headers,
    content: { 'text/event-stream': { schema: { type: 'string' }, examples: { events: { value } } } },
  };
}

/** The errors of every route. */
export const SERVICE_ERRORS: readonly (ErrorCode | AppError)[] = [
  new AppError('INVALID_REQUEST', { message: 'Request is not valid HTTP' }),
  'HEADERS_TOO_LARGE',
  'INTERNAL_ERROR',
];

/** Error responses by status, each error as an example; of two with the same code, the later replaces the earlier. */
export function errorResponses(errors: readonly (ErrorCode | AppError)[]): Record<string, DocumentedResponse> {
  const examples: Record<number, Record<string, { value: unknown }>> = {};
  for (const error of errors) {
    const example = typeof error === 'string' ? new AppError(error) : error;
    const { status, body } = errorReply(example);
    examples[status] = { ...examples[status], [example.code]: { value: JSON.parse(body) } };
  }
  const responses = Object.entries(examples).map(([key, ofStatus]) => {
    const status = Number(key);
    const description = ERROR_DESCRIPTIONS[status];
    if (description === undefined) throw new Error(`Status ${status} has no description`);
    return [key, jsonResponse(description, ErrorBody, ERROR_HEADERS[status], ofStatus)];
  });
  return Object.fromEntries(responses);
}

/** The hash is that of the one `style` element of Swagger UI; the browser test fails if it changes. */
const CONTENT_SECURITY_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'sha256-RL3ie0nH+Lzz2YNqQN83mnU0J1ot4QL7b99vMdIX99w='; " +
  "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/**
 * Adds the examples of each request body's schema as Example Objects, where Postman and others look for them. A body that
 * needs no field may be left out.
 */
function showExamples(paths: OpenAPIV3.PathsObject | OpenAPIV3_1.PathsObject, schemas: Schemas): void {
  for (const path of Object.values(paths)) {
    for (const method of ['post', 'put', 'patch', 'delete'] as const) {
      const body = path?.[method]?.requestBody;
      for (const media of body !== undefined && 'content' in body ? Object.values(body.content) : []) {
        const name = media.schema && '$ref' in media.schema ? media.schema.$ref.split('/').at(-1) : undefined;
        const schema = schemas[name ?? ''];
        if (schema === undefined) continue;
        const { examples, required, minProperties } = schema;
        if (body !== undefined && 'required' in body && !required && !minProperties) delete body.required;
        if (!Array.isArray(examples)) continue;
        media.examples = Object.fromEntries(examples.map((value, index) => [`example${index + 1}`, { value }]));
      }
    }
  }
}

/** Collects the routes registered afterwards into an OpenAPI 3.1 document. */
export async function collectOpenApi(app: FastifyInstance): Promise<void> {
  const requestBodies = new Set<string>();
  await app.register(fastifySwagger, {
    openapi: {
      openapi: '3.1.1',
      info: {
        title: 'todo-api',
        version: VERSION,
        description:
          'Tasks and lists of them, accessible only to their owner. Every error is a JSON object with `error` and `code`.',
        contact: { name: 'The operator of this service' },
        license: { name: 'MIT', identifier: 'MIT' },
      },
      servers: [{ url: '/' }],
      tags: [
        { name: 'Tasks', description: "The token's user has access to their own tasks only." },
        { name: 'Lists', description: 'Lists of tasks. A task is in one of them, or in the inbox.' },
        { name: 'Service', description: 'For operators and tools; without a token.' },
      ],
      components: {
        securitySchemes: { bearerAuth: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
      },
    },
    transform: ({ schema, url, route }) => {
      const documented = { security: [], ...schema, response: route.config?.responses };
      const { params, querystring } = documented;
      const body = route.config?.requestBody ?? documented.body;
      if (params instanceof z.ZodType) documented.params = toJsonSchema(params);
      if (querystring instanceof z.ZodType) documented.querystring = toJsonSchema(querystring);
      if (route.config?.requestHeaders !== undefined) documented.headers = toJsonSchema(route.config.requestHeaders);
      if (route.config?.requestContent !== undefined) documented.body = { content: route.config.requestContent };
      else if (body instanceof z.ZodType) {
        documented.body = toJsonSchema(body);
        requestBodies.add(z.globalRegistry.get(body)?.id ?? '');
      }
      return { url, schema: documented };
    },
    transformObject: (document) => {
      if ('swaggerObject' in document) throw new Error('Expected an OpenAPI document');
      const { openapiObject } = document;
      const schemas = componentSchemas(requestBodies);
      showExamples(openapiObject.paths ?? {}, schemas);
      return Object.assign(openapiObject, { components: { ...openapiObject.components, schemas } });
    },
  });
}

/** `GET /openapi.json`, and the interactive reference at `GET /docs`, which loads nothing from other hosts; `/` leads there. */
export async function exposeOpenApi(app: FastifyInstance): Promise<void> {
  await app.register(fastifySwaggerUi, {
    routePrefix: '/docs',
    staticCSP: CONTENT_SECURITY_POLICY,
    uiConfig: { layout: 'BaseLayout', persistAuthorization: true, deepLinking: false, docExpansion: 'list' },
    theme: { title: 'todo-api' },
  });
  let document: string | null = null;
  const schema = {
    tags: ['Service'],
    summary: 'OpenAPI document',
    description: 'This document; `/docs` shows it.',
    operationId: 'openapi',
  };
  const responses = {
    200: jsonResponse('OpenAPI 3.1 document.', z.looseObject({})),
    ...errorResponses(SERVICE_ERRORS),
  };
  app.get('/openapi.json', { schema, config: { responses } }, (_request, reply) => {
    document ??= JSON.stringify(app.swagger());
    return reply.type(JSON_TYPE).send(document);
  });
  app.get('/', { schema: { hide: true } }, (_request, reply) => reply.redirect('/docs'));
}
