import fastifySwagger from '@fastify/swagger';
import fastifySwaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';
import { createJsonSchemaTransform, createJsonSchemaTransformObject } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { AppError, ERROR_CODES, type ErrorCode } from '../core/errors.ts';
import { errorReply, STATUS } from './error-reply.ts';

const ErrorBody = z
  .object({
    error: z.string().meta({ description: 'Human-readable message.' }),
    code: z.enum(ERROR_CODES).meta({ description: 'Machine-readable error code.' }),
    details: z
      .array(z.object({ field: z.string(), message: z.string() }))
      .optional()
      .meta({ description: 'One entry for each invalid field.' }),
  })
  .meta({ id: 'Error', description: 'Body of every error response.' });

type ErrorStatus = 400 | 401 | 404 | 413 | 429 | 431 | 500 | 503;

const ERROR_DESCRIPTIONS: Readonly<Record<ErrorStatus, string>> = {
  400: 'The request or one of its fields is invalid.',
  401: 'Missing, invalid or expired token.',
  404: 'This user has no such task.',
  413: 'The request body exceeds 64 KiB.',
  429: 'Rate limit of the user exceeded.',
  431: 'The request headers exceed 16 KiB.',
  500: 'Database error or internal error.',
  503: 'Overloaded, or database unavailable; retry after the given time.',
};

const codesOf = (status: number): readonly ErrorCode[] => ERROR_CODES.filter((code) => STATUS[code] === status);

/** A documented answer with a JSON body. */
export function jsonResponse<Schema extends z.ZodType>(description: string, schema: Schema) {
  return { description, content: { 'application/json': { schema } } };
}

/** What any route can be answered with, whether or not it asks for a token. */
export const SERVICE_ERRORS = [400, 431, 500] as const;

/** The documented errors of a route, by status. */
export function errorResponses(statuses: readonly ErrorStatus[]) {
  return Object.fromEntries(statuses.map((status) => [status, jsonResponse(ERROR_DESCRIPTIONS[status], ErrorBody)]));
}

const text = { schema: { type: 'string' } };
const seconds = { schema: { type: 'integer', minimum: 0 } };
const RESPONSE_HEADERS: Readonly<Record<string, object>> = {
  201: { Location: { description: "The new task's path.", ...text } },
  401: { 'WWW-Authenticate': { description: 'RFC 6750', ...text } },
  429: {
    'Retry-After': { description: 'Seconds to wait.', ...seconds },
    'RateLimit-Limit': seconds,
    'RateLimit-Remaining': seconds,
    'RateLimit-Reset': seconds,
  },
  503: { 'Retry-After': { description: 'Seconds to wait.', ...seconds } },
};

interface Response {
  headers?: object;
  content?: Record<string, { schema?: object; examples?: object }>;
}

interface Operation {
  readonly parameters?: readonly object[];
  readonly requestBody?: object;
  readonly security?: readonly object[];
  readonly responses?: Record<string, Response>;
}

/** An error of `code` as `operation` answers it; null where it never does. */
function exampleOf(code: ErrorCode, { parameters, requestBody, security }: Operation): AppError | null {
  if (code === 'VALIDATION_ERROR') {
    if (requestBody === undefined && parameters === undefined) return null;
    const [field, message] =
      requestBody === undefined ? ['task_id', 'Task id must be a UUID'] : ['title', 'Title cannot be empty'];
    return new AppError(code, { details: [{ field, message }] });
  }
  if (code === 'INVALID_REQUEST' && requestBody === undefined) {
    return new AppError(code, { message: 'Request is not valid HTTP' });
  }
  return code === 'DATABASE_ERROR' && security === undefined ? null : new AppError(code);
}

function errorExamples(status: number, operation: Operation): object {
  const examples = codesOf(status).flatMap((code) => {
    const error = exampleOf(code, operation);
    return error === null ? [] : [[code, { value: JSON.parse(errorReply(error).body) as unknown }] as const];
  });
  return Object.fromEntries(examples);
}

/** Adds what the route schemas cannot say: response headers, and an example of each error. */
function complete(operation: Operation, status: string, response: Response): void {
  response.headers = {
    'X-Request-Id': { description: 'Request id, as in the log.', ...text },
    ...RESPONSE_HEADERS[status],
  };
  const json = response.content?.['application/json'];
  if (json !== undefined && Number(status) >= 400) json.examples = errorExamples(Number(status), operation);
}

interface OpenApiDocument {
  components?: { schemas?: Record<string, object> };
  paths?: Record<string, Record<string, Operation>>;
}

/** Leaves out schemas that nothing refers to, and the `Input` that tells a request's schema from an answer's. */
function nameSchemas(text: string): OpenApiDocument {
  const document: OpenApiDocument = JSON.parse(text);
  const schemas = Object.entries(document.components?.schemas ?? {});
  const kept = schemas.filter(([name]) => text.includes(`"#/components/schemas/${name}"`));
  const components = { ...document.components, schemas: Object.fromEntries(kept) };
  return JSON.parse(JSON.stringify({ ...document, components }).replace(/(schemas\/|")(\w+)Input"/g, '$1$2"'));
}

/** Keeps the examples of what a request may hold, which zod drops wherever it transforms: here they are input as well. */
const zodToJsonConfig = {
  override: ({ zodSchema, jsonSchema }: { zodSchema: z.core.$ZodType; jsonSchema: z.core.JSONSchema.BaseSchema }) => {
    const examples = z.globalRegistry.get(zodSchema)?.examples;
    if (Array.isArray(examples)) jsonSchema.examples = examples;
  },
};

/** The hash is that of the one `style` element that Swagger UI makes; the browser test tells when it changes. */
const CONTENT_SECURITY_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'sha256-RL3ie0nH+Lzz2YNqQN83mnU0J1ot4QL7b99vMdIX99w='; " +
  "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const nameComponents = createJsonSchemaTransformObject({ zodToJsonConfig });

/** Starts collecting the routes that follow into an OpenAPI 3.1 document; to be called before they are made. */
export async function collectOpenApi(app: FastifyInstance): Promise<void> {
  await app.register(fastifySwagger, {
    openapi: {
      openapi: '3.1.1',
      info: {
        title: 'todo-api',
        version: '0.1.0',
        description: 'Tasks, accessible only to their owner. Every error is a JSON object with `error` and `code`.',
        license: { name: 'MIT', identifier: 'MIT' },
      },
      servers: [{ url: '/' }],
      tags: [{ name: 'Tasks' }, { name: 'Service' }],
      components: {
        securitySchemes: { bearerAuth: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
      },
    },
    transform: createJsonSchemaTransform({ zodToJsonConfig }),
    transformObject: (collected) => {
      const document = nameSchemas(JSON.stringify(nameComponents(collected)));
      for (const operation of Object.values(document.paths ?? {}).flatMap((path) => Object.values(path))) {
        for (const [status, response] of Object.entries(operation.responses ?? {}))
          complete(operation, status, response);
      }
      return document;
    },
  });
}

/** `GET /openapi.json` and the interactive reference at `GET /docs`, which loads nothing from elsewhere. */
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
    operationId: 'openapi',
    response: { 200: jsonResponse('OpenAPI 3.1 document.', z.looseObject({})), ...errorResponses(SERVICE_ERRORS) },
  };
  app.get('/openapi.json', { schema }, (_request, reply) => {
    document ??= JSON.stringify(app.swagger());
    return reply.type('application/json; charset=utf-8').send(document);
  });
}
