import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify';
import { type JWTPayload, SignJWT } from 'jose';
import { type AppOptions, createApp } from '../../dist/app.js';
import { openEmbedded } from '../../dist/database/embedded/embedded.js';
import { createLogger } from '../../dist/log.js';
import type { Answered } from './envelope.ts';
import {
  createMigratedDatabase,
  type OpenDatabase,
  openPostgresAt,
  POSTGRES_URL,
  throwError,
} from './postgres-database.ts';
import { skipUnless } from './requirements.ts';

export {
  asAdmin,
  createPostgresDatabase,
  type OpenDatabase,
  openPostgresAt,
  POSTGRES_URL,
} from './postgres-database.ts';

export const SECRET = new TextEncoder().encode('test-secret-of-more-than-thirty-two-bytes');

export type DatabaseKind = 'embedded' | 'postgres';

const KINDS: readonly DatabaseKind[] = POSTGRES_URL === null ? ['embedded'] : ['embedded', 'postgres'];

/** PostgreSQL where `TEST_DATABASE_URL` names a server, because it opens faster; else the embedded database. */
export const ANY_DATABASE: DatabaseKind = POSTGRES_URL === null ? 'embedded' : 'postgres';

export interface Task {
  readonly id: string;
  readonly user_id: string;
  readonly title: string;
  readonly description: string | null;
  readonly is_completed: boolean;
  readonly list_id: string | null;
  readonly parent_id: string | null;
  readonly position: string;
  readonly due_date: string | null;
  readonly due_time: string | null;
  readonly due_time_zone: string | null;
  readonly priority: 'none' | 'low' | 'medium' | 'high';
  readonly tags: readonly string[];
  readonly recurrence: string | null;
  readonly recurrence_from: 'due' | 'completed';
  readonly completed_at: string | null;
  readonly series_id: string | null;
  readonly created_at: string;
  readonly updated_at: string;
  readonly deleted_at: string | null;
  readonly version: number;
}

/** Signs a token of `sub`, valid for an hour unless `claims` says otherwise. */
export async function signToken(sub: string, claims: JWTPayload = {}, secret = SECRET, alg = 'HS256'): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  return new SignJWT({ sub, iat: now, exp: now + 3600, ...claims }).setProtectedHeader({ alg }).sign(secret);
}

/** A user of a service, whose requests are injected. */
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

  /** Sends a request whose answer may have no end. @returns the answer; without a body unless it is an error. */
  async begin(method: string, url: string, payload?: unknown, headers: Record<string, string> = {}): Promise<Answered> {
    const answer = await this.#app.inject({
      method: method as NonNullable<InjectOptions['method']>,
      url,
      headers: { authorization: `Bearer ${this.token}`, ...headers },
      ...(payload === undefined ? {} : { payload: payload as NonNullable<InjectOptions['payload']> }),
      payloadAsStream: true,
    });
    const { statusCode } = answer;
    const body = answer.stream();
    if (statusCode === 200) body.destroy();
    return { statusCode, headers: answer.headers, body: statusCode === 200 ? '' : await text(body) };
  }

  async create(title: string, rest: object = {}): Promise<Task> {
    const answer = await this.send('POST', '/api/tasks', { title, ...rest });
    if (answer.statusCode !== 201) throw new Error(`create was answered ${answer.statusCode}: ${answer.body}`);
    return answer.json<Task>();
  }

  /** Creates tasks whose texts are so long that the service reads their list in another way. */
  async createLongTasks(): Promise<void> {
    const description = 'x'.repeat(2_000);
    await Promise.all(Array.from({ length: 70 }, (_, index) => this.create(`${index}`, { description })));
  }

  async list(): Promise<Task[]> {
    const answer = await this.send('GET', '/api/tasks');
    if (answer.statusCode !== 200) throw new Error(`list was answered ${answer.statusCode}: ${answer.body}`);
    return answer.json<{ tasks: Task[] }>().tasks;
  }
}

const LOG_DEADLINE_MS = 60_000;

