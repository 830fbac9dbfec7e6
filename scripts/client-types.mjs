// Writes client/src/api-types.ts: the types of the schemas of the service's own OpenAPI document (`npm run client-types`).
import { writeFile } from 'node:fs/promises';
import pino from 'pino';
import { createApp } from '../dist/app.js';
import { loadConfig } from '../dist/config.js';

const HEADING = '// Written by `npm run client-types` from the OpenAPI document of the service.\n';
const FILE = new URL('../client/src/api-types.ts', import.meta.url);

/** `Error` is a name of the language. */
const RENAMED = { Error: 'ErrorBody' };

const nameOf = (name) => RENAMED[name] ?? name;
const quoted = (value) => (typeof value === 'string' ? `'${value}'` : JSON.stringify(value));

function fields({ properties = {}, required = [] }, separator) {
  return Object.entries(properties)
    .map(([name, schema]) => `readonly ${name}${required.includes(name) ? '' : '?'}: ${typeOf(schema)};`)
    .join(separator);
}

/** The TypeScript type of a JSON schema. @throws for a keyword that no schema of ours has had so far. */
function typeOf(schema) {
  const { $ref, anyOf = schema.oneOf, allOf, type, items, additionalProperties } = schema;
  const union = (schemas) => [...new Set(schemas.map(typeOf))].join(' | ');
  if ($ref !== undefined) return nameOf($ref.replace('#/components/schemas/', ''));
  if (anyOf !== undefined) return union(anyOf);
  if (allOf !== undefined) return allOf.map(typeOf).join(' & ');
  if ('const' in schema) return quoted(schema.const);
  if (schema.enum !== undefined) return schema.enum.map(quoted).join(' | ');
  if (Array.isArray(type)) return union(type.map((one) => ({ ...schema, type: one })));
  if (type === 'array') return `readonly (${typeOf(items)})[]`;
  if (type === 'object' && typeof additionalProperties === 'object') {
    return `{ readonly [name: string]: ${typeOf(additionalProperties)} }`;
  }
  if (type === 'object') return schema.properties === undefined ? 'object' : `{ ${fields(schema, ' ')} }`;
  if (type === 'integer') return 'number';
  if (['string', 'number', 'boolean', 'null'].includes(type)) return type;
  throw new Error(`No type for ${JSON.stringify(schema)}`);
}

function declaration(name, schema) {
  const comment = schema.description === undefined ? '' : `/** ${schema.description} */\n`;
  if (schema.type === 'object' && schema.properties !== undefined) {
    return `${comment}export interface ${nameOf(name)} {\n  ${fields(schema, '\n  ')}\n}\n`;
  }
  return `${comment}export type ${nameOf(name)} = ${typeOf(schema)};\n`;
}

/** The text of the file. */
function typesOf({ components }) {
  const schemas = Object.entries(components.schemas).sort(([a], [b]) => (a < b ? -1 : 1));
  return [HEADING, ...schemas.map(([name, schema]) => declaration(name, schema))].join('\n');
}

const none = () => Promise.reject(new Error('No database'));
const app = await createApp({
  config: loadConfig({ ENVIRONMENT: 'production', JWT_SECRET: 'x'.repeat(32) }),
  database: { transaction: none, ping: none, close: async () => {} },
  logger: pino({ level: 'silent' }),
  maxEventLoopDelayMs: Number.POSITIVE_INFINITY,
});
const answer = await app.inject('/openapi.json');
if (answer.statusCode !== 200) throw new Error(answer.body);
await writeFile(process.argv[2] ?? FILE, typesOf(answer.json()));
await app.close();
