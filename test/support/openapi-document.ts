import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import type { FastifyInstance } from 'fastify';
import type { Answered } from './envelope.ts';

export interface Schema extends Record<string, unknown> {
  readonly examples?: readonly unknown[];
  readonly pattern?: string;
}

interface Content {
  readonly schema: Schema;
  readonly examples?: Record<string, { readonly value: unknown }>;
}

interface Response {
  readonly headers?: Record<string, { readonly schema: Schema }>;
  readonly content: Record<string, Content>;
}

interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly security?: readonly object[];
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly required: boolean;
    readonly example?: unknown;
  }[];
  readonly requestBody?: object;
  readonly responses: Record<string, Response>;
}

interface Document {
  readonly openapi: string;
  readonly security?: readonly object[];
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: { readonly schemas: Record<string, Schema>; readonly securitySchemes: Record<string, object> };
}

const ID = 'https://todo-api.example/openapi.json';
const escaped = (token: string) => encodeURIComponent(token.replaceAll('~', '~0').replaceAll('/', '~1'));

/** The validator's errors for `value`. */
export function faults(validate: ValidateFunction, value: unknown): string[] {
  return validate(value)
    ? []
    : (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
}

/** The service's OpenAPI document, and validators compiled from its schemas. */
export class OpenApi {
  readonly document: Document;
  readonly #ajv = new Ajv2020({ strict: false, allErrors: true, unicodeRegExp: true });

  private constructor(document: Document) {
    this.document = document;
    addFormats.default(this.#ajv);
    this.#ajv.addSchema({ $id: ID, ...document });
  }

  static async read(app: FastifyInstance): Promise<OpenApi> {
    return new OpenApi((await app.inject('/openapi.json')).json<Document>());
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

  /** Every documented response to `method` on `path`; `code` is null unless it is an error. */
  answersOf(path: string, method: string): { status: number; code: string | null }[] {
    const responses = Object.entries(this.document.paths[path]?.[method]?.responses ?? {});
    return responses.flatMap(([text, { content }]) => {
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
      const value = schema.type === 'integer' ? Number(text ?? Number.NaN) : text;
      return faults(this.at(...at, 'headers', name, 'schema'), value).map((fault) => `${name}: ${fault}`);
    });
    const [type = ''] = String(answer.headers['content-type']).split(';');
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
  const isSchema = 'type' in value || 'anyOf' in value || '$ref' in value;
  return isSchema ? [{ path, schema: value as Schema }, ...inside] : inside;
}