/** Everything that a service wrote to its log. */
export class CapturedLog extends Writable {
  text = '';

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.text += chunk.toString('utf8');
    this.emit('written');
    done();
  }

  /** Resolves once there is a line for which `holds` is true. @throws after 60 s without one, with the log. */
  async until(holds: (line: Record<string, unknown>) => boolean): Promise<void> {
    const signal = AbortSignal.timeout(LOG_DEADLINE_MS);
    while (!this.lines().some(holds)) {
      await once(this, 'written', { signal }).catch((cause: unknown) => {
        throw new Error(`The expected line is not in the log:\n${this.text}`, { cause });
      });
    }
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

async function openTestDatabase(kind: DatabaseKind, options: ServiceOptions['database'] = {}): Promise<OpenDatabase> {
  if (kind === 'embedded') {
    const warnings: string[] = [];
    const directory = mkdtempSync(join(tmpdir(), 'todo-api-data-'));
    const onWarning = (message: string) => void warnings.push(message);
    const database = await openEmbedded({ directory, onWarning, onFatal: throwError, ...options });
    const analyze = () => database.vacuum();
    const remove = async () => {
      await database.close();
      rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
    };
    return { database, place: directory, warnings, analyze, remove };
  }
  const { url, remove: drop } = await createMigratedDatabase();
  const opened = await openPostgresAt(url, options);
  const remove = async () => {
    await opened.remove();
    await drop();
  };
  return { ...opened, remove };
}

/** The program without a socket, its database and its log. */
export class Service {
  readonly app: FastifyInstance;
  readonly log: CapturedLog;
  readonly opened: OpenDatabase;

  constructor(app: FastifyInstance, log: CapturedLog, opened: OpenDatabase) {
    this.app = app;
    this.log = log;
    this.opened = opened;
  }

  /** The user `sub`, by default a new one. */
  async person(sub = `user_${randomBytes(8).toString('hex')}`, claims: JWTPayload = {}): Promise<Person> {
    return new Person(this.app, sub, await signToken(sub, claims));
  }

  /** A client with an invalid token. */
  stranger(): Person {
    return new Person(this.app, '', 'none');
  }

  async close(): Promise<void> {
    await this.app.close();
    await this.opened.remove();
  }
}

/** The longest that a timer can wait. */
const NEVER_MS = 2 ** 31 - 1;

export interface ServiceOptions {
  readonly config?: Partial<AppOptions['config']>;
  readonly clock?: () => number;
  readonly logLevel?: Parameters<typeof createLogger>[0];
  /** Of a database that is opened for the service. */
  readonly database?: { readonly statementTimeoutMs?: number };
  /** Event-loop delay that starts load shedding; by default there is none, because a busy machine delays tests. */
  readonly maxEventLoopDelayMs?: number;
  readonly maxUnsentBytes?: number;
  readonly maxAnswerMs?: number;
  /** The time between two turns of background jobs; without it they have none. */
  readonly jobsEveryMs?: number;
  readonly streamTickMs?: number;
  /** Timeout of a fetch of the key set; the service's own by default. */
  readonly keySetTimeoutMs?: number;
}

export async function startService(kind: DatabaseKind | OpenDatabase, options: ServiceOptions = {}): Promise<Service> {
  const opened = typeof kind === 'string' ? await openTestDatabase(kind, options.database) : kind;
  const log = new CapturedLog();
  const app = await createApp({
    config: {
      environment: 'production',
      tokenKeys: { kind: 'secret', secret: SECRET, algorithm: 'HS256' },
      issuer: null,
      audience: null,
      userClaim: 'sub',
      frontendOrigins: ['http://localhost:3000'],
      rateLimitPerMinute: 0,
      maxTasksPerUser: 100_000,
      deletedTasksDays: 30,
      ...options.config,
    },
    database: opened.database,
    logger: createLogger(options.logLevel ?? 'info', log),
    ...(options.clock === undefined ? {} : { clock: options.clock }),
    ...(options.maxUnsentBytes === undefined ? {} : { maxUnsentBytes: options.maxUnsentBytes }),
    ...(options.streamTickMs === undefined ? {} : { streamTickMs: options.streamTickMs }),
    ...(options.maxAnswerMs === undefined ? {} : { maxAnswerMs: options.maxAnswerMs }),
    jobsEveryMs: options.jobsEveryMs ?? NEVER_MS,
    maxEventLoopDelayMs: options.maxEventLoopDelayMs ?? Number.POSITIVE_INFINITY,
    ...(options.keySetTimeoutMs === undefined ? {} : { keySetTimeoutMs: options.keySetTimeoutMs }),
  });
  await app.ready();
  return new Service(app, log, opened);
}

type Tests = (service: () => Service, kind: DatabaseKind) => void;

function onDatabase(kind: DatabaseKind, title: string, tests: Tests, options: ServiceOptions): void {
  describe(title, () => {
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

/** Registers `tests` once for each kind of database; `service()` is the service, available once the tests run. */
export function onEachDatabase(title: string, tests: Tests, options: ServiceOptions = {}): void {
  for (const kind of KINDS) onDatabase(kind, `${title} [${kind}]`, tests, options);
}

/** Registers tests whose outcome does not depend on the kind of database; `service()` as for `onEachDatabase`. */
export function onAnyDatabase(title: string, tests: Tests, options: ServiceOptions = {}): void {
  onDatabase(ANY_DATABASE, title, tests, options);
}

/** Registers tests that need a PostgreSQL server; skipped where there is none. */
export function onPostgres(title: string, tests: () => void): void {
  const skip = skipUnless(POSTGRES_URL !== null, 'POSTGRES', 'TEST_DATABASE_URL is not set');
  if (skip === false) describe(title, tests);
  else test(title, { skip }, () => undefined);
}
