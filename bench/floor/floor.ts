// The service's work without a framework: token check, transaction and JSON over node:http.
import { createHmac, randomUUID, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { openOwnConnections } from './own-connections.ts';
import { openPgConnections } from './pg-connections.ts';
import { GET, INSERT, LIST, TOGGLE, UPDATE } from './statements.ts';

const { JWT_SECRET = '', DATABASE_URL = '', PORT = '0', FLOOR_CONNECTIONS = 'pg' } = process.env;
const CONNECTIONS = 4;

const asUser =
  FLOOR_CONNECTIONS === 'own'
    ? await openOwnConnections(DATABASE_URL, CONNECTIONS)
    : await openPgConnections(DATABASE_URL, CONNECTIONS);

interface Claims {
  readonly sub: string;
  readonly exp: number;
}

const verified = new Map<string, Claims>();

/** Verifies HS256 and `exp`; verified tokens are cached. @returns the user id, or null. */
function userOf(authorization = ''): string | null {
  const token = authorization.startsWith('Bearer ') ? authorization.slice(7) : '';
  const cached = verified.get(token);
  if (cached !== undefined) return cached.exp * 1000 > Date.now() ? cached.sub : null;
  const [header = '', payload = '', signature = ''] = token.split('.');
  const expected = createHmac('sha256', JWT_SECRET).update(`${header}.${payload}`).digest();
  const given = Buffer.from(signature, 'base64url');
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return null;
  if (JSON.parse(Buffer.from(header, 'base64url').toString()).alg !== 'HS256') return null;
  const claims: Claims = JSON.parse(Buffer.from(payload, 'base64url').toString());
  if (typeof claims.sub !== 'string' || !(claims.exp * 1000 > Date.now())) return null;
  verified.set(token, claims);
  return claims.sub;
}

interface Body {
  readonly title?: string;
  readonly description?: string | null;
  readonly is_completed?: boolean;
}

async function readJson(request: IncomingMessage): Promise<Body> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString());
}

function respond(response: ServerResponse, status: number, json: string): void {
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(json) });
  response.end(json);
}

const PATH = /^\/api\/tasks(?:\/([0-9a-f-]{36})(\/toggle)?)?$/;

async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const user = userOf(request.headers.authorization);
  if (user === null) return respond(response, 401, '{"error":"unauthorized"}');
  const [path, id = '', toggle] = PATH.exec(request.url ?? '') ?? [];
  const route = `${request.method} ${toggle ? 'toggle' : id ? 'task' : path ? 'tasks' : ''}`;
  const found = (json: string | null) => respond(response, json === null ? 404 : 200, json ?? '{}');
  switch (route) {
    case 'GET tasks':
      return found(await asUser(user, LIST, [user]));
    case 'GET task':
      return found(await asUser(user, GET, [user, id]));
    case 'POST tasks': {
      const { title = null, description = null, is_completed = false } = await readJson(request);
      const task = await asUser(user, INSERT, [user, randomUUID(), title, description, is_completed]);
      return respond(response, 201, task ?? '{}');
    }
    case 'PUT task': {
      const { title = null, description, is_completed = null } = await readJson(request);
      const values = [user, id, title, description !== undefined, description ?? null, is_completed];
      return found(await asUser(user, UPDATE, values));
    }
    case 'POST toggle':
      return found(await asUser(user, TOGGLE, [user, id]));
    default:
      return respond(response, 404, '{"error":"no such route"}');
  }
}

const server = createServer((request, response) => {
  handle(request, response).catch(() => respond(response, 500, '{"error":"internal"}'));
});
server.listen(Number(PORT), '127.0.0.1');
process.on('SIGTERM', () => process.exit(0));
