import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify';
import { type JWTPayload, SignJWT } from 'jose';
import pg from 'pg';
import { type AppOptions, createApp } from '../../dist/app.js';
import type { Database } from '../../dist/database/database.js';
import { openEmbedded } from '../../dist/database/embedded/embedded.js';
import { openPostgres, type PostgresOptions } from '../../dist/database/postgres.js';
import { createLogger } from '../../dist/log.js';

export const SECRET = new TextEncoder().encode('test-secret-of-more-than-thirty-two-bytes');

export type DatabaseKind = 'embedded' | 'postgres';

/** Where a PostgreSQL server is offered; `scripts/test.ts` sets it, and says loudly when there is none. */
export const POSTGRES_URL = process.env.TEST_DATABASE_URL ?? null;
const KINDS: readonly DatabaseKind[] = POSTGRES_URL === null ? ['embedded'] : ['embedded', 'postgres'];

export interface Task {
  readonly id: string;
  readonly user_id: string;
  readonly title: string;
  readonly description: string | null;
  readonly is_completed: boolean;
  readonly created_at: string;
  readonly updated_at: string;
}

/** A good token of `sub`, unless `claims` says otherwise; good for an hour. */
export async function signToken(sub: string, claims: JWTPayload = {}, secret = SECRET, alg = 'HS256'): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  return new SignJWT({ sub, iat: now, exp: now + 3600, ...claims }).setProtectedHeader({ alg }).sign(secret);
}

/** Somebody with a token, in front of a service. */
export class Person {
  readonly sub: string;
  readonly token: string;
  readonly #app: FastifyInstance;

  constructor(app: FastifyInstance, sub: string, token: string) {
    this.#app = app;
    this.sub = sub;
    this.token = token;
  }

  send(
    method: string,
    url: string,
    payload?: unknown,
    headers: Record<string, string> = {},
  ): Promise<LightMyRequestResponse> {
    const request: InjectOptions = {
      method: method as NonNullable<InjectOptions['method']>,
      url,
      headers: { authorization: `Bearer ${this.token}`, ...headers },
    };
    if (payload === undefined) return this.#app.inject(request);
    return this.#app.inject({ ...request, payload: payload as NonNullable<InjectOptions['payload']> });
  }

  async create(title: string, rest: object = {}): Promise<Task> {
    const answer = await this.send('POST', '/api/tasks', { title, ...rest });
    if (answer.statusCode !== 201) throw new Error(`create was answered ${answer.statusCode}: ${answer.body}`);
    return answer.json<Task>();
  }

  async list(): Promise<Task[]> {
    const answer = await this.send('GET', '/api/tasks');
    if (answer.statusCode !== 200) throw new Error(`list was answered ${answer.statusCode}: ${answer.body}`);
    return answer.json<{ tasks: Task[] }>().tasks;
  }
}

/** Everything a service under test wrote to its log. */
export class LogBook extends Writable {
  text = '';

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.text += chunk.toString('utf8');
    this.emit('written');
    done();
  }

  /** Resolves once there is a line of which `holds` is true. */
  async until(holds: (line: Record<string, unknown>) => boolean): Promise<void> {
    while (!this.lines().some(holds)) await once(this, 'written');
  }

  lines(): Record<string, unknown>[] {
    return this.text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  /** The one line of the request that `answer` names. */
  lineOf(answer: { readonly headers: Readonly<Record<string, unknown>> }): Record<string, unknown> {
    const id = answer.headers['x-request-id'];
    const [line, ...more] = this.lines().filter(({ request_id }) => request_id === id);
    if (line === undefined || more.length > 0) throw new Error(`${String(id)} does not have one line in the log`);
    return line;
  }
}

export interface OpenDatabase {
  readonly database: Database;
  /** The URL of a PostgreSQL database, the folder of an embedded one. */
  readonly place: string;
  /** What the database had to say to an operator. */
  readonly warnings: string[];
  /** Lets the planner learn what the tables hold. */
  analyze(): Promise<void>;
  remove(): Promise<void>;
}

/** Runs SQL on the PostgreSQL database at `url` as its owner, confined to nobody. */
export async function asAdmin(url: string, sql: string): Promise<pg.QueryResult> {
  const client = new pg.Client(url);
  client.on('error', () => undefined); // a connection that is lost fails the query, which is enough
  await client.connect();
  return client.query(sql).finally(() => client.end());
}

const notExpected = (error: unknown) => {
  throw error;
};

