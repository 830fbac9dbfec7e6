import { Ajv2020, type Options, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import type { FastifyInstance } from 'fastify';
import type { Answered } from './envelope.ts';

export interface Schema extends Record<string, unknown> {
  readonly examples?: readonly unknown[];
  readonly pattern?: string;
  readonly format?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
}

interface Content {
  readonly schema: Schema;
  readonly example?: unknown;
  readonly examples?: Record<string, { readonly value: unknown }>;
}

interface Response {
  readonly links?: Record<string, { readonly operationId: string; readonly parameters: Record<string, string> }>;
  readonly headers?: Record<string, { readonly schema: Schema }>;
  /** None if the response has no body. */
  readonly content?: Record<string, Content>;
}

interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly tags: readonly string[];
  readonly security?: readonly object[];
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly required: boolean;
    readonly example?: unknown;
  }[];
  readonly requestBody?: { readonly required: boolean; readonly content: Record<string, Content> };
  readonly responses: Record<string, Response>;
}

interface Document {
  readonly openapi: string;
  readonly security?: readonly object[];
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: { readonly schemas: Record<string, Schema>; readonly securitySchemes: Record<string, object> };
}

/** Headers that not every response of a documented status has. */
const OPTIONAL_HEADERS = new Set(['Idempotency-Replayed', 'Link']);

const ID = 'https://todo-api.example/openapi.json';
const escaped = (token: string) => encodeURIComponent(token.replaceAll('~', '~0').replaceAll('/', '~1'));

/** The validator's errors for `value`. */
export function faults(validate: ValidateFunction, value: unknown): string[] {
  return validate(value)
    ? []
    : (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
}

/** `value` with every object schema in it closed: it allows no property that it does not name. */
function closed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(closed);
  if (typeof value !== 'object' || value === null) return value;
  const inside = Object.entries(value).map(([key, child]) => [key, closed(child)]);
  return { ...('properties' in value ? { additionalProperties: false } : {}), ...Object.fromEntries(inside) };
}

/** The names of the components that are referred to in `value`. */
const referencesIn = (value: unknown) =>
  schemasIn(value).flatMap(({ schema: { $ref } }) => (typeof $ref === 'string' ? [$ref.split('/').at(-1) ?? ''] : []));

/** The document with the schemas of answers closed, so that a field that the document does not name is a fault. */
function strict(document: Document): Document {
  const bodies = Object.values(document.paths)
    .flatMap((methods) => Object.values(methods))
    .map(({ requestBody }) => requestBody?.content['application/json']?.schema);
  const requests = new Set(bodies.flatMap(referencesIn));
  for (const name of requests) for (const inner of referencesIn(document.components.schemas[name])) requests.add(inner);
  const schemas = Object.entries(document.components.schemas).map(([name, schema]) => [
    name,
    requests.has(name) ? schema : closed(schema),
  ]);
  return { ...document, components: { ...document.components, schemas: Object.fromEntries(schemas) } };
}

/** The service's OpenAPI document, and validators compiled from its schemas; those of answers allow no other field. */
export class OpenApi {
  readonly document: Document;
  readonly #ajv: Ajv2020;

  private constructor(document: Document, options: Options) {
    this.document = document;
    this.#ajv = new Ajv2020({ strict: false, allErrors: true, ...options });
    addFormats.default(this.#ajv);
    // RFC 9562, section 4; ajv-formats accepts `urn:uuid:` too.
    this.#ajv.addFormat('uuid', /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i);
    this.#ajv.addSchema({ $id: ID, ...strict(document) });
  }

  /** @param options of the validators, such as whether patterns have the `u` flag. */
  static async read(app: FastifyInstance, options: Options = { unicodeRegExp: true }): Promise<OpenApi> {
    return new OpenApi((await app.inject('/openapi.json')).json<Document>(), options);
  }

  /** The validator of the schema at a path in the document. */
  at(...path: readonly string[]): ValidateFunction {
    const $ref = `${ID}#/${path.map(escaped).join('/')}`;
    return this.#ajv.getSchema($ref) ?? this.#ajv.compile({ $ref });
  }

  named(name: string): ValidateFunction {
    return this.at('components', 'schemas', name);
  }

  operations(): { path: string; method: string; operation: Operation }[] {
    return Object.entries(this.document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
    );
  }

  /** The place of a parameter in the list of its operation. */
  indexOf(path: string, method: string, parameter: string): string {
    return String(this.document.paths[path]?.[method]?.parameters?.findIndex(({ name }) => name === parameter));
  }

  /** Every documented response to `method` on `path`; `code` is null unless it is an error. */
  answersOf(path: string, method: string): { status: number; code: string | null }[] {
    const responses = Object.entries(this.document.paths[path]?.[method]?.responses ?? {});
    return responses.flatMap(([text, { content = {} }]) => {
      const status = Number(text);
      const codes = status < 400 ? [null] : Object.keys(content['application/json']?.examples ?? {});
      return codes.map((code) => ({ status, code }));
    });
  }

  /** The code of an error response. */
  codeOf({ body }: Answered): string {
    return (JSON.parse(body) as { code: string }).code;
  }

  /** The differences between `answer` and the documented responses to `method` on `path`. */
  faultsOf(path: string, method: string, answer: Answered): string[] {
    const status = String(answer.statusCode);
    const response = this.document.paths[path]?.[method]?.responses[status];
    if (response === undefined) return [`${method} ${path} with ${status} is not in the document`];
    const at = ['paths', path, method, 'responses', status];
    const headers = Object.entries(response.headers ?? {}).flatMap(([name, { schema }]) => {
      const text = answer.headers[name.toLowerCase()];
      if (text === undefined && OPTIONAL_HEADERS.has(name)) return [];
      const value = schema.type === 'integer' ? Number(text ?? Number.NaN) : text;
      return faults(this.at(...at, 'headers', name, 'schema'), value).map((fault) => `${name}: ${fault}`);
    });
    const type = String(answer.headers['content-type'] ?? '').split(';')[0] ?? '';
    if (response.content === undefined) return [...headers, ...(type + answer.body === '' ? [] : ['it has a body'])];
    if (response.content[type] === undefined) return [...headers, `media type ${type} is not in the document`];
    const value: unknown = type === 'application/json' ? JSON.parse(answer.body) : answer.body;
    return [...headers, ...faults(this.at(...at, 'content', type, 'schema'), value)];
  }
}

/** Every schema within `value`, at any depth, with its path. */
export function schemasIn(value: unknown, path: readonly string[] = []): { path: readonly string[]; schema: Schema }[] {
  if (typeof value !== 'object' || value === null) return [];
  const inside = Object.entries(value)
    .filter(([key]) => key !== 'examples' && key !== 'example')
    .flatMap(([key, child]) => schemasIn(child, [...path, key]));
  const isSchema = 'type' in value || 'anyOf' in value || 'oneOf' in value || '$ref' in value;
  return isSchema ? [{ path, schema: value as Schema }, ...inside] : inside;
}
