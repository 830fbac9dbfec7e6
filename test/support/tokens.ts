import { createHmac } from 'node:crypto';
import type { LightMyRequestResponse } from 'fastify';
import { loadConfig } from '../../dist/config.js';
import type { Database } from '../../dist/database/database.js';
import { type OpenDatabase, SECRET, type Service, type ServiceOptions, startService } from './service.ts';
import { stubRows } from './stub-database.ts';

const HASHES = { HS256: 'sha256', HS384: 'sha384', HS512: 'sha512' } as const;

export type HmacName = keyof typeof HASHES;
export const HMAC_NAMES: readonly HmacName[] = ['HS256', 'HS384', 'HS512'];

export type Signer = (input: string) => Uint8Array;

export const hmac =
  (alg: HmacName, secret: string | Uint8Array): Signer =>
  (input) =>
    createHmac(HASHES[alg], secret).update(input).digest();

export const encode = (value: string | Uint8Array) => Buffer.from(value).toString('base64url');

/** Builds a JWT, valid or not. A payload of text or bytes is used as it is, anything else is encoded as JSON. */
export function makeToken(header: object, payload: unknown, sign: Signer = hmac('HS256', SECRET)): string {
  const raw = typeof payload === 'string' || payload instanceof Uint8Array ? payload : JSON.stringify(payload);
  const input = `${encode(JSON.stringify(header))}.${encode(raw)}`;
  return `${input}.${encode(sign(input))}`;
}

/** The token settings that these environment variables configure. */
export function tokenSettings(environment: Record<string, string>): NonNullable<ServiceOptions['config']> {
  const { tokenKeys, issuer, audience, userClaim } = loadConfig(environment);
  if (tokenKeys.kind === 'development') throw new Error('No token keys are configured');
  return { tokenKeys, issuer, audience, userClaim };
}

/** A manual clock. */
export class TestClock {
  nowMs = Date.UTC(2031, 4, 6, 7, 8, 9);

  readonly read = () => this.nowMs;

  get seconds(): number {
    return this.nowMs / 1000;
  }

  advance(seconds: number): void {
    this.nowMs += seconds * 1000;
  }
}

/** A database without tasks that counts its queries. */
class CountingDatabase implements Database {
  uses = 0;

  readonly transaction: Database['transaction'] = async (_identity, statements) => {
    this.uses += 1;
    return statements.map((bound) => stubRows(bound, '{"tasks":[]}'));
  };

  async ping() {}
  async close() {}
}

/** A service with a stub database and a manual clock, to test which tokens are accepted. */
export class Gate {
  readonly clock: TestClock;
  readonly service: Service;
  readonly #database: CountingDatabase;

  private constructor(service: Service, clock: TestClock, database: CountingDatabase) {
    this.service = service;
    this.clock = clock;
    this.#database = database;
  }

  /** @param keySetTimeoutMs of a fetch of the key set; by default long, because a busy machine delays fetches. */
  static async open(
    config: ServiceOptions['config'] = {},
    clock = new TestClock(),
    keySetTimeoutMs = 60_000,
  ): Promise<Gate> {
    const database = new CountingDatabase();
    const opened: OpenDatabase = {
      database,
      place: '',
      warnings: [],
      analyze: () => Promise.resolve(),
      remove: () => Promise.resolve(),
    };
    return new Gate(await startService(opened, { config, clock: clock.read, keySetTimeoutMs }), clock, database);
  }

  get databaseUses(): number {
    return this.#database.uses;
  }

  /** Claims valid for an hour, with `changes` applied; `undefined` removes a claim. */
  claims(changes: Record<string, unknown> = {}): Record<string, unknown> {
    return { sub: 'somebody', iat: this.clock.seconds, exp: this.clock.seconds + 3600, ...changes };
  }

  /** A valid token, but for `changes` of its claims and `header`. */
  token(changes: Record<string, unknown> = {}, header: object = {}): string {
    return makeToken({ alg: 'HS256', typ: 'JWT', ...header }, this.claims(changes));
  }

  get(url: string, headers: Record<string, string> = {}): Promise<LightMyRequestResponse> {
    return this.service.app.inject({ method: 'GET', url, headers });
  }

  ask(token: string): Promise<LightMyRequestResponse> {
    return this.get('/api/tasks', { authorization: `Bearer ${token}` });
  }

  /** `200`, or the status and code of the error response to the token. */
  async verdict(token: string): Promise<string> {
    const answer = await this.ask(token);
    if (answer.statusCode === 200) return '200';
    return `${answer.statusCode} ${answer.json<{ code: string }>().code}`;
  }

  close(): Promise<void> {
    return this.service.close();
  }
}