/** A new database of its own on the server at `server`; dropped by `remove`. */
export async function createPostgresDatabase(server: string): Promise<{ url: string; remove: () => Promise<void> }> {
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  await asAdmin(server, `create database ${name} template template0 encoding 'UTF8'`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return {
    url: url.href,
    remove: async () => void (await asAdmin(server, `drop database if exists ${name} with (force)`)),
  };
}

/** Opens the PostgreSQL database at `url` as the program does; `remove` closes it and leaves the database. */
export async function openPostgresAt(
  url: string,
  { connections = 4, onUnusable = notExpected }: Partial<Pick<PostgresOptions, 'connections' | 'onUnusable'>> = {},
): Promise<OpenDatabase> {
  const warnings: string[] = [];
  const database = await openPostgres({
    url,
    connections,
    pipeline: true,
    namedStatements: true,
    purpose: 'serve',
    onWarning: (message) => void warnings.push(message),
    onUnusable,
  });
  const analyze = async () => void (await asAdmin(url, 'analyze'));
  return { database, place: url, warnings, analyze, remove: () => database.close() };
}

async function openTestDatabase(kind: DatabaseKind): Promise<OpenDatabase> {
  if (kind === 'embedded') {
    const warnings: string[] = [];
    const directory = mkdtempSync(join(tmpdir(), 'todo-api-data-'));
    const onWarning = (message: string) => void warnings.push(message);
    const database = await openEmbedded({ directory, onWarning, onUnusable: notExpected });
    const analyze = () => database.maintain();
    const remove = async () => {
      await database.close();
      rmSync(directory, { recursive: true, force: true });
    };
    return { database, place: directory, warnings, analyze, remove };
  }
  if (POSTGRES_URL === null) throw new Error('No PostgreSQL server is offered');
  const { url, remove: drop } = await createPostgresDatabase(POSTGRES_URL);
  const opened = await openPostgresAt(url);
  const remove = async () => {
    await opened.remove();
    await drop();
  };
  return { ...opened, remove };
}

/** A service in front of a database, and people to use it. */
export class Service {
  readonly app: FastifyInstance;
  readonly log: LogBook;
  readonly opened: OpenDatabase;

  constructor(app: FastifyInstance, log: LogBook, opened: OpenDatabase) {
    this.app = app;
    this.log = log;
    this.opened = opened;
  }

  /** Somebody nobody has met before, or `sub`. */
  async person(sub = `user_${randomBytes(8).toString('hex')}`, claims: JWTPayload = {}): Promise<Person> {
    return new Person(this.app, sub, await signToken(sub, claims));
  }

  /** Without a token. */
  stranger(): Person {
    return new Person(this.app, '', 'none');
  }

  async close(): Promise<void> {
    await this.app.close();
    await this.opened.remove();
  }
}

export interface ServiceOptions {
  readonly config?: Partial<AppOptions['config']>;
  readonly clock?: () => number;
  readonly logLevel?: Parameters<typeof createLogger>[0];
}

export async function startService(kind: DatabaseKind | OpenDatabase, options: ServiceOptions = {}): Promise<Service> {
  const opened = typeof kind === 'string' ? await openTestDatabase(kind) : kind;
  const log = new LogBook();
  const app = await createApp({
    config: {
      tokenKeys: { kind: 'secret', secret: SECRET, algorithm: 'HS256' },
      issuer: null,
      audience: null,
      frontendOrigins: ['http://localhost:3000'],
      rateLimitPerMinute: 0,
      ...options.config,
    },
    database: opened.database,
    logger: createLogger(options.logLevel ?? 'info', log),
    ...(options.clock === undefined ? {} : { clock: options.clock }),
  });
  await app.ready();
  return new Service(app, log, opened);
}

/** Runs the same tests against a service on each database there is; `service()` gives it, once the tests run. */
export function onEachDatabase(
  title: string,
  tests: (service: () => Service, kind: DatabaseKind) => void,
  options: ServiceOptions = {},
): void {
  for (const kind of KINDS) {
    describe(`${title} [${kind}]`, () => {
      let started: Service | null = null;
      before(async () => {
        started = await startService(kind, options);
      });
      after(async () => {
        await started?.close();
      });
      tests(() => {
        if (started === null) throw new Error('The service has not been started');
        return started;
      }, kind);
    });
  }
}

/** Registers tests that need a PostgreSQL server; where there is none they are shown as skipped. */
export function onPostgres(title: string, tests: () => void): void {
  if (POSTGRES_URL === null) test(title, { skip: 'no PostgreSQL server is offered' }, () => undefined);
  else describe(title, tests);
}
